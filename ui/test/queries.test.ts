// The queries hold what docs/page.md promises of them.

import assert from 'node:assert/strict';
import test from 'node:test';
import { syntheticSource } from '../src/data/synthetic/synthetic.ts';
import type { Measure, Metric, ProcessData } from '../src/data/types.ts';

const source = syntheticSource({ blocks: 10_000 });
const process: ProcessData = await source.open(0);
const events = process.info.event_count;
const measure = (metric: Metric, rest: Partial<Measure> = {}): Measure => ({ metric, t: events, a: 0, b: events, q: '', ...rest });
const sum = (values: Float64Array) => values.reduce((x, y) => x + y, 0);

test('the weights of all backtraces add up to the total', async () => {
  for (const metric of ['live', 'peak', 'kept', 'leaked', 'alloc', 'freed', 'temp', 'diff'] as const) {
    const weights = await process.weigh(measure(metric, { t: events >> 1, a: events >> 2, b: (events * 3) >> 2 }));
    assert.equal(sum(weights.bytes), weights.total.bytes, metric);
    assert.equal(sum(weights.blocks), weights.total.blocks, metric);
    assert.notEqual(weights.total.blocks, 0, metric);
    const { total } = await process.blocks({ ...measure(metric, { t: events >> 1, a: events >> 2, b: (events * 3) >> 2 }), sort: 'size', descending: true, offset: 0, limit: 5 });
    assert.deepEqual(total, weights.total, metric);
  }
});

test('what is live at the end was never freed', async () => {
  assert.deepEqual((await process.weigh(measure('live'))).bytes, (await process.weigh(measure('leaked'))).bytes);
});

test('a difference is what is live at B less what is live at A, and what was allocated less what was freed', async () => {
  for (const [a, b] of [[0, events], [7, 7], [100, 2000], [1, events - 1]] as const) {
    const at = async (metric: Metric, t = 0) => (await process.weigh(measure(metric, { a, b, t }))).bytes;
    const [diff, liveA, liveB, alloc, freed] = [await at('diff'), await at('live', a), await at('live', b), await at('alloc'), await at('freed')];
    assert.deepEqual(diff, liveB.map((bytes, k) => bytes - liveA[k]!));
    assert.deepEqual(diff, alloc.map((bytes, k) => bytes - freed[k]!));
  }
});

test('every query answers', async () => {
  const layout = await process.layout(events >> 1);
  assert.ok(layout.total.live_blocks > 0 && layout.regions.length > 1 && layout.pins.length > 0);
  const site = layout.pins[0]!;
  assert.equal((await process.pinned(events >> 1, site.site)).length, site.pages);
  const heap = layout.regions[0]!;
  const cells = await process.cells(events >> 1, heap.start, 4096, heap.space.span_bytes / 4096);
  assert.equal(sum(cells.used), heap.space.used_bytes);
  const map = await process.time_map({ lo: heap.start, hi: heap.end, a: 0, b: events, width: 50, height: 40, by: 'site', limits: [], q: '' });
  assert.ok(Math.max(...map.fill) > 0.5);
  const series = await process.series(0, process.info.end_ns, 32, 10);
  assert.equal(series.bytes.length, 320);
  const histograms = await process.histograms(measure('alloc'));
  assert.equal(histograms.sizes.reduce((all, it) => all + it.blocks, 0), process.info.block_count);
  assert.equal(sum(histograms.rate), process.info.block_count);
  const envelope = await process.envelope(0, process.info.end_ns, 100);
  assert.equal(Math.max(...envelope.max), process.info.peak.bytes);
  const block = await process.block(1);
  assert.equal(block.count, 1);
  assert.ok((await process.history(block.addr[0]!, 10)).count > 0);
  assert.ok((await process.events(events, heap.start, heap.start + 4096, 50)).length > 0);
  assert.equal((await process.live(events, 0, 2 ** 50, 1e6)).rows.count, process.info.at_exit.blocks);
  const kept = (await process.blocks({ ...measure('leaked'), sort: 'size', descending: false, offset: 0, limit: 1e6 })).rows;
  const contents = await Promise.all(Array.from(kept.id, (id) => process.contents(id, events)));
  assert.ok(contents.some((it) => it.captured !== null && it.known.includes(1)));
  const sources = await Promise.all(Array.from({ length: process.stacks.frames.count }, (_, f) => process.source(f)));
  assert.ok(sources.some((it) => it.missing === null) && sources.some((it) => it.missing !== null));
});
