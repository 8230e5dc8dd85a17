// The map of the page Layout: where addresses are drawn, what a column shows, and that nothing live is unseen.

import assert from 'node:assert/strict';
import test from 'node:test';
import { syntheticSource } from '../src/data/synthetic/synthetic.ts';
import { NEVER, type Blocks, type Cells, type Layout, type Region, type Space } from '../src/data/types.ts';
import { classesOf, COLOURS } from '../src/pages/layout/classes.ts';
import { Columns, Geometry, LEAST_ZOOM, MOST_ZOOM, fitZoom, union, type Segment } from '../src/pages/layout/geometry.ts';
import { holesBySize } from '../src/pages/layout/holes.ts';
import { contrast, paint, palette, type Ground } from '../src/pages/layout/paint.ts';
import { APPEARED, GONE, STAYED, changes, dominant, fillClass, rasterAt } from '../src/pages/layout/picture.ts';
import { HOLE, OUTSIDE, Raster, footprintEnd } from '../src/pages/layout/raster.ts';
import { ground, region, regionsShown } from '../src/pages/layout/view.ts';

const process = await syntheticSource({ blocks: 10_000 }).open(0);
const events = process.info.event_count;
const { signal } = new AbortController();

/** Pseudo-random integers below a bound, the same each time. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const SEGMENTS: Segment[] = [
  { kind: 'heap', start: 0x559f6b7cf000, end: 0x559f6b7cf000 + 12_988_416 },
  { kind: 'arena', start: 0x7f20c0000000, end: 0x7f20c0021000 },
  { kind: 'mmap', start: 0x7f20d0000000, end: 0x7f20d0001000 },
];

test('an address is drawn at the spot that holds it, at every zoom', () => {
  const pick = numbers(1);
  for (let zoom = LEAST_ZOOM; zoom <= MOST_ZOOM; zoom++) {
    const width = 300 + pick(900);
    const geometry = new Geometry(SEGMENTS, zoom, width, 13, 20);
    const columns = new Columns(geometry.rowBytes, Math.round(width * (1 + pick(2))));
    for (let turn = 0; turn < 200; turn++) {
      const { start, end } = SEGMENTS[pick(3)]!;
      const address = start + pick(end - start);
      const { row, x } = geometry.place(address)!;
      assert.ok(row.lo <= address && address < row.hi);
      // The column of the byte, not of the exact place: a column begins where its first cell does.
      const column = columns.of(address - row.lo);
      const spot = geometry.spot(((column + 0.5) / columns.count) * width, row.y + pick(13), columns)!;
      assert.ok(spot.lo <= address && address < spot.hi, `${zoom} ${address} in ${spot.lo}..${spot.hi}`);
      assert.ok(Math.abs(x / (width / columns.count) - column) <= 1 + columns.count / Math.min(columns.cells, columns.count));
    }
  }
});

test('columns share out the bytes of a row: each byte once where bytes suffice', () => {
  for (const [bytes, count] of [[2 ** 9, 768], [2 ** 10, 768], [2 ** 18, 769], [2 ** 18, 1024], [2 ** 32, 1537]] as const) {
    const columns = new Columns(bytes, count);
    let before = 0;
    for (let column = 0; column < count; column++) {
      const { lo, hi } = columns.bytes(column);
      assert.ok(hi > lo);
      if (columns.cells >= count) assert.equal(lo, before);
      assert.ok(columns.of(lo) <= column && column <= columns.lastOf(hi - 1));
      before = hi;
    }
    assert.equal(before, bytes);
  }
});

test('rows in sight are those that touch it, and the fitting zoom shows all', () => {
  const zoom = fitZoom(SEGMENTS, 500, () => 9, () => 20, LEAST_ZOOM);
  const geometry = new Geometry(SEGMENTS, zoom, 800, 9, 20);
  assert.ok(geometry.height <= 500);
  assert.ok(new Geometry(SEGMENTS, zoom - 1, 800, 9, 20).height > 500);
  const all = geometry.rows(0, geometry.height);
  for (const [top, height] of [[0, 100], [33, 70], [150, 9], [geometry.height - 30, 100]] as const) {
    const wanted = all.filter(({ y }) => y < top + height && y + 9 > top);
    assert.deepEqual(geometry.rows(top, height), wanted);
  }
  assert.equal(geometry.rowAt(10), null, 'a head is no row');
});

test('far out, segments near each other share rows, with a gap; near, each has its own', () => {
  const many: Segment[] = Array.from({ length: 200 }, (_, k) => ({ kind: 'mmap', start: 0x7f0000000000 + k * 2 ** 23, end: 0x7f0000000000 + k * 2 ** 23 + 2 ** 21 }));
  const zoom = fitZoom(many, 500, () => 9, () => 4, LEAST_ZOOM);
  const far = new Geometry(many, zoom, 800, 9, 4);
  assert.equal(far.runs.length, 1);
  assert.ok(far.height <= 500 && zoom < 27, String(zoom));
  const columns = new Columns(far.rowBytes, 800);
  const raster = new Raster(far.rows(0, far.height), columns);
  const bytes = (wanted: number) => raster.kind.filter((kind) => kind === wanted).length * (far.rowBytes / 800);
  assert.ok(Math.abs(bytes(HOLE) - 200 * 2 ** 21) < 200 * 2 * (far.rowBytes / 800), 'what is drawn as ground is the segments');
  assert.equal(new Geometry(many, 16, 800, 9, 4).runs.length, 200);
});

test('regions of several moments become one ground', () => {
  const found = union([{ kind: 'heap', start: 0, end: 10 }], [{ kind: 'arena', start: 5, end: 40 }, { kind: 'mmap', start: 50, end: 60 }]);
  assert.deepEqual(found, [{ kind: 'arena', start: 0, end: 40 }, { kind: 'mmap', start: 50, end: 60 }]);
});

test('a picture of cells and one of blocks agree where something is', async () => {
  const { regions } = await process.layout(events >> 1);
  const heap = regions.find(({ kind }) => kind === 'heap')!;
  const geometry = new Geometry([heap], 12, 640, 13, 0);
  const rows = geometry.rows(0, geometry.height);
  const columns = new Columns(geometry.rowBytes, 640);
  const classify = () => 1;
  const near = await rasterAt(process, { geometry, rows, columns, pages: false }, events >> 1, classify, signal);
  assert.notEqual(near.blocks, null);
  const far = new Raster(rows, columns);
  far.addCells(0, rows.length, await process.cells(events >> 1, heap.start, columns.cellBytes, rows.length * columns.cells), classify);
  assert.ok(near.kind.some((kind) => kind === HOLE) && near.kind.some((kind) => kind === OUTSIDE) === heap.space.span_bytes % 4096 > 0);
  // A block's padding after the last byte in sight is of no consequence: all else is the same.
  assert.deepEqual(far.kind, near.kind);
  assert.deepEqual(far.stack, near.stack);
});

test('pages are as full as the layout says', async () => {
  for (const t of [events >> 2, events >> 1, events]) {
    const { regions, page_bytes } = await process.layout(t);
    for (const region of regions) {
      const geometry = new Geometry([region], 17, 640, 20, 0);
      const sight = { geometry, rows: geometry.rows(0, geometry.height), columns: new Columns(2 ** 17, 2 ** 17 / page_bytes), pages: true };
      const { kind } = await rasterAt(process, sight, t, () => 0, signal);
      const count = (wanted: number) => kind.filter((it) => it === wanted).length;
      const { empty, under_25, under_50, under_75, under_100, full } = region.space.pages;
      assert.deepEqual([0, 1, 2, 3, 4, 5].map(count), [empty, under_25, under_50, under_75, under_100, full]);
    }
  }
  assert.deepEqual([0, 1, 1023, 1024, 4095, 4096].map((used) => fillClass(used, 4096)), [0, 1, 1, 2, 4, 5]);
});

const GROUNDS: Record<'light' | 'dark', Ground> = {
  light: { hole: 0xeaeef2, line: 0x55626f, warn: 0xb35900, bg: 0xffffff },
  dark: { hole: 0x1f262e, line: 0x93a1af, warn: 0xe69f00, bg: 0x0f1317 },
};

test('a lone block of 16 bytes in 16 MiB is seen at the lowest zoom, whatever the colours mean (ui.md 4.15, 15)', () => {
  const segment: Segment = { kind: 'arena', start: 0x7f0000000000, end: 0x7f0000000000 + 2 ** 24 };
  for (const zoom of [19, 24, MOST_ZOOM]) {
    const geometry = new Geometry([segment], zoom, 800, 13, 0);
    const columns = new Columns(geometry.rowBytes, 800);
    const rows = geometry.rows(0, geometry.height);
    const length = Math.ceil(2 ** 24 / columns.cellBytes);
    const cells: Cells = {
      lo: segment.start, cell_bytes: columns.cellBytes, used: new Float64Array(length), stack: new Uint32Array(length), size: new Float64Array(length),
      born: new Uint32Array(length), died: new Uint32Array(length), thread: new Uint16Array(length), leak: new Uint8Array(length),
    };
    const at = length >> 1;
    cells.used[at] = 16;
    cells.size[at] = 16;
    for (const theme of ['light', 'dark'] as const) {
      for (const { id } of COLOURS) {
        for (const died of [events - 1, NEVER]) {
          cells.died[at] = died;
          const { classes, classify } = classesOf(id, process, events, new Map([[3, 0]]));
          const raster = new Raster(rows, columns);
          raster.addCells(0, rows.length, cells, classify);
          const frame = { width: 800, height: 13 * rows.length, y: (row: number) => 13 * row, rowHeight: 13, cells: false };
          const words = new Uint32Array(frame.width * frame.height);
          paint(words, frame, raster, palette(classes, theme, GROUNDS[theme]), null);
          const { hole } = GROUNDS[theme];
          const best = Math.max(...[...new Set(words)].filter((word) => word !== 0).map((word) => contrast(colourOf(word), hole)));
          assert.ok(best >= 3, `${theme} ${id} at 2^${zoom}: ${best.toFixed(2)}`);
        }
      }
    }
  }
});

function colourOf(word: number): number {
  return ((word & 0xff) << 16) | (word & 0xff00) | ((word >> 16) & 0xff);
}

test('all classes of all colours stand out from a hole', () => {
  for (const theme of ['light', 'dark'] as const) {
    for (const { id } of COLOURS) {
      for (const { label, colour } of classesOf(id, process, events, new Map([[3, 0]])).classes) {
        assert.ok(contrast(colour(theme), GROUNDS[theme].hole) >= 3, `${theme} ${id} ${label}: ${contrast(colour(theme), GROUNDS[theme].hole).toFixed(2)}`);
      }
    }
  }
});

test('changes: what is at the same place may be another block', async () => {
  const [a, b] = [events >> 2, events >> 1];
  const heap = (await process.layout(b)).regions.find(({ kind }) => kind === 'heap')!;
  const geometry = new Geometry([heap], LEAST_ZOOM, 600, 20, 0);
  const sight = { geometry, rows: geometry.rows(0, 2000), columns: new Columns(2 ** LEAST_ZOOM, 600), pages: false };
  const before = await rasterAt(process, sight, a, () => APPEARED, signal);
  const after = await rasterAt(process, sight, b, () => APPEARED, signal);
  const [was, is] = [before.blocks!, after.blocks!];
  const changed = changes(before, after, a);
  const seen = new Set<number>();
  sight.rows.forEach((row, index) => {
    for (let column = 0; column < 600; column += 7) {
      const { lo, hi } = sight.columns.bytes(column);
      const [earlier, later] = [at(was, row.lo + lo, row.lo + hi), at(is, row.lo + lo, row.lo + hi)];
      const kind = changed.kind[index * 600 + column]!;
      if (kind === OUTSIDE) continue;
      const wanted = later === null ? (earlier === null ? HOLE : GONE) : later === earlier ? STAYED : APPEARED;
      assert.equal(kind, wanted, `${(row.lo + lo).toString(16)}`);
      seen.add(kind);
    }
  });
  assert.deepEqual([...seen].sort(), [HOLE, APPEARED, GONE, STAYED]);
});

/** The id of the block whose footprint holds bytes; slowly. */
function at(blocks: Blocks, lo: number, hi: number): number | null {
  for (let k = 0; k < blocks.count; k++) if (blocks.addr[k]! < hi && footprintEnd(blocks, k) > lo) return blocks.id[k]!;
  return null;
}

