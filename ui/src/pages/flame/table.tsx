// The flame graph as a tree of rows: the same frames and numbers, for those who read rather than look.

import type { Stacks } from '../../data/types.ts';
import { nodePlace, nodeName } from '../../tree/shared.ts';
import { TreeTable, type TreeRow } from '../../tree/treetable.tsx';
import { value, type View } from '../../tree/view.ts';
import { Bar } from '../../ui/bar.tsx';
import { count, inUnit, percent } from '../../ui/units.ts';
import type { Column } from '../../ui/table.tsx';

interface Props {
  view: View;
  stacks: Stacks;
  zoom: number;
  fits: Uint8Array | null;
  /** Whether there is a column of what is a frame's alone. */
  alone: boolean;
  onZoom: (node: number) => void;
  onChoose: (node: number) => void;
}

export function FlameTable({ view, stacks, zoom, fits, alone, onZoom, onChoose }: Props) {
  const { shape, unit, signed } = view;
  const all = view.width.total(0);
  const own = unit === 'bytes' ? view.bytes : view.blocks;
  const columns: Column<TreeRow>[] = [
    { key: 'value', title: unit, numeric: true, width: '96px', cell: ({ node }) => inUnit(value(view, node), unit, signed) },
    { key: 'bar', title: '', width: '90px', cell: ({ node }) => <Bar share={view.width.total(node) / (view.width.total(zoom) || 1)} /> },
    { key: 'share', title: signed ? '% of all change' : '% of all', numeric: true, width: '96px', cell: ({ node }) => percent(view.width.total(node), all) },
    {
      key: 'parent', title: '% of parent', numeric: true, width: '88px',
      cell: ({ node }) => percent(view.width.total(node), view.width.total(Math.max(0, shape.parent(node)))),
    },
    { key: 'self', title: 'self', numeric: true, width: '88px', cell: ({ node }) => inUnit(own.self(node), unit, signed) },
    { key: 'blocks', title: 'blocks', numeric: true, width: '88px', cell: ({ node }) => (signed ? inUnit(view.blocks.total(node), 'blocks', true) : count(view.blocks.total(node))) },
  ];
  return (
    <TreeTable
      shape={shape}
      root={zoom}
      weight={(node) => view.width.total(node)}
      name={(node) => nodeName(shape, stacks, node)}
      place={(node) => nodePlace(shape, stacks, node)}
      marked={(node) => fits !== null && fits[shape.fn(node)] === 1}
      columns={alone ? columns : columns.filter((it) => it.key !== 'self')}
      onOpen={onZoom}
      onSelect={onChoose}
      label={`Frames by ${unit}`}
      testid="flame-table"
      totals={{ name: nodeName(shape, stacks, zoom), value: inUnit(value(view, zoom), unit), blocks: count(view.blocks.total(zoom)), self: '' }}
    />
  );
}
