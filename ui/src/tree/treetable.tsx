// A tree as rows that open: the children of what is open, heaviest first.

import { useMemo, useState } from 'preact/hooks';
import type { ComponentChildren } from 'preact';
import { Icon } from '../ui/icons.tsx';
import { Name } from '../ui/name.tsx';
import { type Column, Table } from '../ui/table.tsx';
import type { Shape } from './shape.ts';
import './treetable.css';

export interface TreeRow {
  node: number;
  level: number;
  open: boolean | undefined;
}

interface Props {
  shape: Shape;
  /** Its children are the first rows. */
  root: number;
  /** Rows without it are left out. Never negative. */
  weight: (node: number) => number;
  /** By it rows are ordered, the largest first; the weight where not given. */
  rank?: (node: number) => number;
  name: (node: number) => string;
  place: (node: number) => string;
  marked?: (node: number) => boolean;
  /** Those beside the name. */
  columns: Column<TreeRow>[];
  sort?: { key: string; descending: boolean };
  onSort?: (key: string) => void;
  onSelect?: (node: number) => void;
  onOpen?: (node: number) => void;
  selected?: (node: number) => boolean;
  totals?: Record<string, ComponentChildren>;
  footer?: ComponentChildren;
  label: string;
  testid?: string;
}

export function TreeTable(props: Props) {
  const { shape, root, weight } = props;
  const [turned, setTurned] = useState<{ shape: Shape; nodes: Set<number> }>({ shape, nodes: new Set() });
  // What is open by itself is not in the set, but what was turned round by hand.
  const nodes = turned.shape === shape ? turned.nodes : new Set<number>();
  const rank = props.rank ?? weight;
  const rows = useMemo(() => list(shape, root, weight, rank, nodes), [shape, root, weight, rank, nodes]);
  const toggle = (node: number) => {
    const next = new Set(nodes);
    if (!next.delete(node)) next.add(node);
    setTurned({ shape, nodes: next });
  };
  const name: Column<TreeRow> = {
    key: 'name',
    title: 'function',
    width: 'minmax(260px, 1fr)',
    cell: ({ node, level, open }) => (
      <span class="tree-name" style={{ paddingLeft: `${Math.min(level - 1, 40) * 14}px` }}>
        <button
          class="tree-turn"
          tabIndex={-1}
          aria-label={open ? 'Close' : 'Open'}
          style={{ visibility: open === undefined ? 'hidden' : 'visible', transform: open ? 'rotate(90deg)' : '' }}
          onClick={(event) => {
            event.stopPropagation();
            toggle(node);
          }}
        >
          <Icon name="forward" size={10} />
        </button>
        <span class={props.marked?.(node) ? 'tree-text marked' : 'tree-text'}>
          <Name text={props.name(node)} />
        </span>
        <span class="frame-place"><Name text={props.place(node)} tail={9} /></span>
      </span>
    ),
  };
  const onKey = (key: string, row: TreeRow): boolean => {
    if (key === 'ArrowRight' && row.open === false) toggle(row.node);
    else if (key === 'ArrowLeft' && row.open === true) toggle(row.node);
    else return key === 'ArrowLeft' || key === 'ArrowRight';
    return true;
  };
  return (
    <Table
      columns={[name, ...props.columns]}
      count={rows.length}
      row={(index) => rows[index]}
      rowKey={(row) => row.node}
      tree={({ level, open }) => ({ level, open })}
      onKey={onKey}
      {...(props.onSelect && { onSelect: (row: TreeRow) => props.onSelect!(row.node) })}
      {...(props.onOpen && { onOpen: (row: TreeRow) => props.onOpen!(row.node) })}
      {...(props.selected && { selected: (row: TreeRow) => props.selected!(row.node) })}
      {...(props.sort && { sort: props.sort })}
      {...(props.onSort && { onSort: props.onSort })}
      {...(props.totals && { totals: props.totals })}
      footer={props.footer}
      label={props.label}
      testid={props.testid ?? 'tree'}
    />
  );
}

/** So much of all has the heaviest path, as far as it is open by itself. */
const HALF = 0.5;

/** The rows, from the root's children down; `turned`: nodes that are not open or closed as they would be by themselves. */
function list(shape: Shape, root: number, weight: (node: number) => number, rank: (node: number) => number, turned: ReadonlySet<number>): TreeRow[] {
  const rows: TreeRow[] = [];
  const least = HALF * weight(root);
  const below = (node: number) =>
    Array.from(shape.children(node)).filter((child) => weight(child) > 0).sort((x, y) => rank(y) - rank(x) || x - y);
  const todo = below(root).reverse().map((node) => ({ node, level: 1 }));
  while (todo.length > 0) {
    const { node, level } = todo.pop()!;
    const children = below(node);
    const open = children.length === 0 ? undefined : weight(node) >= least !== turned.has(node);
    rows.push({ node, level, open });
    if (open) todo.push(...children.reverse().map((child) => ({ node: child, level: level + 1 })));
  }
  return rows;
}
