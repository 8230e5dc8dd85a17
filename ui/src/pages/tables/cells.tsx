// Cells of the tables: a number on a bar, whose scale is its column's; a line over the run.

import { momentOfRun, unit } from '../../state/state.ts';
import { Sparkline } from '../../ui/sparkline.tsx';
import { bytes } from '../../ui/units.ts';
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

/** Live bytes over the run. */
export function RunLine({ line }: { line: number[] }) {
  return <Sparkline values={line} width={100} height={18} mark={momentOfRun} label={`Live bytes over the run, at most ${bytes(Math.max(...line))}`} />;
}

const WIDTHS: Partial<Record<string, string>> = { line: '104px', temporary: '72px', mean: '84px' };

export function widthOf(id: string): string {
  return WIDTHS[id] ?? '92px';
}
