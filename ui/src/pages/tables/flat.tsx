// A flat table: one row a group, sorted by a column.

import { useMemo } from 'preact/hooks';
import type { Metric, Unit } from '../../data/types.ts';
import { copy } from '../../state/actions.ts';
import { useQuery } from '../../state/query.ts';
import { data, filter, goTo, metric, select, selected, unit } from '../../state/state.ts';
import { compile } from '../../tree/search.ts';
import { merged, threadName, threadsById } from '../../tree/shared.ts';
import { treesOf } from '../../tree/weights.ts';
import { Name, Place } from '../../ui/name.tsx';
import { type Column, Table } from '../../ui/table.tsx';
import { count, counted } from '../../ui/units.ts';
import { sandwich } from '../flame/menus.tsx';
import { Nothing } from '../nothing.tsx';
import { sizeTerm } from '../histograms/terms.ts';
import { search } from '../flame/params.ts';
import { useMoments } from '../flame/use.ts';
import { Measured, RunLine, widthOf } from './cells.tsx';
import { type ColumnDef, markdown, tsv } from './columns.ts';
import { type By, type Groups, groups, listed } from './groups.ts';
import { sorted } from './params.ts';
import { useMetrics, type Values } from './use.ts';

/** So many size classes are there at most: up to 2^52 bytes. */
const SIZES = 53;

export function FlatTable({ by, columns }: { by: By; columns: ColumnDef[] }) {
  const kind = by === 'thread' ? 'threads' : by === 'size' ? 'sizes' : 'stacks';
  const needed = new Set<Metric>(columns.flatMap((it) => it.needs));
  const { known, error } = useMetrics(kind, needed);
  const rows = useGroups(by);
  const sums = useMemo(() => new WeakMap<Values, { bytes: Float64Array; blocks: Float64Array }>(), [rows]);
  const read = (row: number) => (id: Metric, of: Unit): number => {
    const values = known.get(id);
    if (!values) return NaN;
    let found = sums.get(values);
    if (!found) sums.set(values, (found = { bytes: rows.sum(values.bytes), blocks: rows.sum(values.blocks) }));
    return found[of][row] ?? 0;
  };
  const own = known.get(metric.value);
  const selfs = useMemo(() => own && rows.self?.(own[unit.value]), [rows, own, unit.value]);
  const value = (def: ColumnDef, row: number) => (def.id === 'self' ? (selfs?.[row] ?? NaN) : def.value(read(row), unit.value));
  const descending = !sorted.value.startsWith('-');
  const key = sorted.value.replace('-', '') || metric.value;
  const order = useMemo(() => {
    const pattern = search.value === '' ? null : compile(search.value);
    const fit = [];
    for (let row = 0; row < rows.keys.length; row++) {
      if (pattern && !pattern.test(rows.whole(rows.keys[row]!))) continue;
      if (columns.some((def) => value(def, row) !== 0 && !Number.isNaN(value(def, row)))) fit.push(row);
    }
    return sort(fit, rows, key, descending, columns, value);
  }, [rows, ...known.values(), known.size, selfs, key, descending, search.value, columns.map((it) => it.id).join(), unit.value]);
  const most = useMemo(() => new Map(columns.map((def) => [def.id, order.reduce((top, row) => Math.max(top, Math.abs(value(def, row)) || 0), 0)])), [order, columns.length]);
  const lines = useLines(rows, columns.some((it) => it.id === 'line'));
  if (error !== '') return <p class="failure" role="alert">{error}</p>;

  const drawn: Column<number>[] = columns.map((def) => ({
    key: def.id,
    title: def.title,
    hint: def.hint,
    numeric: def.id !== 'line',
    width: widthOf(def.id),
    cell: (row) => {
      if (def.id !== 'line') return <Measured def={def} value={value(def, row)} most={most.get(def.id)!} />;
      const line = lines?.map((it) => it[row]!);
      return line && <RunLine line={line} />;
    },
  }));
  // Nothing in any column, as far as they are there.
  const empty = own !== undefined && search.value === '' && order.length === 0;
  if (empty) return <Nothing what="blocks" />;
  const name: Column<number> = {
    key: 'name', title: TITLES[by], width: 'minmax(240px, 1fr)',
    cell: (row) => <RowName groups={rows} id={rows.keys[row]!} />,
  };
  const totals = { name: 'all', ...Object.fromEntries(columns.map((def) => [def.id, total(def, known)])) };
  return (
    <Table
      columns={[name, ...drawn]}
      count={order.length}
      row={(index) => order[index]}
      rowKey={(row) => rows.keys[row]!}
      sort={{ key, descending }}
      onSort={(id) => id !== 'line' && (sorted.value = key === id && descending ? `-${id}` : id === metric.value ? '' : id)}
      selected={(row) => isSelected(by, rows.keys[row]!)}
      onSelect={(row) => choose(by, rows.keys[row]!)}
      onOpen={(row) => open(by, rows.keys[row]!)}
      totals={totals}
      label={`By ${TITLES[by]}`}
      testid="tables-flat"
      footer={
        <div class="tables-foot">
          <span data-testid="tables-count">{counted(order.length, 'row')}</span>
          <span>{rows.self ? 'A block is in the row of each function on its backtrace: rows overlap.' : 'Each block is in one row.'} Enter: {OPENS[by]}.</span>
          <span class="flame-tools-end">
            <button class="text-button" data-testid="tables-tsv" onClick={() => void copy(text('tsv'))}>copy as TSV</button>
            <button class="text-button" onClick={() => void copy(text('markdown'))}>copy as Markdown</button>
          </span>
        </div>
      }
    />
  );

  /** What is shown, with exact numbers. */
  function text(format: 'tsv' | 'markdown'): string {
    const numbers = columns.filter((it) => it.id !== 'line');
    const exact = (it: number) => (Number.isNaN(it) ? '' : Number.isInteger(it) ? it : Number(it.toPrecision(6)));
    const cells = order.map((row) => [rows.whole(rows.keys[row]!).replaceAll('\n', ' · '), ...numbers.map((def) => exact(value(def, row)))]);
    const head = [TITLES[by], ...numbers.map((def) => (def.value === undefined ? def.title : `${def.title}${unitOf(def)}`))];
    return format === 'tsv' ? tsv(head, cells) : markdown(head, [false, ...numbers.map(() => true)], cells);
  }
}

