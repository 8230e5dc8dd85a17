// Time × address: how used each cell is, and by whom most.

import { NEVER, type TimeMap } from '../types.ts';
import type { BlockTable } from './blocks.ts';
import type { TimeTable } from './times.ts';

/**
 * Columns are equal parts of the clock time from `a` to `b`, rows of the addresses from `lo` to `hi`. A block counts with
 * its usable bytes, for as much of a cell's time as it was live.
 */
export function timeMapOf(
  table: BlockTable, times: TimeTable, lo: number, hi: number, a: number, b: number, width: number, height: number,
): TimeMap {
  const from = times.of(a);
  const columns = width / Math.max(1, times.of(b) - from);
  const rows = height / Math.max(1, hi - lo);
  const cells = width * height;
  const used = new Float64Array(cells);
  const best = new Float64Array(cells);
  const stack = new Uint32Array(cells);
  const own = new Float64Array(cells);
  const touched: number[] = [];
  let current = -1;
  const settle = () => {
    for (const cell of touched) {
      used[cell]! += own[cell]!;
      if (own[cell]! > best[cell]!) {
        best[cell] = own[cell]!;
        stack[cell] = current;
      }
      own[cell] = 0;
    }
    touched.length = 0;
  };
  for (const i of byStack(table)) {
    if (table.start[i]! > b || table.died[i]! < a) continue;
    const [y0, y1] = [Math.max(0, (table.addr[i]! - lo) * rows), Math.min(height, (table.end(i) - lo) * rows)];
    const died = table.died[i]!;
    const x0 = Math.max(0, (times.of(table.start[i]!) - from) * columns);
    const x1 = died === NEVER ? width : Math.min(width, (times.of(died + 1) - from) * columns);
    if (y0 >= y1 || x0 >= x1) continue;
    if (table.stack[i] !== current) {
      settle();
      current = table.stack[i]!;
    }
    for (let y = Math.floor(y0); y < y1; y++) {
      const part = Math.min(y + 1, y1) - Math.max(y, y0);
      for (let x = Math.floor(x0); x < x1; x++) {
        const cell = y * width + x;
        if (own[cell] === 0) touched.push(cell);
        own[cell]! += part * (Math.min(x + 1, x1) - Math.max(x, x0));
      }
    }
  }
  settle();
  return { width, height, fill: Float32Array.from(used, (share) => Math.min(1, share)), stack };
}

/** All blocks by backtrace. */
function byStack(table: BlockTable): Uint32Array {
  let stacks = 0;
  for (let i = 0; i < table.count; i++) stacks = Math.max(stacks, table.stack[i]! + 1);
  const place = new Uint32Array(stacks + 1);
  for (let i = 0; i < table.count; i++) place[table.stack[i]! + 1]!++;
  for (let s = 0; s < stacks; s++) place[s + 1]! += place[s]!;
  const order = new Uint32Array(table.count);
  for (let i = 0; i < table.count; i++) order[place[table.stack[i]!]!++] = i;
  return order;
}
