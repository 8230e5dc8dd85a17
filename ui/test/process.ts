// Small random processes: every oddity that a tape may have, more often than any has.

import type { Column, Columns } from '../src/data/columns.ts';
import { InPage, type Tables } from '../src/data/inpage/inpage.ts';
import type { Ground } from '../src/data/inpage/layout.ts';
import { Random } from '../src/data/synthetic/random.ts';
import { NEVER, type ProcessInfo } from '../src/data/types.ts';

/** A block as the definitions of docs/page.md speak of it. */
export interface Block {
  id: number;
  born: number;
  died: number;
  inherited: boolean;
  addr: number;
  size: number;
  usable: number;
  bytes: number;
  blocks: number;
  stack: number;
  thread: number;
  flags: number;
  leak: number;
}

export interface Made {
  process: InPage;
  blocks: Block[];
  events: number;
  /** Nanoseconds of each event. */
  clock: number[];
  ground: Ground;
  random: Random;
}

export const PAGE = 512;
export const NAMES = ['', 'f', 'ns::g(int)', 'operator new', 'h', 'src/a.cpp', 'src/b.cpp', 'libz.so', 'main'];
/** Frames: name, file, line, module (indices of names). Frame 0 is none, 3 a wrapper. */
const FRAMES = [[0, 0, 0, 0], [1, 5, 3, 8], [2, 5, 9, 8], [3, 0, 0, 7], [4, 6, 1, 7], [2, 6, 9, 8]];
export const STACKS = { parent: [0, 0, 1, 2, 1, 4, 0], frame: [0, 1, 2, 3, 4, 3, 5], site: [0, 1, 2, 2, 4, 4, 5] };

const columns = (named: Record<string, Column>): Columns => ({ meta: {}, columns: named });
const u32 = (values: number[]) => Uint32Array.from(values);

/** `apart`: no block overlaps another one that lives at the same time. */
export function randomProcess(seed: number, apart = false, cells = 0): Made {
  const random = new Random(seed);
  const events = 1 + random.below(60);
  const clock: number[] = [];
  for (let at = 1000, k = 0; k < events; k++) clock.push((at += random.chance(0.4) ? 0 : 1000 * random.below(5)));
  const sampled = random.chance(0.2);
  const ranks = Array.from({ length: events }, (_, rank) => rank);
  const blocks: Block[] = [];
  for (let k = random.below(3); k > 0; k--) blocks.push(randomBlock(random, -1, events, sampled));
  for (const rank of ranks) if (random.chance(0.6)) blocks.push(randomBlock(random, rank, events, sampled));
  if (apart) moveApart(blocks);
  blocks.forEach((block, k) => (block.id = k + 1));
  const ground: Ground = { page_bytes: PAGE, executable_end: 0x10000, modules: [0x8000, 0x30000] };
  const info = { start_ns: 500, end_ns: clock.at(-1)! + 700, event_count: events, peak: peakOf(blocks, events), threads: [{ tid: 70, name: 'main' }, { tid: 71, name: 'io' }], snapshots: [] };
  const tables = tablesOf(blocks, clock, sampled);
  if (cells > 0) Object.assign(tables, cappedTables(blocks, events, cells));
  const process = new InPage(info as unknown as ProcessInfo, tables, NO_SAMPLES, ground, ['malloc', 'calloc']);
  return { process, blocks, events, clock, ground, random };
}

/** The first position of most live bytes. */
function peakOf(blocks: Block[], events: number): { position: number; bytes: number; blocks: number } {
  let best = { position: 0, bytes: -1, blocks: 0 };
  for (let position = 0; position <= events; position++) {
    const live = blocks.filter((it) => (it.inherited || it.born < position) && position <= it.died);
    const sum = (of: 'bytes' | 'blocks') => live.reduce((all, it) => all + it[of], 0);
    if (sum('bytes') > best.bytes) best = { position, bytes: sum('bytes'), blocks: sum('blocks') };
  }
  return best;
}

const NO_SAMPLES = { time_ns: new Float64Array(0), rss: new Float64Array(0), anon: new Float64Array(0), file: new Float64Array(0) };

function randomBlock(random: Random, born: number, events: number, sampled: boolean): Block {
  const inherited = born < 0;
  const died = random.chance(0.3) || born + 1 >= events ? NEVER : born + 1 + random.below(events - born - 1);
  const size = random.pick([0, 1, 2, 24, 25, 100, 513, 1500, 5000, 200_000]);
  const usable = random.pick([0, size, size + 7]);
  const near = 0x10000 + random.below(400) * 16;
  const addr = random.chance(0.8) ? near : random.pick([16 + PAGE * 64, 0x20000, 0x31000, 2 ** 41 + 16, 2 ** 33 + random.below(100)]);
  const weight = sampled ? [random.below(9000), random.below(9)] : [size, 1];
  return {
    id: 0, born: inherited ? NEVER : born, died, inherited, addr, size, usable, bytes: weight[0]!, blocks: weight[1]!, stack: random.below(7),
    thread: random.below(2), flags: (random.chance(0.2) ? 1 : 0) | (random.chance(0.2) ? 2 : 0) | (inherited ? 4 : 0) | (died !== NEVER && random.chance(0.4) ? 8 : 0), leak: random.below(5),
  };
}

