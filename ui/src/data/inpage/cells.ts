// A grid of equal cells over the address space: what lies in each.

import type { Cells } from '../types.ts';
import type { BlockTable } from './blocks.ts';
import { extents } from './extents.ts';

/** `live`: the live blocks that may reach into the grid, by address. */
export function cellsOf(table: BlockTable, live: Uint32Array, lo: number, cell_bytes: number, count: number): Cells {
  const cells: Cells = {
    lo, cell_bytes,
    used: new Float64Array(count), stack: new Uint32Array(count), size: new Float64Array(count), born: new Uint32Array(count),
    died: new Uint32Array(count), thread: new Uint16Array(count), leak: new Uint8Array(count),
  };
  const owner = new Uint32Array(count);
  const owned = new Float64Array(count);
  const hi = lo + cell_bytes * count;
  let reached = 0;
  extents(table, live, 0, live.length, (block, end) => {
    const from = Math.max(lo, reached, table.addr[block]!);
    const to = Math.min(hi, end);
    reached = Math.max(reached, end);
    if (from >= to) return;
    const last = Math.min(count - 1, Math.floor((to - 1 - lo) / cell_bytes));
    for (let k = Math.floor((from - lo) / cell_bytes); k <= last; k++) {
      const bytes = Math.min(to, lo + (k + 1) * cell_bytes) - Math.max(from, lo + k * cell_bytes);
      cells.used[k]! += bytes;
      if (bytes <= owned[k]!) continue;
      owned[k] = bytes;
      owner[k] = block;
    }
  });
  for (let k = 0; k < count; k++) {
    if (owned[k] === 0) continue;
    const block = owner[k]!;
    cells.stack[k] = table.stack[block]!;
    cells.size[k] = table.size[block]!;
    cells.born[k] = table.born(block);
    cells.died[k] = table.died[block]!;
    cells.thread[k] = table.thread[block]!;
    cells.leak[k] = table.leak[block]!;
  }
  return cells;
}
