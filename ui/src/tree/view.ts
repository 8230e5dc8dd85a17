// A shape with weights: what a flame graph draws and a tree table lists.

import type { StackWeights, Unit, Weight } from '../data/types.ts';
import type { Shape, Sums } from './shape.ts';
import type { TopDown } from './topdown.ts';

export interface View {
  shape: Shape;
  /** Never negative: of a difference, what changed, whichever way. */
  width: Sums;
  /** Negative where a difference is. */
  bytes: Sums;
  blocks: Sums;
  /** Of a difference: what there was before, in the unit. */
  before: Sums | null;
  unit: Unit;
  /** Whether numbers are changes. */
  signed: boolean;
}

/** Weights of each stack, for a view. */
export interface Selfs {
  bytes: Float64Array;
  blocks: Float64Array;
  /** Of a difference. */
  before?: StackWeights;
  signed: boolean;
}

export function view(shape: Shape, selfs: Selfs, unit: Unit): View {
  const shown = unit === 'bytes' ? selfs.bytes : selfs.blocks;
  const width = selfs.signed ? shown.map(Math.abs) : shown;
  const bytes = shape.sums(selfs.bytes);
  const blocks = shape.sums(selfs.blocks);
  const of = unit === 'bytes' ? bytes : blocks;
  return {
    shape,
    width: selfs.signed ? shape.sums(width) : of,
    bytes,
    blocks,
    before: selfs.before ? shape.sums(selfs.before[unit]) : null,
    unit,
    signed: selfs.signed,
  };
}

/** The value that is shown, in the view's unit. */
export function value(view: View, node: number): number {
  return (view.unit === 'bytes' ? view.bytes : view.blocks).total(node);
}

/** What lies on backtraces with a frame of a function that fits; each byte once, however often it fits. */
export function matching(base: TopDown, selfs: Selfs, fits: (fn: number) => boolean): Weight & { nodes: number; fns: number } {
  const bytes = base.sums(selfs.bytes);
  const blocks = base.sums(selfs.blocks);
  const found = { bytes: 0, blocks: 0, nodes: 0, fns: 0 };
  for (const node of base.outermost(fits)) {
    found.bytes += bytes.total(node);
    found.blocks += blocks.total(node);
  }
  const fns = new Set<number>();
  for (let node = 1; node < base.count; node++) {
    if (!fits(base.fns[node]!) || blocks.total(node) === 0) continue;
    found.nodes++;
    fns.add(base.fns[node]!);
  }
  found.fns = fns.size;
  return found;
}

/** Of each function its own weight and that of all under it, recursion counted once. */
export function byFunction(base: TopDown, values: Float64Array): Map<number, { total: number; self: number }> {
  const { totals, selfs } = base.sums(values);
  const first = base.firstOfFunction();
  const rows = new Map<number, { total: number; self: number }>();
  for (let node = 1; node < base.count; node++) {
    const fn = base.fns[node]!;
    let row = rows.get(fn);
    if (row === undefined) rows.set(fn, (row = { total: 0, self: 0 }));
    row.self += selfs[node]!;
    if (first[node]) row.total += totals[node]!;
  }
  return rows;
}
