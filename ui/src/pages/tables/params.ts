// What the address says of the tables.

import { oneOf, param, text, type Codec } from '../../state/params.ts';
import { type ColumnId, COLUMNS } from './columns.ts';
import type { By } from './groups.ts';

export type Rows = By | 'top' | 'bottom' | 'callers';

export const rows = param<Rows>('rows', 'site', oneOf('site', 'function', 'file', 'module', 'thread', 'size', 'stack', 'top', 'bottom', 'callers'));

const IDS = [...COLUMNS.map((it) => it.id), 'self', 'line'];
const columnList: Codec<ColumnId[]> = {
  write: (list) => list.join('.'),
  parse: (written) => written.split('.').filter((it): it is ColumnId => IDS.includes(it)),
};
const INITIAL: ColumnId[] = [...COLUMNS.filter((it) => it.initially).map((it) => it.id), 'self', 'line'];
/** The columns that are shown; beside them always that of the metric. */
export const shownColumns = param<ColumnId[]>('cols', () => INITIAL, columnList);

/** `alloc` or `-alloc` (ascending), `name`; empty: by the metric. */
export const sorted = param('sort', '', text);
