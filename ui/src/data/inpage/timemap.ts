// Time × address: how used each cell is, and by which group of blocks most.

import { FREED, NEVER, type Stacks, type TimeMap, type TimeMapQuery } from '../types.ts';
import type { AddressOrder, BlockTable } from './blocks.ts';
import { lifetime } from './histograms.ts';
import { orderByRank, upperBound } from './search.ts';
import type { Mask } from './select.ts';
import type { Slices } from './slices.ts';
import type { TimeTable } from './times.ts';

/** Whose blocks are looked at. */
interface Ground {
  table: BlockTable;
  order: AddressOrder;
  stacks: Stacks;
  times: TimeTable;
}

/**
 * Columns are equal parts of the clock time from `a` to `b`, rows of the addresses from `lo` to `hi`. A block counts with
 * its own bytes, for as much of a cell's time as it was live.
 */
export async function timeMapOf(ground: Ground, query: TimeMapQuery, mask: Mask, slices: Slices): Promise<TimeMap> {
  const { order, times } = ground;
  const { lo, hi, a, b, width, height } = query;
  const cells = width * height;
  const begun = times.of(a);
  const columns = width / Math.max(1, times.of(b) - begun);
  const rows = height / Math.max(1, hi - lo);
  const draw = (place: number, take: (cell: number, share: number) => void) => {
    const died = order.died[place]!;
    const x0 = Math.max(0, (times.of(order.start[place]!) - begun) * columns);
    const x1 = died === NEVER ? width : Math.min(width, (times.of(died + 1) - begun) * columns);
    const y0 = Math.max(0, (order.addr[place]! - lo) * rows);
    const y1 = Math.min(height, (order.end(place) - lo) * rows);
    if (x0 < x1 && y0 < y1) cover(width, x0, x1, y0, y1, take);
  };
  const rest = new Float64Array(mask === null ? 0 : cells);
  const addToRest = (cell: number, share: number) => {
    rest[cell]! += share;
  };
  const groupOf = grouping(ground, query);
  const [first, end] = order.range(lo, hi);
  const group = new Uint32Array(order.count);
  const kept = new Uint32Array(end - Math.min(first, end));
  let count = 0;
  await slices.each(first, end, (from, to) => {
    for (let place = from; place < to; place++) {
      if (order.start[place]! > b || order.died[place]! < a || !order.touches(place, lo, hi)) continue;
      if (mask === null || mask[order.block[place]!] === 1) {
        group[place] = groupOf(place);
        kept[count++] = place;
      } else draw(place, addToRest);
    }
  }, DRAWN);
  const owners = new Owners(cells);
  const places = orderByRank(kept.slice(0, count), group);
  await slices.each(0, count, (from, to) => {
    for (let n = from; n < to; n++) {
      const place = places[n]!;
      const own = group[place]!;
      draw(place, (cell, share) => owners.add(cell, own, share));
    }
  }, DRAWN);
  const shares = (of: Float64Array) => Float32Array.from(of, (share) => Math.min(1, share));
  return { width, height, fill: shares(owners.used), group: owners.group, rest: shares(rest) };
}

/** Blocks between two looks at the clock: each may have many cells. */
const DRAWN = 1024;

/** The number of a block's group, by its place. */
function grouping({ table, order, stacks, times }: Ground, { by, limits }: TimeMapQuery): (place: number) => number {
  const { block } = order;
  switch (by) {
    case 'site':
      return (place) => stacks.site[order.stack[place]!]!;
    case 'size':
      return (place) => upperBound(limits, table.size[block[place]!]!);
    case 'lifetime':
      return (place) => (order.died[place] === NEVER ? limits.length + 1 : upperBound(limits, lifetime(table, times, block[place]!)));
    case 'thread':
      return (place) => table.thread[block[place]!]!;
    case 'leak':
      return (place) => (order.died[place] === NEVER ? table.leak[block[place]!]! : FREED);
  }
}

/** Calls `take` with each cell of a rectangle, in columns and rows, and how much of the cell that covers. */
function cover(width: number, x0: number, x1: number, y0: number, y1: number, take: (cell: number, share: number) => void): void {
  const first = Math.floor(x0);
  const last = Math.ceil(x1) - 1;
  for (let y = Math.floor(y0); y < y1; y++) {
    const high = Math.min(y + 1, y1) - Math.max(y, y0);
    const row = y * width;
    if (first === last) {
      take(row + first, high * (x1 - x0));
      continue;
    }
    take(row + first, high * (first + 1 - x0));
    for (let cell = row + first + 1; cell < row + last; cell++) take(cell, high);
    take(row + last, high * (x1 - last));
  }
}

/** Which group has the largest share of each cell. The shares of one group must be added one after the other. */
class Owners {
  readonly used: Float64Array;
  /** Of the largest share in each cell. */
  readonly group: Uint32Array;
  readonly #best: Float32Array;
  /** The share of `#ownerOf`, the last group that was added to the cell. */
  readonly #own: Float32Array;
  readonly #ownerOf: Int32Array;

  constructor(cells: number) {
    this.used = new Float64Array(cells);
    this.group = new Uint32Array(cells);
    this.#best = new Float32Array(cells);
    this.#own = new Float32Array(cells);
    this.#ownerOf = new Int32Array(cells).fill(-1);
  }

  add(cell: number, group: number, share: number): void {
    this.used[cell]! += share;
    const own = this.#ownerOf[cell] === group ? this.#own[cell]! + share : share;
    this.#own[cell] = own;
    this.#ownerOf[cell] = group;
    if (own <= this.#best[cell]!) return;
    this.#best[cell] = own;
    this.group[cell] = group;
  }
}
