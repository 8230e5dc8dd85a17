// The columns of the tables: what they are called, how they come of weights, how they are written.

import type { Metric, Unit } from '../../data/types.ts';
import { bytes, count, inUnit, percent } from '../../ui/units.ts';

export type ColumnId = Metric | 'self' | 'calls' | 'temporary' | 'mean' | 'line';

/** Values of one row: of a metric, bytes or blocks. */
export type Read = (metric: Metric, unit: Unit) => number;

export interface ColumnDef {
  id: ColumnId;
  title: string;
  /** In the words of the page, what the number is. */
  hint: string;
  /** Which metrics it is made of. */
  needs: readonly Metric[];
  /** NaN: nothing to say. */
  value: (read: Read, unit: Unit) => number;
  write: (value: number, unit: Unit) => string;
  /** What sums up to it, in the totals' row. */
  initially: boolean;
}

const change = (value: number, unit: Unit) => inUnit(value, unit, true);

function measured(id: Metric, title: string, hint: string, initially = false): ColumnDef {
  return { id, title, hint, needs: [id], value: (read, unit) => read(id, unit), write: id === 'diff' ? change : inUnit, initially };
}

const share = (part: number, whole: number) => (whole === 0 ? NaN : part / whole);
const blank = (value: number, write: () => string) => (Number.isNaN(value) ? '–' : write());

export const COLUMNS: readonly ColumnDef[] = [
  measured('live', 'live at T', 'Live at T', true),
  measured('peak', 'at peak', 'Live at the peak of the range', true),
  measured('kept', 'kept', 'Allocated in the range and still live at its end'),
  measured('leaked', 'never freed', 'Allocated in the range and never freed before exit', true),
  measured('alloc', 'allocated', 'Allocated in the range, freed or not', true),
  measured('freed', 'freed', 'Freed in the range'),
  measured('temp', 'temporary', 'Allocated in the range and freed before the same thread’s next allocation'),
  measured('diff', 'B − A', 'Live at the end of the range minus live at its beginning'),
  {
    id: 'calls', title: 'allocations', hint: 'How many blocks were allocated in the range', needs: ['alloc'], initially: true,
    value: (read) => read('alloc', 'blocks'), write: count,
  },
  {
    id: 'temporary', title: 'temp. %', hint: 'Of the blocks allocated in the range, how many were temporary', needs: ['alloc', 'temp'], initially: true,
    value: (read) => share(read('temp', 'blocks'), read('alloc', 'blocks')), write: (value) => blank(value, () => percent(value, 1)),
  },
  {
    id: 'mean', title: 'mean size', hint: 'Bytes by blocks of what was allocated in the range', needs: ['alloc'], initially: true,
    value: (read) => share(read('alloc', 'bytes'), read('alloc', 'blocks')), write: (value) => blank(value, () => bytes(value)),
  },
];

/** The own weight of a function in the metric that is shown. */
export function selfColumn(metric: Metric, title: string): ColumnDef {
  return {
    id: 'self', title: `self, ${title}`, hint: 'Of backtraces that end in the function itself', needs: [metric], initially: true,
    value: () => NaN, write: metric === 'diff' ? change : inUnit,
  };
}

/** A table as text: exact numbers, tabs between them. */
export function tsv(head: string[], rows: (string | number)[][]): string {
  const clean = (cell: string | number) => String(cell).replace(/[\t\n\r]/g, ' ');
  return [head, ...rows].map((row) => `${row.map(clean).join('\t')}\n`).join('');
}

export function markdown(head: string[], numeric: boolean[], rows: (string | number)[][]): string {
  const clean = (cell: string | number) => String(cell).replace(/[\n\r]/g, ' ').replace(/([\\|`*_<>])/g, '\\$1');
  const line = (cells: string[]) => `| ${cells.join(' | ')} |\n`;
  return line(head.map(clean)) + line(numeric.map((it) => (it ? '---:' : '---'))) + rows.map((row) => line(row.map(clean))).join('');
}
