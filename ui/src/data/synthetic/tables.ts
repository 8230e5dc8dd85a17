// The tables of the synthetic process: its blocks, as an allocator with bins would place them.

import { NEVER } from '../types.ts';
import type { Column, Columns } from '../columns.ts';
import { FUNCTIONS, PLACES, type FnName, type Place } from './program.ts';
import { Random } from './random.ts';

export const HEAP = 0x559f6b7cf000;
const MMAP = 0x7f20c4000000;
const TICK_NS = 1000;

const columns = (named: Record<string, Column>, meta = {}): Columns => ({ meta, columns: named });
const u32 = (values: number[]) => Uint32Array.from(values);

/** Backtraces and their names. */
export function nameTables() {
  const strings = [''];
  const index = new Map<string, number>([['', 0]]);
  const text = (value: string) => {
    if (!index.has(value)) index.set(value, strings.push(value) - 1);
    return index.get(value)!;
  };
  const names = Object.keys(FUNCTIONS) as FnName[];
  const all = names.map((name) => FUNCTIONS[name]);
  const frames = columns({
    name: u32(all.map((it) => text(it[0]))), short: u32(all.map((it) => text(it[1]))), file: u32(all.map((it) => text(it[2]))),
    line: u32(all.map((it) => it[3])), module: u32(all.map((it) => text(it[4]))), fn: u32(all.map((_, k) => k)),
    flags: Uint8Array.from(all, (it) => it[5]),
  });
  const stacks = { parent: [0], frame: [0], site: [0] };
  const known = new Map<string, number>();
  const ends = PLACES.map(({ path }) => {
    let stack = 0;
    let site = -1;
    for (const name of path) {
      const frame = names.indexOf(name);
      if (!(FUNCTIONS[name][5] & 4) || site < 0) site = frame;
      const key = `${stack} ${frame}`;
      if (!known.has(key)) {
        known.set(key, stacks.parent.push(stack) - 1);
        stacks.frame.push(frame);
        stacks.site.push(site);
      }
      stack = known.get(key)!;
    }
    return stack;
  });
  return {
    strings: columns({ bytes: new TextEncoder().encode(strings.map((it) => `${it}\0`).join('')) }),
    frames,
    stacks: columns({ parent: u32(stacks.parent), frame: u32(stacks.frame), site: u32(stacks.site) }),
    ends,
  };
}

/** One event, before its time is known. */
interface Act {
  at: number;
  block: number;
  ends: boolean;
}

/** `count` blocks; with what is told of the process beside them. */
export function blockTables(count: number, ends: number[], seed: number) {
  const random = new Random(seed);
  const placeOf = new Uint8Array(count);
  const acts: Act[] = [];
  const total = PLACES.reduce((sum, it) => sum + it.weight, 0);
  for (let block = 0; block < count; block++) {
    let left = random.share() * total;
    let chosen = 0;
    while ((left -= PLACES[chosen]!.weight) > 0 && chosen < PLACES.length - 1) chosen++;
    placeOf[block] = chosen;
    const { from, to, life, leaks } = PLACES[chosen]!;
    const at = from + random.share() * (to - from);
    acts.push({ at, block, ends: false });
    const lasts = life === 0 ? 1e-9 : -Math.log(1 - random.share()) * life;
    if (!random.chance(leaks) && at + lasts < 1.05) acts.push({ at: Math.min(0.9999 + 0.0001 * random.share(), at + lasts), block, ends: true });
  }
  acts.sort((x, y) => x.at - y.at || Number(x.ends) - Number(y.ends));

  const rank = new Int32Array(count);
  const heap = new Heap();
  const list = { born: new Uint32Array(count), died: new Uint32Array(count).fill(NEVER), size_lo: new Uint32Array(count),
    addr_lo: new Uint32Array(count), addr_hi: new Uint32Array(count), usable: new Uint32Array(count), stack: new Uint32Array(count),
    freed_stack: new Uint32Array(count), thread: new Uint16Array(count), freed_thread: new Uint16Array(count),
    api: new Uint8Array(count), flags: new Uint8Array(count), leak: new Uint8Array(count) };
  const newest = new Map<number, number>();
  let born = 0;
  acts.forEach(({ block, ends: over }, position) => {
    const origin: Place = PLACES[placeOf[block]!]!;
    if (!over) {
      const size = random.pick(origin.sizes);
      const { addr, usable } = heap.take(size);
      rank[block] = born;
      newest.set(origin.thread, born);
      list.born[born] = position;
      list.size_lo[born] = size;
      list.usable[born] = usable;
      list.addr_lo[born] = addr % 2 ** 32;
      list.addr_hi[born] = Math.floor(addr / 2 ** 32);
      list.stack[born] = ends[placeOf[block]!]!;
      list.thread[born] = origin.thread;
      list.api[born] = origin.api;
      born++;
      return;
    }
    const b = rank[block]!;
    list.died[b] = position;
    list.freed_stack[b] = random.chance(0.7) ? list.stack[b]! : 0;
    list.freed_thread[b] = random.chance(0.95) ? origin.thread : 0;
    if (newest.get(origin.thread) === b) list.flags[b] = 1;
    heap.give(list.addr_hi[b]! * 2 ** 32 + list.addr_lo[b]!, list.usable[b]!);
  });
  for (let b = 0; b < count; b++) if (list.died[b] === NEVER) list.leak[b] = 1 + random.below(4);
  return { blocks: columns(list), times: timesOf(acts), events: acts.length };
}

/** Two seconds of run; several events share a tick. */
function timesOf(acts: Act[]): Columns {
  const position: number[] = [];
  const time: number[] = [];
  acts.forEach(({ at }, rank) => {
    const ns = 1_000_000 + Math.floor((at * 2e9) / TICK_NS) * TICK_NS;
    if (ns === time.at(-1)) return;
    position.push(rank + 1);
    time.push(ns);
  });
  return columns({ position: u32(position), time_lo: u32(time.map((it) => it % 2 ** 32)), time_hi: u32(time.map((it) => Math.floor(it / 2 ** 32))) });
}

/** First fit by bins, mappings for the large ones. */
class Heap {
  #top = HEAP + 0x2a0;
  #mapped = MMAP;
  readonly #bins = new Map<number, number[]>();

  take(size: number): { addr: number; usable: number } {
    if (size >= 128 * 1024) {
      const bytes = Math.ceil((size + 16) / 4096) * 4096;
      this.#mapped -= bytes;
      return { addr: this.#mapped + 16, usable: bytes - 16 };
    }
    const usable = Math.max(24, Math.ceil((size - 8) / 16) * 16 + 8);
    const again = this.#bins.get(usable)?.pop();
    if (again !== undefined) return { addr: again, usable };
    const addr = this.#top + 16;
    this.#top += usable + 8;
    return { addr, usable };
  }

  give(addr: number, usable: number): void {
    if (usable >= 128 * 1024) return;
    const bin = this.#bins.get(usable);
    if (bin) bin.push(addr);
    else this.#bins.set(usable, [addr]);
  }
}
