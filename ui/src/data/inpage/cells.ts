// A grid of equal cells over the address space: what lies in each.

import type { Cells } from '../types.ts';
import type { BlockTable } from './blocks.ts';
import { MIN_HOLE_BYTES } from './extents.ts';

/** By cell, the place of the block with most bytes in it, and how many: kept from one grid to the next. */
export class Owners {
  place = new Uint32Array(0);
  bytes = new Float64Array(0);

  /** Of so many cells, nobody in any. */
  clear(count: number): void {
    if (this.place.length < count) {
      this.place = new Uint32Array(count);
      this.bytes = new Float64Array(count);
    } else {
      this.bytes.fill(0, 0, count);
    }
  }
}

/**
 * `live`: places of the live blocks that may reach into the grid, ascending. Extents are those of `extents`, in a loop of
 * its own: a map is drawn at every frame of a drag.
 */
export function cellsOf(table: BlockTable, live: Uint32Array, lo: number, cell_bytes: number, count: number, owners: Owners): Cells {
  const used = new Float64Array(count);
  owners.clear(count);
  const { place: owner, bytes: owned } = owners;
  const { addr, extent } = table.byAddress;
  const hi = lo + cell_bytes * count;
  let reached = 0;
  for (let n = 0; n < live.length; n++) {
    const place = live[n]!;
    const from = Math.max(lo, reached, addr[place]!);
    let end = Math.max(addr[place]! + extent[place]!, reached);
    if (n + 1 < live.length) {
      const gap = addr[live[n + 1]!]! - end;
      if (gap > 0 && gap < MIN_HOLE_BYTES) end += gap;
    }
    reached = end;
    const to = end < hi ? end : hi;
    if (from >= to) continue;
    const last = Math.floor((to - 1 - lo) / cell_bytes);
    for (let k = Math.floor((from - lo) / cell_bytes); k <= last; k++) {
      const begin = lo + k * cell_bytes;
      const bytes = Math.min(to, begin + cell_bytes) - Math.max(from, begin);
      used[k]! += bytes;
      if (bytes <= owned[k]!) continue;
      owned[k] = bytes;
      owner[k] = place;
    }
  }
  return described(table, { lo, cell_bytes, used }, owners);
}

/** With what there is to say of each cell's owner. */
function described(
  table: BlockTable, { lo, cell_bytes, used }: Pick<Cells, 'lo' | 'cell_bytes' | 'used'>, { place: owner, bytes: owned }: Owners,
): Cells {
  const count = used.length;
  const stack = new Uint32Array(count);
  const size = new Float64Array(count);
  const born = new Uint32Array(count);
  const died = new Uint32Array(count);
  const thread = new Uint16Array(count);
  const leak = new Uint8Array(count);
  const order = table.byAddress;
  for (let k = 0; k < count; k++) {
    if (owned[k] === 0) continue;
    const place = owner[k]!;
    if (k > 0 && owned[k - 1] !== 0 && owner[k - 1] === place) {
      stack[k] = stack[k - 1]!;
      size[k] = size[k - 1]!;
      born[k] = born[k - 1]!;
      died[k] = died[k - 1]!;
      thread[k] = thread[k - 1]!;
      leak[k] = leak[k - 1]!;
      continue;
    }
    const block = order.block[place]!;
    stack[k] = order.stack[place]!;
    size[k] = table.size[block]!;
    born[k] = table.born(block);
    died[k] = order.died[place]!;
    thread[k] = table.thread[block]!;
    leak[k] = table.leak[block]!;
  }
  return { lo, cell_bytes, used, stack, size, born, died, thread, leak };
}
