// Live blocks in address order, and the holes between them: the rules of heaptape-analysis's extents.rs.

import type { AddressOrder } from './blocks.ts';
import type { Slices } from './slices.ts';

/**
 * Gaps smaller than this are the allocator's headers and padding; no block would fit (the smallest chunk of glibc is
 * 32 bytes). They count as used, as part of the block before them.
 */
export const MIN_HOLE_BYTES = 32;

/** Takes a block's extent: its bytes up to `end`, with the header or padding after them, and the hole after that. */
export type TakeExtent = (place: number, end: number, hole: number) => void;

/** Blocks between two looks at the clock. */
export const STEP = 1 << 12;

/** The extents of live blocks, given by place, ascending. Where blocks overlap, bytes belong to the first one. */
export async function extents(order: AddressOrder, live: Uint32Array, from: number, to: number, take: TakeExtent, slices: Slices): Promise<void> {
  let reached = 0;
  const one = (k: number) => {
    const place = live[k]!;
    let end = Math.max(order.end(place), reached);
    let hole = 0;
    if (k + 1 < to) {
      const gap = Math.max(0, order.addr[live[k + 1]!]! - end);
      if (gap >= MIN_HOLE_BYTES) hole = gap;
      else end += gap;
    }
    reached = end;
    take(place, end, hole);
  };
  const some = (first: number, last: number) => {
    for (let k = first; k < last; k++) one(k);
  };
  await slices.each(from, to, some, STEP);
}