test('of the blocks in a few bytes the one with most of them counts', async () => {
  const { rows } = await process.live(events >> 1, 0, 2 ** 53, 1e6);
  const pick = numbers(5);
  for (let turn = 0; turn < 300; turn++) {
    const lo = rows.addr[pick(rows.count)]! - pick(200);
    const hi = lo + 1 + pick(500);
    const shares = Array.from({ length: rows.count }, (_, k) => Math.min(hi, rows.addr[k]! + Math.max(rows.size[k]!, rows.usable[k]!)) - Math.max(lo, rows.addr[k]!));
    const index = dominant(rows, lo, hi);
    const most = Math.max(...shares);
    assert.equal(index < 0 ? 0 : shares[index], Math.max(0, most));
  }
});

test('holes by size are all the holes of the layout', async () => {
  const { regions, total } = await process.layout(events >> 1);
  const parts = await Promise.all(regions.map(({ start, end }) => process.live(events >> 1, start, end, 1e6)));
  const found = holesBySize(parts.map(({ rows }) => rows));
  assert.equal(found.reduce((sum, it) => sum + it.count, 0), total.holes.count);
  assert.equal(found.reduce((sum, it) => sum + it.bytes, 0), total.holes.bytes);
  assert.ok(total.holes.count > 10);
});

