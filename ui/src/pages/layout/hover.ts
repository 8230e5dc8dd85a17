// What is under the pointer or the focus, and what is known of it: at once from the picture, then from the data.

import { computed, signal } from '@preact/signals';
import type { Blocks } from '../../data/types.ts';
import { data, t } from '../../state/state.ts';
import type { Spot } from './geometry.ts';
import { dominant } from './picture.ts';
import { HOLE, OUTSIDE, type Raster } from './raster.ts';
import { changing, marks } from './view.ts';

export interface Hover {
  spot: Spot;
  /** The stack of the block that gives the column its colour; `null`: a hole. */
  stack: number | null;
}

export const hover = signal<Hover | null>(null);
/** The address at which the keyboard is; `null`: the map has no focus. */
export const focused = signal<number | null>(null);

/** The site whose blocks are outlined: that of the block under the pointer. */
export const hoveredSite = computed(() => {
  const stack = hover.value?.stack;
  return stack === null || stack === undefined ? null : data.value.stacks.site[stack]!;
});

/** What a raster knows of a spot. */
export function look(raster: Raster, spot: Spot, column: number): Hover {
  const row = raster.rows.findIndex(({ lo }) => lo === spot.row.lo);
  const at = row * raster.columns.count + column;
  const kind = row < 0 ? HOLE : raster.kind[at]!;
  return { spot, stack: kind === HOLE || kind === OUTSIDE ? null : raster.stack[at]! };
}

/** A block of the live ones, and how many share the bytes that were asked for. */
export interface Found {
  blocks: Blocks;
  index: number;
  lo: number;
  hi: number;
  /** When. */
  position: number;
}

const MOST = 1 << 18;

/** The block that a spot stands for: that with most bytes in it, at the first of these moments that has one. */
export async function findBlock(lo: number, hi: number, signal?: AbortSignal): Promise<Found | null> {
  for (const position of moments()) {
    const { rows } = await data.value.live(position, lo, hi, MOST, signal);
    const index = dominant(rows, lo, hi);
    if (index >= 0) return { blocks: rows, index, lo, hi, position };
  }
  return null;
}

/** What the map is of: T, or the later and the earlier mark. */
function moments(): number[] {
  const set = marks.peek();
  return changing.peek() && set !== null ? [set.b, set.a] : [t.peek()];
}

/** The bytes that a drag over the map has chosen so far. */
export const dragged = signal<{ lo: number; hi: number } | null>(null);
