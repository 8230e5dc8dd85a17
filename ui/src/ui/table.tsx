// A table of rows of one height that keeps only those in sight in the document.

import type { ComponentChildren } from 'preact';
import './table.css';
import { useLayoutEffect, useRef, useState } from 'preact/hooks';

export interface Column<Row> {
  key: string;
  title: string;
  /** What the number means, for the heading's tooltip. */
  hint?: string;
  /** Numbers are aligned to the right and never cut; text is cut in its middle by the column's own drawing. */
  numeric?: boolean;
  /** CSS width: `90px`, `minmax(160px, 1fr)`. */
  width: string;
  cell: (row: Row, index: number) => ComponentChildren;
}

interface Props<Row> {
  columns: Column<Row>[];
  count: number;
  /** The row at an index; undefined while it is being fetched. */
  row: (index: number) => Row | undefined;
  rowKey?: (row: Row) => string | number;
  rowHeight?: number;
  sort?: { key: string; descending: boolean };
  onSort?: (key: string) => void;
  selected?: (row: Row) => boolean;
  onSelect?: (row: Row, index: number) => void;
  onOpen?: (row: Row, index: number) => void;
  /** Rows that are in sight, so that they can be fetched. */
  onSight?: (first: number, last: number) => void;
  /** Rows that hold others: how deep a row is (from 1) and whether it is open; undefined: it has nothing to open. */
  tree?: (row: Row) => { level: number; open: boolean | undefined };
  /** Another key on the row where the keyboard is; true: it was one. */
  onKey?: (key: string, row: Row, index: number) => boolean;
  /** What stands under the columns, by their key: sums. */
  totals?: Record<string, ComponentChildren>;
  label: string;
  testid?: string;
  footer?: ComponentChildren;
}

const SPARE = 8;
/** Browsers cut elements that are taller than some 30 million pixels: longer tables scroll faster than they move. */
const TALLEST = 8_000_000;

export function Table<Row>(props: Props<Row>) {
  const { columns, count, rowHeight = 24 } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(600);
  const [active, setActive] = useState(0);
  useLayoutEffect(() => {
    const element = scroller.current!;
    const observer = new ResizeObserver(() => setHeight(element.clientHeight));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const tallness = Math.min(count * rowHeight, TALLEST);
  // Pixels of rows to a pixel of scrolling.
  const speed = tallness > height ? (count * rowHeight - height) / (tallness - height) : 1;
  const shown = top * speed;
  const first = Math.max(0, Math.floor(shown / rowHeight) - SPARE);
  const last = Math.min(count, Math.ceil((shown + height) / rowHeight) + SPARE);
  useLayoutEffect(() => props.onSight?.(first, last), [first, last, count]);
  const template = columns.map((column) => column.width).join(' ');
  const show = (index: number) => {
    const element = scroller.current!;
    // The heading and the sums cover a row each.
    const head = props.totals ? 2 * rowHeight : rowHeight;
    const above = index * rowHeight;
    const below = above + rowHeight + head - element.clientHeight;
    const now = element.scrollTop * speed;
    if (above < now) element.scrollTop = above / speed;
    else if (below > now) element.scrollTop = below / speed;
  };
  const move = (to: number) => {
    const index = Math.max(0, Math.min(count - 1, to));
    setActive(index);
    show(index);
    const row = props.row(index);
    if (row !== undefined) props.onSelect?.(row, index);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const page = Math.max(1, Math.floor(height / rowHeight) - 2);
    const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page };
    if (event.key in steps) move(active + steps[event.key]!);
    else if (event.key === 'Enter') {
      const row = props.row(active);
      if (row !== undefined) props.onOpen?.(row, active);
    } else {
      const row = props.row(active);
      if (event.ctrlKey || event.metaKey || event.altKey || row === undefined || !props.onKey?.(event.key, row, active)) return;
    }
    event.preventDefault();
    event.stopPropagation();
  };
  const rows = [];
  for (let index = first; index < last; index++) {
    const row = props.row(index);
    const chosen = row !== undefined && (props.selected?.(row) ?? false);
    const place = row === undefined ? undefined : props.tree?.(row);
    rows.push(
      <div
        key={row !== undefined && props.rowKey ? props.rowKey(row) : index}
        class="table-row"
        role="row"
        aria-rowindex={index + 2}
        aria-selected={chosen}
        aria-level={place?.level}
        aria-expanded={place?.open}
        style={{ top: `${index * rowHeight - shown + top}px`, height: `${rowHeight}px`, gridTemplateColumns: template }}
        onClick={() => row !== undefined && (setActive(index), props.onSelect?.(row, index))}
        onDblClick={() => row !== undefined && props.onOpen?.(row, index)}
      >
        {columns.map((column) => (
          <div key={column.key} role={props.tree ? 'gridcell' : 'cell'} class={column.numeric ? 'numeric' : undefined}>
            {row === undefined ? '' : column.cell(row, index)}
          </div>
        ))}
      </div>,
    );
  }
  return (
    <div class="table" data-testid={props.testid}>
      <div
        class="table-scroller"
        role={props.tree ? 'treegrid' : 'table'}
        aria-label={props.label}
        aria-rowcount={count + 1}
        ref={scroller}
        tabIndex={0}
        onKeyDown={onKeyDown}
        onScroll={(event) => setTop(event.currentTarget.scrollTop)}
      >
        <div class="table-head" role="row" style={{ height: `${rowHeight}px`, gridTemplateColumns: template }}>
          {columns.map((column) => {
            const sorted = props.sort?.key === column.key;
            const order = sorted ? (props.sort!.descending ? 'descending' : 'ascending') : undefined;
            return (
              <div key={column.key} role="columnheader" aria-sort={order} class={column.numeric ? 'numeric' : undefined} title={column.hint}>
                {props.onSort && column.title !== '' ? (
                  <button onClick={() => ((scroller.current!.scrollTop = 0), props.onSort!(column.key))}>
                    {column.title}
                    {sorted && <span aria-hidden="true">{props.sort!.descending ? ' ▾' : ' ▴'}</span>}
                  </button>
                ) : (
                  column.title
                )}
              </div>
            );
          })}
        </div>
        <div role="rowgroup" style={{ position: 'relative', height: `${tallness}px` }}>
          {rows}
        </div>
        {props.totals && (
          <div class="table-totals" role="row" style={{ height: `${rowHeight}px`, gridTemplateColumns: template }}>
            {columns.map((column) => (
              <div key={column.key} role={props.tree ? 'gridcell' : 'cell'} class={column.numeric ? 'numeric' : undefined}>
                {props.totals![column.key]}
              </div>
            ))}
          </div>
        )}
      </div>
      {props.footer && <div class="table-foot">{props.footer}</div>}
    </div>
  );
}
