// One flame graph: a canvas in a window that scrolls, with pointer and keyboard.

import { batch } from '@preact/signals';
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { View } from '../../tree/view.ts';
import { type Box, boxAt, boxes, type Order } from './boxes.ts';
import { type Look, Painter, palette, ROW, rowTop, type Scene } from './paint.ts';
import { theme } from '../../ui/theme.ts';

export interface GraphProps {
  view: View;
  /** The node that fills the width. */
  zoom: number;
  onZoom: (node: number) => void;
  up: boolean;
  order: Order;
  look: (box: Box) => Look;
  /** Where the keyboard is. */
  focus: number;
  onFocus: (node: number) => void;
  chosen: number;
  onChoose: (node: number) => void;
  onHover: (box: Box | null) => void;
  onMenu: (node: number, x: number, y: number) => void;
  onSmall: (box: Box, x: number, y: number) => void;
  /** Other keys on the frame that has the focus; true: it was one. */
  onKey?: (key: string, node: number) => boolean;
  /** What is read aloud of a frame. */
  spoken: (node: number, rows: Box[][]) => string;
  /** Takes the keyboard where no other control has it. */
  autoFocus?: boolean;
  label: string;
  testid: string;
}

/** Whether the last thing that was done, was done by a key. */
let byKeyboard = false;
addEventListener('keydown', () => (byKeyboard = true), true);
addEventListener('pointerdown', () => (byKeyboard = false), true);

