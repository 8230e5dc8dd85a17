// Tables as trees: top-down, bottom-up, and one function's callers and callees.

import { useMemo } from 'preact/hooks';
import type { Metric, Unit } from '../../data/types.ts';
import { data, metric, select, selected, unit } from '../../state/state.ts';
import { BottomUp } from '../../tree/bottomup.ts';
import type { Shape, Sums } from '../../tree/shape.ts';
import { fnName, frameOf, merged, nodeName, nodePlace } from '../../tree/shared.ts';
import { TreeTable, type TreeRow } from '../../tree/treetable.tsx';
import { Name } from '../../ui/name.tsx';
import { type Column, Table } from '../../ui/table.tsx';
import { choose } from '../flame/menus.tsx';
import { Nothing } from '../nothing.tsx';
import { useHalves, useMiddle, type FunctionRow } from '../flame/middle.ts';
import { middle } from '../flame/params.ts';
import { useLines, useMoments } from '../flame/use.ts';
import { Measured, RunLine, widthOf } from './cells.tsx';
import type { ColumnDef } from './columns.ts';
import { sorted } from './params.ts';
import { useMetrics, type Values } from './use.ts';

interface TreeOfProps {
  shape: Shape;
  known: Map<Metric, Values>;
  columns: ColumnDef[];
  label: string;
  testid: string;
}

export function Tree({ by, columns }: { by: 'top' | 'bottom'; columns: ColumnDef[] }) {
  const shape = useMemo<Shape>(() => (by === 'top' ? merged.value : BottomUp.of(merged.value)), [by, merged.value]);
  const { known, error } = useMetrics('stacks', new Set(columns.flatMap((it) => it.needs)));
  if (error !== '') return <p class="failure" role="alert">{error}</p>;
  if (known.get(metric.value)?.total.blocks === 0 && metric.value !== 'diff') return <Nothing what="blocks" />;
  return <TreeOf shape={shape} known={known} columns={columns} label={by === 'top' ? 'From the outermost function down' : 'From what allocates to its callers'} testid="tables-tree-rows" />;
}

function TreeOf({ shape, known, columns, label, testid }: TreeOfProps) {
  const sums = useMemo(() => new WeakMap<Values, Partial<Record<Unit, Sums>>>(), [shape]);
  const of = (id: Metric, unit: Unit): Sums | null => {
    const values = known.get(id);
    if (!values) return null;
    const found = sums.get(values) ?? {};
    sums.set(values, found);
    return (found[unit] ??= shape.sums(values[unit]));
  };
  const value = (def: ColumnDef, node: number): number =>
    def.id === 'self' ? (of(metric.value, unit.value)?.self(node) ?? NaN) : def.value((id, unit) => of(id, unit)?.total(node) ?? NaN, unit.value);
  const own = of(metric.value, unit.value);
  // A difference is ordered by what changed; rows that cancel out are left out.
  const weight = useMemo(() => (node: number) => Math.abs(own?.total(node) ?? 0), [own]);
  const descending = !sorted.value.startsWith('-');
  const by = columns.find((it) => it.id === sorted.value.replace('-', '')) ?? columns[0]!;
  const rank = useMemo(() => {
    if (by.id === metric.value && descending) return undefined;
    return (node: number) => (Number.isNaN(value(by, node)) ? -Infinity : value(by, node) * (descending ? 1 : -1));
  }, [by.id, descending, ...known.values(), unit.value, shape]);
  const lineOf = useLines(shape, useMoments().value);
  const { stacks } = data.value;
  const drawn: Column<TreeRow>[] = columns.map((def) => ({
    key: def.id, title: def.title, hint: def.hint, numeric: def.id !== 'line', width: widthOf(def.id),
    cell: ({ node }) => {
      if (def.id !== 'line') return <Measured def={def} value={value(def, node)} most={Math.abs(value(def, 0))} />;
      const line = lineOf?.(node);
      return line && <RunLine line={line} />;
    },
  }));
  const picked = selected.value;
  const isSelected = (node: number) =>
    (picked?.kind === 'fn' && shape.fn(node) === picked.id) || (picked?.kind === 'stack' && shape === merged.value && shape.stack(node) === picked.id);
  return (
    <TreeTable
      shape={shape} root={0} weight={weight} name={(node) => nodeName(shape, stacks, node)} place={(node) => nodePlace(shape, stacks, node)}
      columns={drawn} selected={isSelected} sort={{ key: by.id, descending }} {...(rank && { rank })}
      onSort={(id) => columns.some((it) => it.id === id && id !== 'line') && (sorted.value = by.id === id && descending ? `-${id}` : id === metric.value ? '' : id)}
      onSelect={(node) => (shape === merged.value ? choose({ shape }, node) : shape.fn(node) >= 0 && select('fn', shape.fn(node)))}
      totals={{ name: nodeName(shape, stacks, 0), ...Object.fromEntries(columns.filter((it) => it.id !== 'line' && it.id !== 'self').map((def) => [def.id, def.write(value(def, 0), unit.value)])) }}
      label={label} testid={testid}
    />
  );
}

export function Callers({ columns }: { columns: ColumnDef[] }) {
  const base = merged.value;
  const { stacks } = data.value;
  const { known, error } = useMetrics('stacks', new Set(columns.flatMap((it) => it.needs)));
  const own = known.get(metric.value);
  const { rows: list, fn } = useMiddle(base, own?.[unit.value]);
  const shapes = useHalves(base, fn);
  if (error !== '') return <p class="failure" role="alert">{error}</p>;
  if (own && list.length === 0) return <Nothing what="blocks" />;
  const def = columns[0]!;
  const most = Math.abs(list[0]?.total ?? 0);
  const functions: Column<FunctionRow>[] = [
    { key: 'name', title: 'function', width: 'minmax(90px, 1fr)', cell: (row) => <Name text={fnName(row.fn, stacks, frameOf(stacks, row.fn))} /> },
    { key: 'total', title: def.title, numeric: true, width: '92px', hint: def.hint, cell: (row) => <Measured def={def} value={row.total} most={most} /> },
  ];
  // There is half the room.
  const fewer = columns.filter((it) => it.id !== 'self').slice(0, 4);
  return (
    <div class="sandwich">
      <Table columns={functions} count={list.length} row={(index) => list[index]} rowKey={(row) => row.fn} selected={(row) => row.fn === fn}
        onSelect={(row) => (middle.value = String(row.fn))} label="Functions" testid="tables-functions" />
      <div class="sandwich-graphs">
        {(['callers', 'callees'] as const).map((half) => (
          <div class="sandwich-half" key={half}>
            <h3>{half === 'callers' ? 'who calls it' : 'what it calls'}</h3>
            <TreeOf shape={shapes[half]} known={known} columns={fewer} label={half} testid={`tables-${half}`} />
          </div>
        ))}
      </div>
    </div>
  );
}