function moveApart(blocks: Block[]): void {
  let next = 0x10000 + 3;
  for (const block of blocks) {
    block.addr = next;
    next += Math.max(1, block.size, block.usable) + [0, 8, 31, 32, 700, 2_000_000][block.stack % 6]!;
  }
}

function tablesOf(blocks: Block[], clock: number[], sampled: boolean): Tables {
  const of = (key: keyof Block) => u32(blocks.map((it) => Number(it[key]) % 2 ** 32));
  const changes = clock.flatMap((time, rank) => (time === clock[rank - 1] ? [] : [rank]));
  const named: Record<string, Column> = {
    born: of('born'), life: u32(blocks.map((it) => (it.died === NEVER ? 0 : (it.died - it.born) >>> 0))), size_lo: of('size'), usable: of('usable'), stack: of('stack'), freed_stack: u32(blocks.map(() => 0)),
    addr_lo: of('addr'), addr_hi: u32(blocks.map((it) => Math.floor(it.addr / 2 ** 32))),
    thread: Uint16Array.from(blocks, (it) => it.thread), freed_thread: Uint16Array.from(blocks, (it) => it.thread),
    api: new Uint8Array(blocks.length), flags: Uint8Array.from(blocks, (it) => it.flags), leak: Uint8Array.from(blocks, (it) => it.leak),
  };
  if (sampled) {
    named['weight_bytes'] = Float64Array.from(blocks, (it) => it.bytes);
    named['weight_blocks'] = Float64Array.from(blocks, (it) => it.blocks);
  }
  const frame = (k: number) => u32(FRAMES.map((it) => it[k]!));
  return {
    strings: columns({ bytes: new TextEncoder().encode(NAMES.map((it) => `${it}\0`).join('')) }),
    frames: columns({ name: frame(0), short: frame(0), file: frame(1), line: frame(2), module: frame(3), fn: frame(0), flags: Uint8Array.from(FRAMES, (_, k) => (k === 3 ? 4 : 0)) }),
    stacks: columns({ back: u32(STACKS.parent.map((parent, k) => k - parent)), frame: u32(STACKS.frame) }),
    blocks: columns(named),
    times: columns({ position: u32(changes.map((rank) => rank + 1)), time_lo: u32(changes.map((rank) => clock[rank]!)), time_hi: u32(changes.map(() => 0)) }),
    flows: null, timeline: null, contents: null, source: null,
  };
}

/** Flows of all blocks on a grid of so many cells, and a timeline of one bucket. */
function cappedTables(blocks: Block[], events: number, cells: number): Partial<Tables> {
  const line = (rank: number) => {
    let cell = 0;
    while (cell + 1 < cells && Math.floor(((cell + 1) * events) / cells) <= rank) cell++;
    return Math.floor((cell * events) / cells);
  };
  const rows = blocks.map((it) => ({ ...it, born: it.inherited ? NEVER : line(it.born), died: it.died === NEVER ? NEVER : line(it.died) }));
  rows.sort((x, y) => x.born - y.born || x.died - y.died);
  const sum = (of: (row: Block) => number) => Float64Array.from(rows, of);
  const of = (key: 'born' | 'died' | 'stack') => u32(rows.map((it) => it[key]));
  const named = { born: of('born'), died: of('died'), stack: of('stack'), bytes: sum((it) => it.bytes), blocks: sum((it) => it.blocks),
    temp_bytes: sum((it) => (it.flags & 1) * it.bytes), temp_blocks: sum((it) => (it.flags & 1) * it.blocks) };
  const one = new Float64Array(1);
  return { flows: { meta: { grid: cells }, columns: named }, timeline: { meta: { from_ns: 0, to_ns: 1 }, columns: { min: one, max: one, last: one } } };
}

/** Runs a test with many processes; says which one failed. */
export async function forProcesses(count: number, check: (made: Made) => Promise<void> | void, apart = false): Promise<void> {
  for (let seed = 1; seed <= count; seed++) {
    try {
      await check(randomProcess(seed, apart));
    } catch (error) {
      throw new Error(`seed ${seed}: ${error instanceof Error ? error.stack : String(error)}`, { cause: error });
    }
  }
}

export const isLive = (it: Block, p: number) => (it.inherited || it.born < p) && p <= it.died;
export const extentOf = (it: Block) => Math.max(it.size, it.usable);