/** CIE L*a*b* of a colour as seen without green cones (Machado, Oliveira and Fernandes, 2009). */
function labWithoutGreen(colour: number): number[] {
  const linear = [16, 8, 0].map((shift) => ((colour >> shift) & 255) / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
  const through = (matrix: number[][], vector: number[]) => matrix.map((row) => row.reduce((sum, factor, k) => sum + factor * vector[k]!, 0));
  const seen = through([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]], linear);
  const xyz = through([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]], seen.map((v) => Math.max(0, v)));
  const [x, y, z] = xyz.map((v, k) => v / [0.95047, 1, 1.08883][k]!).map((v) => (v > 0.008856 ? Math.cbrt(v) : 7.787 * v + 16 / 116)) as [number, number, number];
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
}

test('neighbours in the legend differ for those who do not see green (ui.md 4.15, 20)', () => {
  for (const theme of ['light', 'dark'] as const) {
    for (const { id } of COLOURS) {
      const { classes } = classesOf(id, process, events, new Map([0, 1, 2, 3, 4, 5, 6].map((rank) => [rank + 2, rank])));
      classes.slice(1).forEach(({ label, colour }, index) => {
        const [one, other] = [labWithoutGreen(classes[index]!.colour(theme)), labWithoutGreen(colour(theme))];
        const distance = Math.hypot(...one.map((v, k) => v - other[k]!));
        assert.ok(distance >= 10, `${theme} ${id}: ${classes[index]!.label} and ${label} differ by ${distance.toFixed(1)}`);
      });
    }
  }
});

