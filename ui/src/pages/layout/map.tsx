// The map: the address space at T as rows of bytes or of pages, drawn on a canvas, with everything that the pointer and
// the keyboard do to it. A second canvas above it has the outlines, so that they move without the picture.

import { batch, effect } from '@preact/signals';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { data, filter, goTo, select } from '../../state/state.ts';
import { endGesture, gesture } from '../../state/params.ts';
import { theme } from '../../ui/theme.ts';
import { address } from '../../ui/units.ts';
import { drawPicture } from './draw.ts';
import { useRoom } from './frame.ts';
import { dragged, findBlock, focused, hover, look } from './hover.ts';
import { drawOverlay } from './overlay.ts';
import { picture, quiet, shownClasses } from './seen.ts';
import { GUTTER, columns, geometry, room, scrolled, scrollTo, view, visibleRows, zoomBy, zoomToFit } from './view.ts';

const WHEEL_STEP = 100;
/** So many pixels of movement make a click a drag. */
const DRAG = 4;

export function HeapMap() {
  const frame = useRef<HTMLDivElement>(null);
  const base = useRef<HTMLCanvasElement>(null);
  const over = useRef<HTMLCanvasElement>(null);
  useRoom(frame);
  useLayoutEffect(() => onFrame(() => drawPicture(base.current!, picture.value, shownClasses.value, quiet.value, theme.value)), []);
  useLayoutEffect(() => onFrame(() => drawOverlay(over.current!)), []);
  useLayoutEffect(() => listen(frame.current!), []);
  return (
    <div
      class="map"
      ref={frame}
      data-testid="layout-map"
      data-top={visibleRows.value[0]?.lo}
      data-row-bytes={geometry.value.rowBytes}
      data-row-px={geometry.value.rowPx}
      tabIndex={0}
      role="application"
      aria-label="Map of the heap at T. Arrows move, plus and minus zoom, Enter selects the block, y shows a table."
      onFocus={() => focused.value === null && (focused.value = visibleRows.value[0]?.lo ?? null)}
      onBlur={() => (focused.value = null)}
      onKeyDown={onKey}
    >
      <canvas ref={base} />
      <canvas ref={over} class="map-over" />
    </div>
  );
}

/** Runs `draw` once a frame at most, whenever a signal that it reads has changed. */
function onFrame(draw: () => void): () => void {
  let asked = 0;
  let stop = () => {};
  const run = () => {
    stop();
    asked = 0;
    let first = true;
    stop = effect(() => {
      if (first) draw();
      else if (asked === 0) asked = requestAnimationFrame(run);
      first = false;
    });
  };
  run();
  return () => {
    stop();
    cancelAnimationFrame(asked);
  };
}

/** What the picture in sight has at a point of the map. */
function spotAt(x: number, y: number) {
  const seen = picture.peek();
  if (seen === null) return null;
  const inside = seen.geometry.spot(x - GUTTER, y + seen.scrolled, seen.raster.columns);
  if (inside === null) return null;
  const column = Math.floor(((x - GUTTER) / seen.geometry.width) * seen.raster.columns.count);
  return look(seen.raster, inside, column);
}

