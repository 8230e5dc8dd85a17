// Packed columns: read as they were written, and whatever bytes come, an error with a sentence or columns.

import assert from 'node:assert/strict';
import test from 'node:test';
import { unpack, type Column, type Columns } from '../src/data/columns.ts';
import { fromBase64, inflateBase64 } from '../src/data/inflate.ts';
import { InPage } from '../src/data/inpage/inpage.ts';
import { pack } from '../src/data/synthetic/pack.ts';
import { Random } from '../src/data/synthetic/random.ts';
import { synthesize } from '../src/data/synthetic/synthetic.ts';

function randomTable(random: Random): Columns {
  const columns: Record<string, Column> = {};
  const of = (length: number, most: number) => Array.from({ length }, () => Math.floor(random.share() ** 4 * most));
  const length = () => random.below(random.chance(0.1) ? 3000 : 12);
  columns['small'] = Uint8Array.from(of(length(), 256));
  columns['thread'] = Uint16Array.from(of(length(), 65536));
  columns['born'] = Uint32Array.from(of(length(), 2 ** 32));
  const blocks = length();
  for (const name of ['size_lo', 'usable', 'addr_lo']) columns[name] = Uint32Array.from(of(blocks, 2 ** 32));
  columns['weight'] = Float64Array.from(of(length(), 2 ** 53));
  return { meta: { note: 'é<' }, columns };
}

test('columns are read as they were written', () => {
  for (let seed = 1; seed <= 200; seed++) {
    const random = new Random(seed);
    const table = randomTable(random);
    const packed = pack(table, random.chance(0.5));
    // At any place of a buffer, as from a server.
    const moved = new Uint8Array(packed.length + 3);
    moved.set(packed, 3);
    const read = unpack(moved.subarray(3));
    assert.deepEqual({ meta: read.meta, columns: { ...read.columns } }, table);
  }
});

test('whatever the bytes, there is an error with a sentence, or columns', () => {
  let errors = 0;
  for (let seed = 1; seed <= 3000; seed++) {
    const random = new Random(seed);
    let packed = pack(randomTable(random), true);
    if (random.chance(0.5)) packed = packed.slice(0, random.below(packed.length));
    for (let k = random.below(4); k > 0 && packed.length > 0; k--) packed[random.below(Math.min(packed.length, 400))] = random.below(256);
    try {
      const { columns } = unpack(packed);
      const bytes = Object.values(columns).reduce((sum, it) => sum + it.byteLength, 0);
      assert.ok(bytes <= packed.length, 'no more than there is');
    } catch (error) {
      assert.ok(error instanceof Error && !(error instanceof assert.AssertionError) && !(error instanceof RangeError), String(error));
      errors++;
    }
  }
  assert.ok(errors > 1000);
});

test('tables that contradict each other are refused, or answer', async () => {
  const { overview, tables, samples } = synthesize({ blocks: 60, contents: true });
  const info = overview.processes[0]!;
  const ground = { page_bytes: 4096, executable_end: null, modules: [] };
  let refused = 0;
  for (let seed = 1; seed <= 400; seed++) {
    const random = new Random(seed);
    const broken = structuredClone(tables);
    const [, table] = random.pick(Object.entries(broken).filter((it): it is [string, Columns] => it[1] !== null && 'columns' in it[1]));
    const [name, values] = random.pick(Object.entries(table.columns));
    if (random.chance(0.3)) table.columns[name] = values.slice(0, random.below(values.length));
    else if (random.chance(0.2)) delete table.columns[name];
    else for (let k = 1 + random.below(5); k > 0; k--) values[random.below(values.length)] = random.pick([0, 7, 0x7fffffff, 0xffffffff, random.below(2 ** 32)]);
    let process: InPage;
    try {
      process = new InPage(info, broken, samples, ground, []);
    } catch (error) {
      assert.ok(error instanceof Error && !(error instanceof TypeError) && !(error instanceof RangeError), String(error));
      refused++;
      continue;
    }
    const measure = { metric: 'live' as const, t: 50, a: 0, b: info.event_count, q: 'fn:parse' };
    await process.weigh(measure);
    await process.histograms({ ...measure, metric: 'alloc' });
    await process.layout(50);
    await process.contents(3, 50);
    await process.envelope(0, info.end_ns, 10);
    await process.time_map({ lo: 0, hi: 2 ** 48, a: 0, b: info.event_count, width: 10, height: 10, by: 'site', limits: [], q: '' });
  }
  assert.ok(refused > 100);
});

test('base64 and deflate', async (t) => {
  const bytes = Uint8Array.from({ length: 3_000_000 }, (_, k) => (k * k) >> 7);
  const text = Buffer.from(bytes).toString('base64');
  assert.deepEqual(fromBase64(text), bytes);
  try {
    new DecompressionStream('deflate-raw');
  } catch {
    return t.skip('this Node cannot inflate deflate-raw streams');
  }
  const { deflateRawSync } = await import('node:zlib');
  const packed = deflateRawSync(bytes).toString('base64');
  assert.deepEqual(Buffer.compare(await inflateBase64(packed), bytes), 0);
  await assert.rejects(inflateBase64(packed.slice(0, packed.length / 2 - ((packed.length / 2) % 4))));
  await assert.rejects(inflateBase64('AAAA????'));
});
