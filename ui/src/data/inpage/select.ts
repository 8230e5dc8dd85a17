// Which blocks a metric is about; docs/page.md, Time.

import { NEVER, type Measure } from '../types.ts';
import { TEMPORARY, type BlockTable } from './blocks.ts';
import type { Curve } from './curve.ts';

/** A filter that has been evaluated: 1 for each block that passes; `null`: all do. */
export type Mask = Uint8Array | null;

/** Takes a block; `sign` is -1 for those that a diff subtracts. */
export type Take = (block: number, sign: number) => void;

/** The position that live blocks are looked at: T, the peak, or the end of the range. */
export function positionOf(measure: Measure, curve: Curve): number {
  if (measure.metric === 'live') return measure.t;
  return measure.metric === 'peak' ? curve.peak(measure.a, measure.b).position : measure.b;
}

/** Calls `take` with every block of a metric that passes the mask. `at`: what `positionOf` says. */
export function forEachBlock(table: BlockTable, measure: Measure, at: number, mask: Mask, take: Take): void {
  const { a, b } = measure;
  switch (measure.metric) {
    case 'live':
    case 'peak': {
      const { died } = table;
      const end = table.begunBy(at);
      for (let i = 0; i < end; i++) {
        if (died[i]! >= at && (!mask || mask[i]! === 1)) take(i, 1);
      }
      return;
    }
    case 'freed': {
      for (const i of table.diedIn(a, b)) if (!mask || mask[i]! === 1) take(i, 1);
      return;
    }
    case 'diff': {
      for (const i of table.diedIn(a, b)) if (table.start[i]! <= a && (!mask || mask[i]! === 1)) take(i, -1);
      forEachBlock(table, { ...measure, metric: 'kept' }, at, mask, take);
      return;
    }
    default: {
      const { died, flags } = table;
      const least = measure.metric === 'kept' ? b : measure.metric === 'leaked' ? NEVER : 0;
      const wanted = measure.metric === 'temp' ? TEMPORARY : 0;
      const [from, to] = table.bornIn(a, b);
      for (let i = from; i < to; i++) {
        if (died[i]! >= least && (flags[i]! & wanted) === wanted && (!mask || mask[i]! === 1)) take(i, 1);
      }
    }
  }
}
