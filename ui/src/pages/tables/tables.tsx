// Tables: who asked for the memory, in rows: grouped one way or another, or as trees.

import { data, metric, source, unit } from '../../state/state.ts';
import { compile } from '../../tree/search.ts';
import { FoldControl } from '../../tree/foldcontrol.tsx';
import { Choice } from '../../ui/choice.tsx';
import { search } from '../flame/params.ts';
import { COLUMNS, type ColumnDef, type ColumnId, selfColumn } from './columns.ts';
import { FlatTable } from './flat.tsx';
import { type Rows, rows, shownColumns } from './params.ts';
import { Callers, Tree } from './trees.tsx';
import './tables.css';
import '../flame/flame.css';

const FLAT: { id: Rows; name: string; hint: string }[] = [
  { id: 'site', name: 'call site', hint: 'The first frame outside the allocator and the runtime' },
  { id: 'function', name: 'function', hint: 'All functions of a backtrace; rows overlap' },
  { id: 'file', name: 'file', hint: 'The source file of the call site' },
  { id: 'module', name: 'module', hint: 'The program or library of the call site' },
  { id: 'thread', name: 'thread', hint: 'The thread that allocated' },
  { id: 'size', name: 'size class', hint: 'Sizes between powers of two' },
  { id: 'stack', name: 'backtrace', hint: 'Each backtrace by itself' },
];
const TREES: { id: Rows; name: string; hint: string }[] = [
  { id: 'top', name: 'top-down', hint: 'From main to what allocates' },
  { id: 'bottom', name: 'bottom-up', hint: 'From what allocates to its callers' },
  { id: 'callers', name: 'caller/callee', hint: 'Of one function' },
];

export function Tables() {
  const by = rows.value;
  const columns = columnsOf(by);
  // Of blocks that are not in a capped report, nobody knows thread or size.
  const capped = data.value.info.capped !== null;
  const flat = FLAT.some((it) => it.id === by);
  return (
    <div class="tables">
      <div class="flame-tools">
        <Choice label="One row for each" options={FLAT.map((it) => ({ ...it, disabled: capped && (it.id === 'thread' || it.id === 'size') }))} value={by} onChange={(id) => (rows.value = id)} testid="tables-by" />
        <Choice label="As a tree" options={TREES} value={by} onChange={(id) => (rows.value = id)} testid="tables-tree" />
        {(!flat || by === 'function') && <FoldControl />}
        <span class="flame-tools-end">
          {flat && (
            <input type="search" class="tables-search" placeholder="only rows that fit (regex)" aria-label="Only rows that fit a regular expression"
              value={search.value} onInput={(event) => compile(event.currentTarget.value) && (search.value = event.currentTarget.value)} data-testid="tables-search" />
          )}
          <Picker offered={columnsOffered(by)} />
        </span>
      </div>
      {by === 'top' || by === 'bottom' ? <Tree key={by} by={by} columns={columns} /> : by === 'callers' ? <Callers columns={columns} /> : <FlatTable key={by} by={by} columns={columns} />}
    </div>
  );
}

/** All columns that there can be. */
function columnsOffered(by: Rows): ColumnDef[] {
  const line: ColumnDef = { id: 'line', title: 'over the run', hint: 'Live bytes over the whole run', needs: [], value: () => NaN, write: () => '', initially: true };
  const self = by === 'function' || by === 'top' ? [selfColumn(metric.value, unit.value)] : [];
  const lines = by === 'thread' || by === 'size' ? [] : [line];
  return [...self, ...COLUMNS.filter((it) => it.id === metric.value || isTold(it)), ...lines];
}

/** Of a sample nobody knows what was temporary. */
function isTold({ needs }: ColumnDef): boolean {
  return source.value.overview.sampling === null || !needs.includes('temp');
}

/** That of the metric first, then those that were chosen. */
function columnsOf(by: Rows): ColumnDef[] {
  const offered = columnsOffered(by);
  const own = offered.find((it) => it.id === metric.value)!;
  return [own, ...offered.filter((it) => it !== own && shownColumns.value.includes(it.id))];
}

function Picker({ offered }: { offered: ColumnDef[] }) {
  const turn = (id: ColumnId) => {
    const shown = shownColumns.value;
    shownColumns.value = shown.includes(id) ? shown.filter((it) => it !== id) : [...shown, id];
  };
  return (
    <details class="picker" onKeyDown={(event) => event.key === 'Escape' && (event.currentTarget.open = false)}
      onFocusOut={({ currentTarget, relatedTarget }) => {
        if (relatedTarget && !currentTarget.contains(relatedTarget as Node)) currentTarget.open = false;
      }}>
      <summary class="text-button" data-testid="tables-columns">columns</summary>
      <div class="picker-list">
        {offered.map((it) => (
          <label key={it.id} title={it.hint}>
            <input type="checkbox" checked={it.id === metric.value || shownColumns.value.includes(it.id)} disabled={it.id === metric.value} onChange={() => turn(it.id)} />
            {it.title}
            {it.id === metric.value && <span class="quiet"> the metric</span>}
          </label>
        ))}
      </div>
    </details>
  );
}
