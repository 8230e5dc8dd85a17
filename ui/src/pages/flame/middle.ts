// The function in the middle of a sandwich, as a picture and as a table: all functions to choose from, and both halves.

import { useMemo } from 'preact/hooks';
import { BottomUp } from '../../tree/bottomup.ts';
import type { TopDown } from '../../tree/topdown.ts';
import { byFunction } from '../../tree/view.ts';
import { middle } from './params.ts';

export interface FunctionRow {
  fn: number;
  total: number;
  self: number;
}

/** Functions with a weight, the heaviest first, and the one that was chosen; `values` by stack. */
export function useMiddle(base: TopDown, values: Float64Array | undefined): { rows: FunctionRow[]; fn: number } {
  const rows = useMemo(() => {
    if (!values) return [];
    const list: FunctionRow[] = [...byFunction(base, values)].filter(([fn, it]) => fn >= 0 && it.total !== 0).map(([fn, it]) => ({ fn, ...it }));
    return list.sort((x, y) => Math.abs(y.total) - Math.abs(x.total) || x.fn - y.fn);
  }, [base, values]);
  if (/^\d{1,9}$/.test(middle.value)) return { rows, fn: Number(middle.value) };
  // The one that itself allocates most says more than main.
  const heaviest = rows.reduce((best, row) => (Math.abs(row.self) > Math.abs(best.self) ? row : best), { fn: -1, total: 0, self: 0 });
  return { rows, fn: heaviest.fn };
}

/** Who calls a function, and what it calls. */
export function useHalves(base: TopDown, fn: number): { callers: BottomUp; callees: TopDown } {
  return useMemo(() => ({ callers: BottomUp.callers(base, fn), callees: base.callees(fn) }), [base, fn]);
}
