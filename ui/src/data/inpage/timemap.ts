// Time × address: how used each cell is, and by whom most.

import { NEVER, type TimeMap } from '../types.ts';
import type { AddressOrder } from './blocks.ts';
import type { Slices } from './slices.ts';
import type { TimeTable } from './times.ts';

/** What of the plane is looked at. */
export interface Window {
  lo: number;
  hi: number;
  a: number;
  b: number;
  width: number;
  height: number;
}

/**
 * Columns are equal parts of the clock time from `a` to `b`, rows of the addresses from `lo` to `hi`. A block counts with
 * its own bytes, for as much of a cell's time as it was live.
 */
export async function timeMapOf(order: AddressOrder, times: TimeTable, window: Window, slices: Slices): Promise<TimeMap> {
  const { lo, hi, a, b, width, height } = window;
  const grid = new Grid(width, height);
  const begun = times.of(a);
  const columns = width / Math.max(1, times.of(b) - begun);
  const rows = height / Math.max(1, hi - lo);
  const places = byStack(order, window);
  await slices.each(0, places.length, (from, to) => {
    for (let n = from; n < to; n++) {
      const place = places[n]!;
      const died = order.died[place]!;
      const x0 = Math.max(0, (times.of(order.start[place]!) - begun) * columns);
      const x1 = died === NEVER ? width : Math.min(width, (times.of(died + 1) - begun) * columns);
      const y0 = Math.max(0, (order.addr[place]! - lo) * rows);
      const y1 = Math.min(height, (order.end(place) - lo) * rows);
      if (x0 < x1 && y0 < y1) grid.add(order.stack[place]!, x0, x1, y0, y1);
    }
  }, 1024);
  return { width, height, fill: Float32Array.from(grid.used, (share) => Math.min(1, share)), stack: grid.stack };
}

/** Shares of cells, by whom. Those of one stack must be added one after the other. */
class Grid {
  readonly used: Float64Array;
  /** Of the largest share in each cell. */
  readonly stack: Uint32Array;
  readonly #width: number;
  readonly #best: Float32Array;
  /** The share of `#ownerOf`, the last stack that was added to the cell. */
  readonly #own: Float32Array;
  readonly #ownerOf: Int32Array;

  constructor(width: number, height: number) {
    const cells = width * height;
    this.#width = width;
    this.used = new Float64Array(cells);
    this.stack = new Uint32Array(cells);
    this.#best = new Float32Array(cells);
    this.#own = new Float32Array(cells);
    this.#ownerOf = new Int32Array(cells).fill(-1);
  }

  add(stack: number, x0: number, x1: number, y0: number, y1: number): void {
    const first = Math.floor(x0);
    const last = Math.ceil(x1) - 1;
    for (let y = Math.floor(y0); y < y1; y++) {
      const high = Math.min(y + 1, y1) - Math.max(y, y0);
      const row = y * this.#width;
      if (first === last) {
        this.#addTo(row + first, stack, high * (x1 - x0));
        continue;
      }
      this.#addTo(row + first, stack, high * (first + 1 - x0));
      for (let cell = row + first + 1; cell < row + last; cell++) this.#addTo(cell, stack, high);
      this.#addTo(row + last, stack, high * (x1 - last));
    }
  }

  #addTo(cell: number, stack: number, share: number): void {
    this.used[cell]! += share;
    const own = this.#ownerOf[cell] === stack ? this.#own[cell]! + share : share;
    this.#own[cell] = own;
    this.#ownerOf[cell] = stack;
    if (own <= this.#best[cell]!) return;
    this.#best[cell] = own;
    this.stack[cell] = stack;
  }
}

/** The places in the window by backtrace. */
function byStack(order: AddressOrder, { lo, hi, a, b }: Window): Uint32Array {
  const [from, to] = order.range(lo, hi);
  const isSeen = (place: number) => order.start[place]! <= b && order.died[place]! >= a && order.touches(place, lo, hi);
  let stacks = 0;
  let count = 0;
  for (let k = from; k < to; k++) {
    if (!isSeen(k)) continue;
    count++;
    stacks = Math.max(stacks, order.stack[k]! + 1);
  }
  const next = new Uint32Array(stacks + 1);
  for (let k = from; k < to; k++) if (isSeen(k)) next[order.stack[k]! + 1]!++;
  for (let s = 0; s < stacks; s++) next[s + 1]! += next[s]!;
  const places = new Uint32Array(count);
  for (let k = from; k < to; k++) if (isSeen(k)) places[next[order.stack[k]!]!++] = k;
  return places;
}