const TITLES: Record<By, string> = {
  site: 'call site', function: 'function', file: 'file', module: 'module', thread: 'thread', size: 'size', stack: 'backtrace',
};

function unitOf(def: ColumnDef): string {
  if (def.id === 'calls' || def.id === 'temporary') return '';
  return def.id === 'mean' ? ' (bytes)' : ` (${unit.value})`;
}

function useGroups(by: By): Groups {
  const { stacks, info } = data.value;
  const tree = by === 'function' ? merged.value : null;
  return useMemo(() => {
    if (by === 'thread') return listed(Array.from({ length: treesOf(data.value) }, (_, k) => threadName(k)));
    if (by === 'size') return listed(Array.from({ length: SIZES }, (_, k) => (k === 0 ? '0–1 B' : k === 1 ? '2 B' : `${count(2 ** (k - 1) + 1)}–${count(2 ** k)} B`)));
    return groups(by, stacks, merged.peek());
  }, [by, stacks, info, tree]);
}

/** The name and place of a row. */
export function RowName({ groups, id }: { groups: Groups; id: number }) {
  const [, file, line] = /^(.*?)(:\d+)?$/s.exec(groups.place(id))!;
  return (
    <span class="frame-name">
      <Name text={groups.name(id)} title={groups.whole(id)} />
      {file !== '' && <Place file={file!} line={line ?? ''} />}
    </span>
  );
}

function sort(rows: number[], groups: Groups, key: string, descending: boolean, columns: ColumnDef[], value: (def: ColumnDef, row: number) => number): number[] {
  const def = columns.find((it) => it.id === key);
  if (!def) {
    const names = new Map(rows.map((row) => [row, groups.name(groups.keys[row]!)]));
    // Names ascend first.
    return rows.sort((x, y) => (names.get(x)! < names.get(y)! ? -1 : 1) * (descending ? 1 : -1));
  }
  // Rows with nothing to say are last, whichever way.
  const weights = new Map(rows.map((row) => [row, value(def, row)]));
  const weigh = (row: number) => (Number.isNaN(weights.get(row)!) ? -Infinity : weights.get(row)! * (descending ? 1 : -1));
  return rows.sort((x, y) => weigh(y) - weigh(x) || x - y);
}

function total(def: ColumnDef, known: Map<Metric, Values>) {
  if (def.id === 'line') return '';
  if (def.id === 'self') return def.write(known.get(metric.value)?.total[unit.value] ?? 0, unit.value);
  if (!def.needs.every((id) => known.has(id))) return '…';
  return def.write(def.value((id, of) => known.get(id)!.total[of], unit.value), unit.value);
}

/** Live bytes of each row over the run; taken one moment at a time, so that nothing waits for it. */
function useLines(groups: Groups, wanted: boolean): Float64Array[] | undefined {
  const moments = useMoments();
  const answer = useQuery(async (signal) => {
    const found = moments.value.value;
    if (!wanted || !found || found.of !== data.value) return undefined;
    const lines = [];
    for (const values of found.bytes) {
      if (values.length !== found.of.stacks.count) return undefined;
      lines.push(groups.sum(values));
      await new Promise((resume) => setTimeout(resume, 0));
      signal.throwIfAborted();
    }
    return { groups, lines };
  }, [groups, wanted]).value.value;
  return answer?.groups === groups ? answer.lines : undefined;
}

function choose(by: By, key: number): void {
  if (key < 0) return;
  if (by === 'site' || by === 'stack') select(by, key);
  else if (by === 'function') select('fn', key);
}

function isSelected(by: By, key: number): boolean {
  const kind = by === 'function' ? 'fn' : by;
  return selected.value?.kind === kind && selected.value.id === key;
}

/** What Enter and a double-click do with a row. */
const OPENS: Record<By, string> = {
  site: 'the source', stack: 'the source', function: 'callers and callees',
  file: 'only backtraces with it', module: 'only backtraces with it', thread: 'only blocks of it', size: 'only blocks of it',
};

function open(by: By, key: number): void {
  const { stacks, info } = data.value;
  if (key < 0) return;
  if (by === 'function') return sandwich(key);
  if (by === 'site' || by === 'stack') {
    choose(by, key);
    return goTo('source');
  }
  const text = () => `"${stacks.frames.strings[key]!.replaceAll('"', '')}"`;
  const thread = () => threadsById(info)[key]?.tid;
  const word = { file: () => `file:${text()}`, module: () => `mod:${text()}`, thread: () => `thread:${thread()}`, size: () => sizeTerm(key) }[by]();
  filter.value = `${filter.value} ${word}`.trim();
}
