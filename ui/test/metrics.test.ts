// Metrics, times, peak, envelope, lists and histograms against their definitions, asked of every block.

import assert from 'node:assert/strict';
import test from 'node:test';
import { binOfLifetime, binOfSize } from '../src/data/inpage/histograms.ts';
import { NEVER, type Measure, type Metric } from '../src/data/types.ts';
import { forProcesses, isLive, STACKS, type Block, type Made } from './process.ts';

const METRICS: Metric[] = ['live', 'peak', 'kept', 'leaked', 'alloc', 'freed', 'temp', 'diff'];

function liveBytes({ blocks }: Made, p: number): number {
  return blocks.filter((it) => isLive(it, p)).reduce((sum, it) => sum + it.bytes, 0);
}

/** First position of most live bytes in (a, b]. */
function peakOf(made: Made, a: number, b: number): number {
  let best = Math.min(a + 1, b);
  for (let p = best; p <= b; p++) if (liveBytes(made, p) > liveBytes(made, best)) best = p;
  return best;
}

/** 1, 0 or -1: how a block counts, by the table in docs/page.md. */
function counts(it: Block, { metric, t, a, b }: Measure, peak: number): number {
  const isBorn = !it.inherited && a <= it.born && it.born < b;
  switch (metric) {
    case 'live':
      return Number(isLive(it, t));
    case 'peak':
      return Number(isLive(it, peak));
    case 'kept':
      return Number(isBorn && b <= it.died);
    case 'leaked':
      return Number(isBorn && it.died === NEVER);
    case 'alloc':
      return Number(isBorn);
    case 'freed':
      return Number(a <= it.died && it.died < b);
    case 'temp':
      return Number(isBorn && (it.flags & 1) === 1);
    case 'diff':
      return Number(isLive(it, b)) - Number(isLive(it, a));
  }
}

function randomMeasure({ random, events }: Made, metric: Metric): Measure {
  const [x, y] = [random.below(events + 1), random.below(events + 1)];
  return { metric, t: random.below(events + 1), a: Math.min(x, y), b: Math.max(x, y), q: '' };
}

const plain = (values: ArrayLike<number>) => Array.from(values);

test('positions and times', () =>
  forProcesses(200, ({ process, events, clock }) => {
    for (let p = 0; p <= events; p++) assert.equal(process.times.of(p), p === 0 ? 500 : clock[p - 1]);
    for (let time = 0; time < clock.at(-1)! + 3000; time += 500) {
      assert.equal(process.times.at(time), clock.filter((it) => it <= time).length, `at ${time}`);
      assert.equal(process.times.before(time), clock.filter((it) => it < time).length, `before ${time}`);
    }
  }));

test('every metric is the sum of the blocks that it names', () =>
  forProcesses(300, async (made) => {
    for (const metric of METRICS) {
      const measure = randomMeasure(made, metric);
      const peak = peakOf(made, measure.a, measure.b);
      const bytes = STACKS.parent.map(() => 0);
      const blocks = STACKS.parent.map(() => 0);
      for (const it of made.blocks) {
        bytes[it.stack]! += it.bytes * counts(it, measure, peak);
        blocks[it.stack]! += it.blocks * counts(it, measure, peak);
      }
      const weights = await made.process.weigh(measure);
      assert.deepEqual([plain(weights.bytes), plain(weights.blocks)], [bytes, blocks].map((it) => it.map((value) => value + 0)), metric);
      const sum = (values: number[]) => values.reduce((x, y) => x + y, 0);
      assert.deepEqual(weights.total, { bytes: sum(bytes), blocks: sum(blocks) });
      const { at, ...total } = await made.process.total(measure);
      assert.deepEqual(total, weights.total);
      assert.equal(at, weights.at);
      if (metric === 'peak') assert.equal(at, peak);
    }
  }));

test('alloc − freed = diff, and what is live at the end was allocated and never freed', () =>
  forProcesses(200, async (made) => {
    const measure = randomMeasure(made, 'diff');
    const of = async (it: Partial<Measure>) => plain((await made.process.weigh({ ...measure, ...it })).bytes);
    const [diff, alloc, freed] = [await of({}), await of({ metric: 'alloc' }), await of({ metric: 'freed' })];
    assert.deepEqual(diff, alloc.map((bytes, k) => bytes - freed[k]!));
    const whole = { a: 0, b: made.events, t: made.events };
    const inherited = made.blocks.filter((it) => it.inherited && it.died === NEVER).reduce((sum, it) => sum + it.bytes, 0);
    const sum = (values: number[]) => values.reduce((x, y) => x + y, 0);
    assert.equal(sum(await of({ ...whole, metric: 'live' })), sum(await of({ ...whole, metric: 'leaked' })) + inherited);
  }));

test('the peak is the first position of most bytes', () =>
  forProcesses(300, async (made) => {
    const { a, b } = randomMeasure(made, 'peak');
    const peak = await made.process.peak(a, b);
    assert.equal(peak.position, peakOf(made, a, b));
    assert.equal(peak.bytes, liveBytes(made, peak.position));
  }));

