// Which blocks a metric is about; docs/page.md, Time.

import { NEVER, type Measure } from '../types.ts';
import { TEMPORARY, type Population } from './blocks.ts';
import type { LiveCurve } from './curve.ts';
import { lowerBound, upperBound } from './search.ts';

/** A filter that has been evaluated: 1 for each block that passes; `null`: all do. */
export type Mask = Uint8Array | null;

/** Takes a block; `sign` is -1 for those that a diff subtracts. */
export type Take = (block: number, sign: number) => void;

/** The blocks of a measure. */
export interface Selection {
  measure: Measure;
  /** Where live ones are looked at: T, the peak, or the end of the range. */
  at: number;
  mask: Mask;
}

export function positionOf(measure: Measure, curve: LiveCurve): number {
  if (measure.metric === 'live') return measure.t;
  return measure.metric === 'peak' ? curve.peak(measure.a, measure.b).position : measure.b;
}

/** None of its blocks are outside of these: from the first index up to the second. */
export function bounds(table: Population, { measure, at }: Selection): [number, number] {
  const isOfBirths = measure.metric === 'kept' || measure.metric === 'leaked' || measure.metric === 'alloc' || measure.metric === 'temp';
  return [isOfBirths ? lowerBound(table.start, measure.a + 1) : 0, upperBound(table.start, at)];
}

/**
 * Writes to `places` which blocks from `from` up to `to` die at `at` or later; how many they are. While T moves this is asked of
 * all blocks again and again: adding truths spares jumps that cannot be foreseen.
 */
export function livingOn({ died }: Population, at: number, from: number, to: number, places: Uint32Array): number {
  // As an unsigned number it is compared without a conversion.
  const moment = at >>> 0;
  let count = 0;
  for (let i = from; i < to; i++) {
    places[count] = i;
    count += Number(died[i]! >= moment);
  }
  return count;
}

/** Calls `take` with the blocks of a selection among those from `from` up to `to`, by birth. */
export function forEachBlock(table: Population, selection: Selection, from: number, to: number, take: Take): void {
  const { measure, at, mask } = selection;
  const { a, b } = measure;
  const { start, died, flags } = table;
  const [first, end] = bounds(table, selection);
  const passes = (i: number) => mask === null || mask[i] === 1;
  from = Math.max(from, first);
  to = Math.min(to, end);
  switch (measure.metric) {
    case 'live':
    case 'peak':
      for (let i = from; i < to; i++) if (died[i]! >= at && passes(i)) take(i, 1);
      return;
    case 'kept':
      for (let i = from; i < to; i++) if (died[i]! >= b && passes(i)) take(i, 1);
      return;
    case 'leaked':
      for (let i = from; i < to; i++) if (died[i] === NEVER && passes(i)) take(i, 1);
      return;
    case 'alloc':
      for (let i = from; i < to; i++) if (passes(i)) take(i, 1);
      return;
    case 'temp':
      for (let i = from; i < to; i++) if ((flags[i]! & TEMPORARY) !== 0 && passes(i)) take(i, 1);
      return;
    case 'freed':
      for (let i = from; i < to; i++) if (died[i]! >= a && died[i]! < b && passes(i)) take(i, 1);
      return;
    case 'diff':
      for (let i = from; i < to; i++) {
        const sign = Number(died[i]! >= b) - Number(start[i]! <= a && died[i]! >= a);
        if (sign !== 0 && passes(i)) take(i, sign);
      }
  }
}