test('a block has the same colour over time as at a moment', async () => {
  const { rows } = await process.live(events >> 1, 0, 2 ** 53, 1e6);
  const sites = new Map([0, 1, 2].map((rank) => [rank + 2, rank]));
  let compared = 0;
  for (const { id } of COLOURS) {
    const { classify, groups } = classesOf(id, process, events >> 1, sites);
    assert.equal(groups === null, id === 'age');
    if (groups === null) continue;
    const { by, limits, classOf } = groups;
    for (let index = 0; index < rows.count; index += 17) {
      // Of one nanosecond and one byte there is one block.
      const [at, lo] = [events >> 1, rows.addr[index]!];
      const { fill, group } = await process.time_map({ lo, hi: lo + 1, a: at, b: at, width: 1, height: 1, by, limits, q: '' });
      if (fill[0] === 0) continue;
      assert.equal(classOf(group[0]!), classify(rows, index), `${id} of #${rows.id[index]}`);
      compared++;
    }
  }
  assert.ok(compared > 100);
});

test('a region that is shown alone has its live blocks, wherever in it they begin (their holes were not sorted)', () => {
  const space = { span_bytes: 0x2000, used_bytes: 1, live_bytes: 1, live_blocks: 1, slack_bytes: 0, holes: { count: 0, bytes: 0, largest_bytes: 0 } } as Space;
  const regions: Region[] = [
    { kind: 'heap', start: 0x3000, end: 0x5000, space },
    { kind: 'arena', start: 0x20000, end: 0x22000, space },
  ];
  const now: Layout = { page_bytes: 4096, total: space, regions, pins: [] };
  ground.value = [{ kind: 'heap', start: 0x1000, end: 0x9000 }, { kind: 'arena', start: 0x20000, end: 0x30000 }];
  region.value = 0x1000;
  assert.deepEqual(regionsShown(now), [regions[0]]);
  region.value = null;
  assert.deepEqual(regionsShown(now), regions);
});