test('an envelope holds the extremes of each bucket of time', () =>
  forProcesses(200, async (made) => {
    const { events, clock, random } = made;
    const buckets = 1 + random.below(12);
    const [from, to] = random.chance(0.5) ? [500, clock.at(-1)! + 700] : [clock[0]! - 300, clock[random.below(events)]! + 1];
    const envelope = await made.process.envelope(from, to, buckets);
    const bucketOf = (time: number) => Math.min(buckets - 1, Math.floor(((time - from) * buckets) / Math.max(1, to - from)));
    const before = clock.filter((time) => time < from).length;
    for (let k = 0; k < buckets; k++) {
      const first = clock.filter((time) => time < from || (time <= to && bucketOf(time) < k)).length;
      const last = clock.filter((time) => time < from || (time <= to && bucketOf(time) <= k)).length;
      const values: number[] = [];
      for (let p = Math.max(before, first); p <= last; p++) values.push(liveBytes(made, p));
      assert.deepEqual([envelope.min[k], envelope.max[k], envelope.last[k]], [Math.min(...values), Math.max(...values), values.at(-1)], `bucket ${k} of ${buckets}`);
    }
  }));

test('lists hold the blocks of the metric in order, page by page', () =>
  forProcesses(200, async (made) => {
    const { process, blocks, random, clock } = made;
    const measure = randomMeasure(made, random.pick(METRICS));
    const peak = peakOf(made, measure.a, measure.b);
    const timeOf = (rank: number) => (rank < 0 ? 500 : clock[rank]!);
    const life = (it: Block) => (it.died === NEVER ? Infinity : timeOf(it.died) - timeOf(it.inherited ? -1 : it.born));
    const keys = { id: (it: Block) => it.id, born: (it: Block) => (it.inherited ? -1 : it.born), addr: (it: Block) => it.addr, size: (it: Block) => it.size,
      died: (it: Block) => it.died, lifetime: life };
    for (const sort of Object.keys(keys) as (keyof typeof keys)[]) {
      const descending = random.chance(0.5);
      const wanted = blocks.filter((it) => counts(it, measure, peak) !== 0);
      const by = (x: Block, y: Block) => (keys[sort](x) === keys[sort](y) ? 0 : keys[sort](x) < keys[sort](y) ? -1 : 1);
      wanted.sort((x, y) => (descending ? -by(x, y) : by(x, y)));
      if (descending && sort === 'born') wanted.sort((x, y) => by(y, x) || y.id - x.id);
      const [offset, limit] = [random.below(5), 1 + random.below(9)];
      const { rows } = await process.blocks({ ...measure, sort, descending, offset, limit });
      assert.deepEqual(plain(rows.id), wanted.slice(offset, offset + limit).map((it) => it.id), `${sort} ${descending}`);
      wanted.slice(offset, offset + limit).forEach((it, k) =>
        assert.deepEqual([rows.addr[k], rows.size[k], rows.usable[k], rows.born[k], rows.died[k]], [it.addr, it.size, it.usable, it.born, it.died]));
    }
  }));

test('bins are those of their definition', () => {
  for (let size = 0; size < 5000; size++) {
    const bin = binOfSize(size);
    assert.ok(bin === 0 ? size <= 1 : 2 ** (bin - 1) + 1 <= size && size <= 2 ** bin, `${size}`);
  }
  for (const power of [31, 32, 33, 40, 52]) assert.deepEqual([binOfSize(2 ** power), binOfSize(2 ** power + 1)], [power, power + 1]);
  for (const [ns, bin] of [[0, 0], [1000, 0], [3162, 0], [3163, 1], [10_000, 2], [99_999, 3], [1e9, 12]] as const) assert.equal(binOfLifetime(ns), bin, `${ns}`);
});

test('histograms count every block of the metric once', () =>
  forProcesses(150, async (made) => {
    const measure = randomMeasure(made, made.random.pick(METRICS));
    const histograms = await made.process.histograms(measure);
    const total = await made.process.total(measure);
    const sum = (weights: { bytes: number; blocks: number }[]) => weights.reduce((x, y) => ({ bytes: x.bytes + y.bytes, blocks: x.blocks + y.blocks }), { bytes: 0, blocks: 0 });
    assert.deepEqual(sum(histograms.sizes), { bytes: total.bytes, blocks: total.blocks });
    assert.deepEqual(sum([...histograms.lifetimes, histograms.unfreed]), { bytes: total.bytes, blocks: total.blocks });
    assert.deepEqual(histograms.cross.map((row) => row.reduce((x, y) => x + y, 0)).length, histograms.sizes.length);
    const births = await made.process.total({ ...measure, metric: 'alloc' });
    assert.equal(histograms.rate.reduce((x, y) => x + y, 0), births.blocks);
  }));

test('series hold the live bytes of sites at moments', () =>
  forProcesses(100, async (made) => {
    const { process, clock, blocks } = made;
    const series = await process.series(process.info.start_ns, process.info.end_ns, 7, 3);
    const end = clock.at(-1)! + 700;
    const at = (site: number, k: number) => {
      const p = clock.filter((time) => time <= 500 + ((end - 500) * k) / 6).length;
      return blocks.filter((it) => isLive(it, p) && STACKS.site[it.stack] === site).reduce((sum, it) => sum + it.bytes, 0);
    };
    series.sites.forEach((site, row) => {
      for (let k = 0; k < 7; k++) assert.equal(series.bytes[row * 7 + k], at(site, k));
    });
    const peaks = [...series.sites].map((site) => Math.max(...[0, 1, 2, 3, 4, 5, 6].map((k) => at(site, k))));
    assert.deepEqual(peaks, [...peaks].sort((x, y) => y - x));
  }));
