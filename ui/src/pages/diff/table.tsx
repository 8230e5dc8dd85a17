// A, B, what changed, and by how much of A: one row a group.

import { useMemo, useState } from 'preact/hooks';
import { select, selected, unit } from '../../state/state.ts';
import { compile } from '../../tree/search.ts';
import { merged, mergeStacks } from '../../tree/shared.ts';
import { type Column, Table } from '../../ui/table.tsx';
import { count, inUnit } from '../../ui/units.ts';
import { search } from '../flame/params.ts';
import { shownShare } from '../flame/looks.ts';
import { RowName } from '../tables/flat.tsx';
import { groups } from '../tables/groups.ts';
import type { Difference } from './use.ts';
import '../tables/tables.css';

interface Row {
  key: number;
  before: number;
  after: number;
}

const VALUES: Record<string, (row: Row) => number> = {
  before: (row) => row.before,
  after: (row) => row.after,
  change: (row) => Math.abs(row.after - row.before),
  share: (row) => (row.before === 0 ? (row.after > 0 ? Infinity : 0) : (row.after - row.before) / row.before),
};

export function DiffTable({ found, by }: { found: Difference; by: 'site' | 'function' | 'stack' }) {
  const [sort, setSort] = useState({ key: 'change', descending: true });
  const tree = by === 'function' ? (found.own ? merged.value : mergeStacks(found.stacks, new Set())) : merged.peek();
  const words = useMemo(() => groups(by, found.stacks, tree), [by, found.stacks, tree]);
  const rows = useMemo(() => {
    const [before, after] = [words.sum(found.before[unit.value]), words.sum(found.after[unit.value])];
    return Array.from(words.keys, (key, row): Row => ({ key, before: before[row]!, after: after[row]! }));
  }, [words, found, unit.value]);
  const list = useMemo(() => {
    const pattern = search.value === '' ? null : compile(search.value);
    const fit = rows.filter((row) => (row.before !== 0 || row.after !== 0) && (!pattern || pattern.test(words.whole(row.key))));
    const of = VALUES[sort.key];
    const order = (x: Row, y: Row) => (of ? of(y) - of(x) || y.key - x.key : words.name(x.key) < words.name(y.key) ? -1 : 1);
    return fit.sort((x, y) => (sort.descending ? order(x, y) : order(y, x)));
  }, [rows, sort, search.value]);
  const most = list.reduce((top, row) => Math.max(top, Math.abs(row.after - row.before)), 0);
  const largest = list.reduce((top, row) => Math.max(top, row.before, row.after), 0);
  const amount = (value: number) => (
    <span class={value === 0 ? 'measured none' : 'measured'} style={{ '--share': (value / (largest || 1)).toFixed(4) }}>{inUnit(value, unit.value)}</span>
  );
  const columns: Column<Row>[] = [
    {
      key: 'name', title: { site: 'call site', function: 'function', stack: 'backtrace' }[by], width: 'minmax(240px, 1fr)',
      cell: ({ key }) => <RowName groups={words} id={key} />,
    },
    { key: 'before', title: 'A', numeric: true, width: '100px', hint: found.names.before, cell: (row) => amount(row.before) },
    { key: 'after', title: 'B', numeric: true, width: '100px', hint: found.names.after, cell: (row) => amount(row.after) },
    { key: 'change', title: 'B − A', numeric: true, width: '104px', hint: 'Ordered by how much changed, either way', cell: (row) => <Change row={row} /> },
    { key: 'bar', title: 'less / more', width: '130px', cell: (row) => <TwoWay share={most > 0 ? (row.after - row.before) / most : 0} /> },
    { key: 'share', title: '% of A', numeric: true, width: '84px', cell: (row) => (row.before === 0 ? (row.after > 0 ? 'new' : '–') : row.after === 0 ? 'gone' : shownShare(row.after - row.before, row.before)) },
  ];
  return (
    <Table
      columns={columns} count={list.length} row={(index) => list[index]} rowKey={(row) => row.key} sort={sort}
      onSort={(key) => key !== 'bar' && setSort({ key, descending: sort.key === key ? !sort.descending : true })}
      selected={(row) => found.own && selected.value?.kind === (by === 'function' ? 'fn' : by) && selected.value.id === row.key}
      onSelect={(row) => found.own && row.key >= 0 && select(by === 'function' ? 'fn' : by, row.key)}
      totals={{
        name: 'all', before: inUnit(found.before.total[unit.value], unit.value), after: inUnit(found.after.total[unit.value], unit.value),
        change: inUnit(found.after.total[unit.value] - found.before.total[unit.value], unit.value, true),
      }}
      label="Difference" testid="diff-table"
      footer={`${count(list.length)} rows. ${by === 'function' ? 'A block is in the row of each function on its backtrace: rows overlap.' : 'Each block is in one row.'}`}
    />
  );
}

function Change({ row }: { row: Row }) {
  const change = row.after - row.before;
  return <span class={change === 0 ? 'quiet' : undefined}>{inUnit(change, unit.value, true)}</span>;
}

/** A bar from the middle: less to the left, more to the right. */
function TwoWay({ share }: { share: number }) {
  const width = `${(50 * Math.abs(share)).toFixed(2)}%`;
  return (
    <span class="two-way" aria-hidden="true">
      {share !== 0 && <i class={share < 0 ? 'less' : 'more'} style={{ width: `max(2px, ${width})` }} />}
    </span>
  );
}
