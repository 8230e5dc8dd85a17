// The tables of the synthetic process: its blocks, as an allocator with bins would place them.

import type { Column, Columns } from '../columns.ts';
import { FUNCTIONS, PLACES, type Fn, type FnName, type Place } from './program.ts';
import { orderOf } from '../inpage/search.ts';
import { Random } from './random.ts';

export const HEAP = 0x559f6b7cf000;
const MMAP = 0x7f20c4000000;
const TICK_NS = 1000;

const columns = (named: Record<string, Column>, meta = {}): Columns => ({ meta, columns: named });
const u32 = (values: number[]) => Uint32Array.from(values);

/** Backtraces and their names; `ends` has for each place the stacks that it allocates with: one, or more to make so many stacks. */
export function nameTables(wanted: number, seed: number) {
  const strings = [''];
  const index = new Map<string, number>([['', 0]]);
  const text = (value: string) => {
    if (!index.has(value)) index.set(value, strings.push(value) - 1);
    return index.get(value)!;
  };
  // Frame 0 stands for "no backtrace".
  const names = Object.keys(FUNCTIONS) as FnName[];
  const all: Fn[] = [['', '', '', 0, '', 0], ...names.map((name) => FUNCTIONS[name] as Fn)];
  const frames = columns({
    name: u32(all.map((it) => text(it[0]))), short: u32(all.map((it) => text(it[1]))), file: u32(all.map((it) => text(it[2]))),
    line: u32(all.map((it) => it[3])), module: u32(all.map((it) => text(it[4]))), fn: u32(all.map((_, k) => k)),
    flags: Uint8Array.from(all, (it) => it[5]),
  });
  const tree = new Tree();
  const path = (from: number, of: FnName[]) => of.reduce((stack, name) => tree.child(stack, names.indexOf(name) + 1), from);
  const ends = PLACES.map((place) => [path(0, place.path)]);
  const random = new Random(seed);
  const between = names.filter((name) => !(FUNCTIONS[name][5] & 4));
  const middles = PLACES.map((place) => [path(0, place.path.slice(0, -2))]);
  while (tree.parent.length < wanted) {
    const chosen = random.below(PLACES.length);
    const middle = path(random.pick(middles[chosen]!), [random.pick(between)]);
    middles[chosen]!.push(middle);
    ends[chosen]!.push(path(middle, PLACES[chosen]!.path.slice(-2)));
  }
  return {
    strings: columns({ bytes: new TextEncoder().encode(strings.map((it) => `${it}\0`).join('')) }),
    frames,
    stacks: columns({ back: u32(tree.parent.map((parent, k) => k - parent)), frame: u32(tree.frame) }),
    ends,
  };
}

/** Stacks as they are made. */
class Tree {
  readonly parent = [0];
  readonly frame = [0];
  readonly #known = new Map<number, number>();

  /** The stack of a frame called from another. */
  child(stack: number, frame: number): number {
    const key = stack * 65536 + frame;
    let known = this.#known.get(key);
    if (known === undefined) {
      known = this.parent.push(stack) - 1;
      this.frame.push(frame);
      this.#known.set(key, known);
    }
    return known;
  }
}

/** `count` blocks; with what is told of the process beside them. */
export function blockTables(count: number, ends: number[][], seed: number) {
  const random = new Random(seed);
  const placeOf = Uint8Array.from({ length: count }, () => pickPlace(random));
  // When each block begins (even numbers) and ends (odd ones), as a share of the run; infinite: never.
  const when = new Float64Array(count * 2).fill(Infinity);
  for (let block = 0; block < count; block++) {
    const { from, to, life, leaks } = PLACES[placeOf[block]!]!;
    const at = (when[block * 2] = from + random.share() * (to - from));
    const lasts = life === 0 ? 1e-9 : -Math.log(1 - random.share()) * life;
    // Most of what is left is freed just before the end; nothing before it began.
    if (!random.chance(leaks) && at + lasts < 1.05) when[block * 2 + 1] = Math.max(at + 1e-9, Math.min(0.9999 + 0.0001 * random.share(), at + lasts));
  }
  const order = orderOf(when);
  const events = order.findIndex((act) => when[act] === Infinity);
  const acts = order.subarray(0, events < 0 ? order.length : events);

  const rank = new Int32Array(count);
  const heap = new Heap();
  const list = {
    born: new Uint32Array(count), stack: new Uint32Array(count), life: new Uint32Array(count), freed_stack: new Uint32Array(count),
    size_lo: new Uint32Array(count), usable: new Uint32Array(count), addr_lo: new Uint32Array(count), addr_hi: new Uint32Array(count),
    thread: new Uint16Array(count), freed_thread: new Uint16Array(count), api: new Uint8Array(count), flags: new Uint8Array(count), leak: new Uint8Array(count),
  };
  const newest = new Map<number, number>();
  let born = 0;
  acts.forEach((act, position) => {
    const place: Place = PLACES[placeOf[act >>> 1]!]!;
    if (act % 2 === 0) {
      const size = random.pick(place.sizes);
      const { addr, usable } = heap.take(size);
      rank[act >>> 1] = born;
      newest.set(place.thread, born);
      list.born[born] = position;
      list.size_lo[born] = size;
      list.usable[born] = usable;
      list.addr_lo[born] = addr % 2 ** 32;
      list.addr_hi[born] = Math.floor(addr / 2 ** 32);
      list.stack[born] = random.pick(ends[placeOf[act >>> 1]!]!);
      list.thread[born] = place.thread;
      list.api[born] = place.api;
      born++;
      return;
    }
    const block = rank[act >>> 1]!;
    list.life[block] = position - list.born[block]!;
    list.freed_stack[block] = random.chance(0.7) ? list.stack[block]! : 0;
    list.freed_thread[block] = random.chance(0.95) ? place.thread : 0;
    if (newest.get(place.thread) === block) list.flags[block] = 1;
    heap.give(list.addr_hi[block]! * 2 ** 32 + list.addr_lo[block]!, list.usable[block]!);
  });
  for (let block = 0; block < count; block++) if (list.life[block] === 0) list.leak[block] = 1 + random.below(4);
  return { blocks: columns(list), times: timesOf(Float64Array.from(acts, (act) => when[act]!)), events: acts.length };
}

const TOTAL = PLACES.reduce((sum, it) => sum + it.weight, 0);

function pickPlace(random: Random): number {
  let left = random.share() * TOTAL;
  let chosen = 0;
  while ((left -= PLACES[chosen]!.weight) > 0 && chosen < PLACES.length - 1) chosen++;
  return chosen;
}

/** Two seconds of run; several events share a tick. */
function timesOf(shares: Float64Array): Columns {
  const position: number[] = [];
  const time: number[] = [];
  shares.forEach((share, rank) => {
    const ns = 1_000_000 + Math.floor((share * 2e9) / TICK_NS) * TICK_NS;
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