function listen(element: HTMLElement): () => void {
  let from: { x: number; y: number; lo: number } | null = null;
  let wheeled = 0;
  const point = (event: MouseEvent) => {
    const box = element.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const down = (event: PointerEvent) => {
    const { x, y } = point(event);
    const found = event.button === 0 ? spotAt(x, y) : null;
    if (found !== null) from = { x, y, lo: found.spot.lo };
  };
  const move = (event: PointerEvent) => {
    const { x, y } = point(event);
    const found = spotAt(x, y);
    batch(() => {
      hover.value = found;
      if (from !== null && found !== null && Math.hypot(x - from.x, y - from.y) >= DRAG) {
        element.setPointerCapture(event.pointerId);
        dragged.value = { lo: Math.min(from.lo, found.spot.lo), hi: Math.max(from.lo, found.spot.hi) };
      }
    });
  };
  const up = (event: PointerEvent) => {
    const range = dragged.value;
    dragged.value = null;
    const began = from;
    from = null;
    if (range !== null) showBlocks(range.lo, range.hi);
    else if (began !== null) void selectAt(point(event));
  };
  const leave = () => {
    hover.value = null;
  };
  const cancel = () => {
    from = null;
    dragged.value = null;
  };
  const wheel = (event: WheelEvent) => {
    event.preventDefault();
    gesture('layout-wheel');
    const amount = event.deltaMode === 1 ? event.deltaY * 33 : event.deltaY || event.deltaX;
    if (event.shiftKey) scrollTo(scrolled.value + Math.round(amount / geometry.value.rowPx) * geometry.value.rowPx);
    else {
      wheeled += amount;
      const steps = Math.trunc(wheeled / WHEEL_STEP);
      wheeled -= steps * WHEEL_STEP;
      const { x, y } = point(event);
      if (steps !== 0) zoomBy(-steps, spotAt(x, y)?.spot.lo, y);
    }
    clearTimeout(rest);
    rest = setTimeout(endGesture, 400);
  };
  let rest: ReturnType<typeof setTimeout> | undefined;
  const listeners: [string, (event: never) => void][] = [
    ['pointerdown', down], ['pointermove', move], ['pointerup', up], ['pointerleave', leave], ['pointercancel', cancel],
  ];
  for (const [name, listener] of listeners) element.addEventListener(name, listener as EventListener);
  element.addEventListener('wheel', wheel, { passive: false });
  return () => {
    for (const [name, listener] of listeners) element.removeEventListener(name, listener as EventListener);
    element.removeEventListener('wheel', wheel);
    clearTimeout(rest);
  };
}

async function selectAt({ x, y }: { x: number; y: number }): Promise<void> {
  const found = spotAt(x, y);
  if (found !== null) await selectIn(found.spot.lo, found.spot.hi);
}

/** Selects the block that bytes belong to; says nothing of holes. */
async function selectIn(lo: number, hi: number): Promise<void> {
  const found = await findBlock(lo, hi);
  if (found !== null) select('block', found.blocks.id[found.index]!);
}

/** The blocks of an address range as a list. */
function showBlocks(lo: number, hi: number): void {
  const others = filter.value.split(/\s+/).filter((word) => word !== '' && !word.startsWith('addr:'));
  batch(() => {
    filter.value = [...others, `addr:${address(lo)}..${address(hi)}`].join(' ');
    goTo('blocks');
  });
}

/** The next or previous block's address; in the far picture, the next few columns. */
function step(from: number, by: number): number {
  const seen = picture.peek();
  const blocks = seen?.raster.blocks;
  if (view.value === 'pages') return from + by * data.value.info.page_bytes;
  if (!blocks) return from + Math.round(by * Math.max(1, geometry.value.bytesPerPx * 8));
  let index = 0;
  while (index < blocks.count && blocks.addr[index]! <= from) index++;
  if (by > 0) return blocks.addr[index] ?? from + geometry.value.rowBytes;
  index--;
  return (blocks.addr[index] === from ? blocks.addr[index - 1] : blocks.addr[index]) ?? from - geometry.value.rowBytes;
}

function onKey(event: KeyboardEvent): void {
  const at = focused.value;
  if (at === null || event.altKey || event.metaKey || event.ctrlKey) return;
  const rows = Math.max(1, Math.floor(room.value.height / geometry.value.rowPx) - 1);
  const { rowBytes } = geometry.value;
  const moves: Record<string, () => number> = {
    ArrowLeft: () => step(at, -1),
    ArrowRight: () => step(at, 1),
    ArrowUp: () => at - rowBytes,
    ArrowDown: () => at + rowBytes,
    PageUp: () => at - rows * rowBytes,
    PageDown: () => at + rows * rowBytes,
  };
  if (event.key in moves) moveFocus(at, moves[event.key]!());
  else if (event.key === 'Enter') {
    const { lo, hi } = focusedBytes(at);
    void selectIn(lo, hi);
  } else if (event.key === '+' || event.key === '=') zoomBy(1, at, room.value.height / 3);
  else if (event.key === '-') zoomBy(-1, at, room.value.height / 3);
  else if (event.key === 'f') zoomToFit();
  else return;
  event.preventDefault();
  event.stopPropagation();
}

/** The bytes of the column in which an address is. */
export function focusedBytes(at: number): { lo: number; hi: number } {
  const place = geometry.value.place(at);
  if (place === null) return { lo: at, hi: at + 1 };
  if (picture.peek()?.raster.blocks) return { lo: at, hi: at + 1 };
  const { lo, hi } = columns.value.bytes(columns.value.of(at - place.row.lo));
  return { lo: place.row.lo + lo, hi: place.row.lo + hi };
}

/** Moves the focus; between runs it jumps over what holds no blocks. */
function moveFocus(from: number, to: number): void {
  const { runs, rowPx } = geometry.value;
  let target = to;
  if (geometry.value.place(to) === null) {
    const later = runs.find(({ start }) => start >= to);
    const earlier = [...runs].reverse().find(({ end }) => end <= to);
    target = to > from ? (later?.start ?? runs.at(-1)!.end - 1) : earlier !== undefined ? earlier.end - 1 : runs[0]!.start;
  }
  focused.value = target;
  const place = geometry.value.place(target);
  if (place === null) return;
  const { y } = place.row;
  if (y < scrolled.value) scrollTo(y);
  else if (y + rowPx > scrolled.value + room.value.height) scrollTo(y + rowPx - room.value.height + rowPx);
}
