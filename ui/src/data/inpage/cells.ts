// A grid of equal cells over the address space: what lies in each.

import type { Cells } from '../types.ts';
import type { AddressOrder, BlockTable } from './blocks.ts';
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
export function cellsOf(
  table: BlockTable, order: AddressOrder, live: Uint32Array, lo: number, cell_bytes: number, count: number, owners: Owners,
): Cells {
  const used = new Float64Array(count);
  owners.clear(count);
  const { place: owner, bytes: owned } = owners;
  const { addr, extent } = order;
  const hi = lo + cell_bytes * count;
  let reached = lo;
  let cell = 0;
  let edge = lo + cell_bytes;
  const credit = (place: number, bytes: number) => {
    used[cell]! += bytes;
    if (bytes <= owned[cell]!) return;
    owned[cell] = bytes;
    owner[cell] = place;
  };
  for (let n = 0; n < live.length; n++) {
    const place = live[n]!;
    let from = Math.max(reached, addr[place]!);
    let end = Math.max(reached, addr[place]! + extent[place]!);
    if (n + 1 < live.length) {
      const gap = addr[live[n + 1]!]! - end;
      if (gap > 0 && gap < MIN_HOLE_BYTES) end += gap;
    }
    reached = end;
    const to = Math.min(hi, end);
    if (from >= to) continue;
    if (from >= edge) {
      cell = Math.floor((from - lo) / cell_bytes);
      edge = lo + (cell + 1) * cell_bytes;
    }
    while (to > edge) {
      credit(place, edge - from);
      from = edge;
      cell++;
      edge = lo + (cell + 1) * cell_bytes;
    }
    credit(place, to - from);
  }
  return described(table, order, { lo, cell_bytes, used }, owners);
}

/** With what there is to say of each cell's owner. */
function described(
  table: BlockTable, order: AddressOrder, { lo, cell_bytes, used }: Pick<Cells, 'lo' | 'cell_bytes' | 'used'>, { place: owner, bytes: owned }: Owners,
): Cells {
  const count = used.length;
  const stack = new Uint32Array(count);
  const size = new Float64Array(count);
  const born = new Uint32Array(count);
  const died = new Uint32Array(count);
  const thread = new Uint16Array(count);
  const leak = new Uint8Array(count);
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