export function Graph(props: GraphProps) {
  const { view, zoom, up, order, focus } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const painter = useRef<Painter>(null);
  const [size, setSize] = useState({ width: 0, height: 0 });
  const [top, setTop] = useState(0);
  const [hover, setHover] = useState<Box | null>(null);
  const [focused, setFocused] = useState(false);
  const rows = useMemo(() => timed('flame_boxes_ms', () => (size.width > 0 ? boxes(view, zoom, size.width, order) : [])), [view, zoom, size.width, order]);

  useLayoutEffect(() => {
    const element = scroller.current!;
    const measure = () => setSize({ width: element.clientWidth, height: element.clientHeight });
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const high = Math.max(size.height, rows.length * ROW);
  // The root is in sight first.
  useLayoutEffect(() => {
    scroller.current!.scrollTop = up ? high : 0;
  }, [up, zoom, view.shape, rows.length === 0, size.height]);
  const scene: Scene = {
    rows, ...size, top, up, hover, focus, focused, context: rows.findIndex((boxes) => boxes[0]?.node === zoom),
    look: props.look, chosen: props.chosen, colours: useMemo(palette, [theme.value]),
  };
  useLayoutEffect(() => {
    if (size.width === 0) return;
    painter.current ??= new Painter(canvas.current!);
    timed('flame_draw_ms', () => painter.current!.draw(scene));
  });
  // Who came to this page by the keyboard goes on by it; who is in a control stays there.
  useEffect(() => {
    if (props.autoFocus && byKeyboard && document.activeElement === document.body) canvas.current!.focus({ preventScroll: true });
  }, []);

  const find = ({ clientX, clientY }: { clientX: number; clientY: number }): Box | null => {
    const box = canvas.current!.getBoundingClientRect();
    const y = clientY - box.top + top;
    const row = Math.floor((up ? Math.max(rows.length * ROW, size.height) - 1 - y : y) / ROW);
    return boxAt(rows, row, clientX - box.left) ?? null;
  };
  // Where the pointer is; null: not here, or the keyboard has taken over.
  const pointer = useRef<{ clientX: number; clientY: number } | null>(null);
  const point = (at: { clientX: number; clientY: number } | null) => {
    pointer.current = at;
    const box = at && find(at);
    if (box === hover) return;
    setHover(box);
    props.onHover(box);
  };
  // What is under the pointer changes with the picture.
  useEffect(() => point(pointer.current), [rows, top]);
  const show = (node: number) => {
    const box = boxOf(rows, node);
    if (!box) return;
    const y = rowTop(scene, box.row);
    const element = scroller.current!;
    if (y < element.scrollTop) element.scrollTop = y;
    if (y + ROW > element.scrollTop + size.height) element.scrollTop = y + ROW - size.height;
  };
  // Not when only T has moved: who has scrolled away stays there.
  useEffect(() => show(focus), [focus, zoom, view.shape, rows.length === 0]);
  const onClick = (event: MouseEvent) => {
    const box = find(event);
    if (!box) return;
    if (box.small) return props.onSmall(box, event.clientX, event.clientY);
    props.onFocus(box.node);
    props.onChoose(box.node);
  };
  const onDblClick = (event: MouseEvent) => {
    const box = find(event);
    if (box && !box.small) props.onZoom(box.node);
  };
  const onContextMenu = (event: MouseEvent) => {
    const box = find(event);
    if (!box || box.small) return;
    event.preventDefault();
    props.onFocus(box.node);
    props.onMenu(box.node, event.clientX, event.clientY);
  };
  const menuAtFocus = () => {
    const box = boxOf(rows, focus);
    if (!box) return;
    const at = canvas.current!.getBoundingClientRect();
    props.onMenu(focus, at.left + box.x + Math.min(box.width, 60), at.top + rowTop(scene, box.row) - top + ROW);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const to = step(event.key, rows, focus, up);
    if (to !== undefined) props.onFocus(to);
    else if (event.key === 'Enter') batch(() => (props.onChoose(focus), props.onZoom(focus)));
    else if (event.key === 'Backspace') props.onZoom(Math.max(0, view.shape.parent(zoom)));
    else if (event.key === 'ContextMenu' || (event.key === 'F10' && event.shiftKey)) menuAtFocus();
    else if (!props.onKey?.(event.key, focus)) return;
    point(null);
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div class="flame-window" ref={scroller} onScroll={(event) => setTop(event.currentTarget.scrollTop)}>
      <div style={{ height: `${high}px` }}>
        <canvas
          ref={canvas}
          class="flame-canvas"
          tabIndex={0}
          role="application"
          aria-label={`${props.label}. Arrow keys move from frame to frame, Enter zooms in, Backspace out, y shows a table.`}
          data-testid={props.testid}
          style={{ cursor: hover ? 'pointer' : 'default' }}
          onPointerMove={({ clientX, clientY }) => point({ clientX, clientY })}
          onPointerLeave={() => point(null)}
          onClick={onClick}
          onDblClick={onDblClick}
          onContextMenu={onContextMenu}
          onKeyDown={onKeyDown}
          onFocus={() => setFocused(true)}
          onBlur={() => setFocused(false)}
        />
      </div>
      <div class="unseen" aria-live="polite" data-testid={`${props.testid}-live`}>
        {focused && rows.length > 0 ? props.spoken(focus, rows) : ''}
      </div>
    </div>
  );
}

/** The box of a node, where it has one of its own. */
function boxOf(rows: Box[][], node: number): Box | undefined {
  for (const boxes of rows) for (const box of boxes) if (box.node === node && !box.small) return box;
  return undefined;
}

/** Where an arrow key leads: to the first child, the parent, or a neighbour in the row. */
function step(key: string, rows: Box[][], focus: number, up: boolean): number | undefined {
  const into = up ? 'ArrowUp' : 'ArrowDown';
  const out = up ? 'ArrowDown' : 'ArrowUp';
  if (key !== into && key !== out && key !== 'ArrowLeft' && key !== 'ArrowRight') return undefined;
  const row = rows.findIndex((boxes) => boxes.some((box) => box.node === focus && !box.small));
  if (row < 0) return rows[0]?.[0]?.node;
  const boxes = rows[row]!.filter((box) => !box.small);
  const at = boxes.findIndex((box) => box.node === focus);
  const box = boxes[at]!;
  if (key === 'ArrowLeft') return boxes[Math.max(0, at - 1)]!.node;
  if (key === 'ArrowRight') return boxes[Math.min(boxes.length - 1, at + 1)]!.node;
  const middle = (it: Box) => it.x <= box.x + 0.01 && it.x + it.width > box.x;
  if (key === out) return rows[row - 1]?.find(middle)?.node ?? focus;
  const first = rows[row + 1]?.find((it) => !it.small && it.x >= box.x - 0.01 && it.x < box.x + box.width);
  return first?.node ?? focus;
}

/** Says how long something took, for tests. */
function timed<T>(name: string, run: () => T): T {
  const start = performance.now();
  const result = run();
  if (window.__ht) window.__ht.perf[name] = performance.now() - start;
  return result;
}
