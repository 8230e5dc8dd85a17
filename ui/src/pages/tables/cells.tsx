// Cells of the tables: a number on a bar, whose scale is its column's.

import { unit } from '../../state/state.ts';
import type { ColumnDef } from './columns.ts';

/** `most`: the largest of the column. */
export function Measured({ def, value, most }: { def: ColumnDef; value: number; most: number }) {
  const share = Number.isNaN(value) || most <= 0 ? 0 : Math.abs(value) / most;
  const kind = value < 0 ? 'measured less' : def.id === 'diff' ? 'measured more' : 'measured';
  return (
    <span class={value === 0 ? 'measured none' : kind} style={{ '--share': share.toFixed(4) }}>
      {def.write(value, unit.value)}
    </span>
  );
}

const WIDTHS: Partial<Record<string, string>> = { line: '104px', temporary: '72px', mean: '84px' };

export function widthOf(id: string): string {
  return WIDTHS[id] ?? '92px';
}
