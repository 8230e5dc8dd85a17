// Time × address: when which part of the address space was used, and by which blocks. Time goes from left to right like
// in the strip above it, addresses from top to bottom like in the rows; colours are those of the rows.

import { effect, signal } from '@preact/signals';
import { useLayoutEffect, useRef } from 'preact/hooks';
import type { GroupBy, TimeMap as Cells } from '../../data/types.ts';
import { endGesture, gesture } from '../../state/params.ts';
import { useQuery } from '../../state/query.ts';
import { LEAST_NS } from '../../state/view.ts';
import { data, filter, select, setT, t } from '../../state/state.ts';
import { functionName } from '../../ui/name.tsx';
import { timeTicks } from '../../strip/scale.ts';
import { styled, theme } from '../../ui/theme.ts';
import { address, exactTime, percent, roundBytes } from '../../ui/units.ts';
import { FONT, groundColours } from './draw.ts';
import { prepare, useRoom } from './frame.ts';
import { Columns, runsOf, type Segment } from './geometry.ts';
import { findBlock } from './hover.ts';
import { QUIET, paint, palette } from './paint.ts';
import { Raster } from './raster.ts';
import { classes } from './seen.ts';
import { GUTTER, addressWindow, colouredBy, room, shown, timeWindow } from './view.ts';

/** Room for the times below, and between segments. */
const AXIS = 22;
const GAP = 4;
/** So many bands at most. */
const MOST = 12;
const LEAST_HEIGHT = 6;
/** Room between two addresses. */
const LABEL_PX = 24;

/** A stretch of addresses and its place on the canvas, CSS pixels. */
interface Band extends Segment {
  y: number;
  height: number;
}

/** What was asked for and what came. */
interface Drawn {
  bands: Band[];
  cells: Cells[];
  by: GroupBy;
  q: string;
  from: number;
  to: number;
  width: number;
}

/** The stretch of time in sight, nanoseconds. */
function times(): { from: number; to: number } {
  const { start_ns, end_ns } = data.value.info;
  const match = /^(\d{1,15})-(\d{1,15})$/.exec(timeWindow.value);
  const [from, to] = match ? [Number(match[1]), Number(match[2])] : [start_ns, end_ns];
  return { from: Math.max(start_ns, from), to: Math.max(from + 1, Math.min(end_ns, to)) };
}

/** The stretches of addresses in sight: all segments, or the part that was zoomed into. */
function stretches(): Segment[] {
  const match = /^([0-9a-f]{1,13})-([0-9a-f]{1,13})$/.exec(addressWindow.value);
  if (!match) return shown.value;
  const [lo, hi] = [parseInt(match[1]!, 16), parseInt(match[2]!, 16)];
  const inside = shown.value.filter(({ start, end }) => start < hi && end > lo);
  return inside.length === 0 ? shown.value : inside.map(({ kind, start, end }) => ({ kind, start: Math.max(start, lo), end: Math.min(end, hi) }));
}

/** Gives each stretch height by its length; of many, those near each other are one. */
function bandsOf(all: readonly Segment[], height: number): Band[] {
  let bands: readonly Segment[] = all;
  for (let gap = 2 ** 20; bands.length > MOST && gap < 2 ** 57; gap *= 2) bands = runsOf(all, gap);
  const spare = Math.max(0, height - AXIS - GAP * (bands.length - 1) - LEAST_HEIGHT * bands.length);
  const bytes = bands.reduce((sum, { start, end }) => sum + end - start, 0);
  let y = 0;
  return bands.map((band) => {
    const own = LEAST_HEIGHT + Math.floor((spare * (band.end - band.start)) / bytes);
    const placed = { kind: band.kind, start: band.start, end: band.end, y, height: own };
    y += own + GAP;
    return placed;
  });
}

/** What is under the pointer, in words. */
const pointed = signal('');

export function TimeMap() {
  const frame = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const over = useRef<HTMLCanvasElement>(null);
  useRoom(frame);
  const answer = useQuery<Drawn>((signal) => {
    // Which sites have colours of their own does not matter to what is asked.
    const groups = colouredBy.value && classes.peek().groups;
    const q = filter.value;
    const { from, to } = times();
    const { width, height } = room.value;
    const bands = bandsOf(stretches(), height);
    if (bands.length === 0 || groups === null) return null;
    const of = data.value;
    const { by, limits } = groups;
    const [a, b] = [of.times.at(from), of.times.at(to)];
    const whole = { from: of.times.of(a), to: Math.max(of.times.of(a) + 1, of.times.of(b)) };
    const asked = bands.map(({ start, end, height }) => of.time_map({ lo: start, hi: end, a, b, width, height, by, limits, q }, signal));
    return Promise.all(asked).then((cells) => ({ bands, cells, by, q, ...whole, width }));
  });
  useLayoutEffect(() => effect(() => answer.value.value && draw(canvas.current!, answer.value.value)), []);
  useLayoutEffect(() => effect(() => answer.value.value && drawT(over.current!, answer.value.value)), []);
  useLayoutEffect(() => listen(frame.current!, () => answer.peek().value), []);
  const zoomed = timeWindow.value !== '' || addressWindow.value !== '';
  return (
    <div class="time-map">
      <p class="time-map-line" aria-live="polite" data-testid="layout-time-line">
        {answer.value.error || pointed.value || hint(answer.value.value)}
        {zoomed && (
          <button type="button" class="text-button" data-testid="layout-time-fit" onClick={() => ((timeWindow.value = ''), (addressWindow.value = ''))}>
            whole run
          </button>
        )}
      </p>
      <div
        class="map"
        ref={frame}
        tabIndex={0}
        role="application"
        data-testid="layout-time"
        aria-label="Map of time and address. Left and right move T, plus and minus zoom, y shows a table."
        onKeyDown={(event) => {
          const seen = answer.value.value;
          if (!seen || event.ctrlKey || event.altKey || event.metaKey || !['+', '=', '-'].includes(event.key)) return;
          const x = GUTTER + ((data.value.times.of(t.value) - seen.from) / (seen.to - seen.from)) * seen.width;
          zoomAt(seen, Math.max(GUTTER, Math.min(GUTTER + seen.width, x)), seen.bands[0]!.y + seen.bands[0]!.height / 2, event.key === '-' ? 2 : 0.5);
          event.preventDefault();
          event.stopPropagation();
        }}
      >
        <canvas ref={canvas} />
        <canvas ref={over} class="map-over" />
      </div>
    </div>
  );
}

function hint(seen: Drawn | undefined): string {
  const nothing = seen !== undefined && seen.q.trim() !== '' && !seen.cells.some(({ fill }) => fill.some((share) => share > 0));
  return nothing ? 'The filter keeps no block that is in sight.' : 'Click sets T and selects the block; the wheel zooms both axes.';
}

function draw(canvas: HTMLCanvasElement, seen: Drawn): void {
  const { classes: told, groups } = classes.value;
  // Until the answer by the new colouring is there, the old one stays.
  if (groups?.by !== seen.by) return;
  const context = prepare(canvas);
  context.font = FONT;
  context.textBaseline = 'middle';
  const { scale } = room.value;
  const colours = palette(told, theme.value, groundColours());
  let last = -Infinity;
  seen.bands.forEach((band, index) => {
    const { width, height, fill, group, rest } = seen.cells[index]!;
    const parts = [{ kind: band.kind, start: 0, end: width }];
    const raster = new Raster(Array.from({ length: height }, (_, y) => ({ run: 0, parts, lo: 0, hi: width, y })), new Columns(width, width));
    for (let at = 0; at < fill.length; at++) {
      const isKept = fill[at]! > 0;
      const share = isKept ? fill[at]! : (rest[at] ?? 0);
      if (share === 0) continue;
      raster.kind[at] = isKept ? groups.classOf(group[at]!) : QUIET;
      raster.fill[at] = Math.max(1, Math.round(255 * share));
    }
    const image = new ImageData(Math.round(width * scale), Math.round(height * scale));
    const frame = { width: image.width, height: image.height, y: (row: number) => row * scale, rowHeight: scale, cells: false };
    paint(new Uint32Array(image.data.buffer), frame, raster, colours, null);
    context.putImageData(image, Math.round(GUTTER * scale), Math.round(band.y * scale));
    context.textAlign = 'right';
    context.fillStyle = styled('--text');
    const y = Math.max(7, band.y + 6);
    if (y - last >= 13) {
      context.fillText(address(band.start), GUTTER - 8, y);
      last = y;
    }
    context.fillStyle = styled('--muted');
    const perPx = (band.end - band.start) / band.height;
    const step = 2 ** Math.ceil(Math.log2(perPx * LABEL_PX));
    for (let into = step; into / perPx < band.height - 8; into += step) context.fillText(`+${roundBytes(into)}`, GUTTER - 8, band.y + into / perPx);
  });
  const bottom = room.value.height - AXIS / 2;
  for (const { ns, label } of timeTicks(seen.from, seen.to, Math.floor(seen.width / 90))) {
    const x = GUTTER + ((ns - seen.from) / (seen.to - seen.from)) * seen.width;
    context.textAlign = x < GUTTER + 24 ? 'left' : x > GUTTER + seen.width - 24 ? 'right' : 'center';
    context.fillText(label, x, bottom);
  }
}

function drawT(canvas: HTMLCanvasElement, seen: Drawn): void {
  void theme.value;
  const context = prepare(canvas);
  const now = data.value.times.of(t.value);
  const x = GUTTER + ((now - seen.from) / (seen.to - seen.from)) * seen.width;
  if (x < GUTTER || x > GUTTER + seen.width) return;
  const height = room.value.height - AXIS;
  context.fillStyle = styled('--bg');
  context.fillRect(Math.round(x) - 2, 0, 3, height);
  context.fillStyle = styled('--text');
  context.fillRect(Math.round(x) - 1, 0, 1, height);
}

/** The time and the bytes at a point. */
function at(seen: Drawn, x: number, y: number) {
  const column = Math.floor(x - GUTTER);
  const index = seen.bands.findIndex((band) => y >= band.y && y < band.y + band.height);
  if (index < 0 || column < 0 || column >= seen.width) return null;
  const band = seen.bands[index]!;
  const row = Math.floor(y - band.y);
  const each = (band.end - band.start) / band.height;
  const lo = Math.floor(band.start + row * each);
  const ns = seen.from + ((x - GUTTER) / seen.width) * (seen.to - seen.from);
  return { band, ns, lo, hi: Math.max(lo + 1, Math.floor(band.start + (row + 1) * each)), cell: row * seen.width + column, cells: seen.cells[index]! };
}

/** What is in a cell, in words. */
function whose({ fill, group, rest }: Cells, cell: number): string {
  const [used, other] = [fill[cell]!, rest[cell] ?? 0];
  if (used === 0) return other === 0 ? 'hole' : `${percent(other, 1)} used by blocks that the filter does not keep`;
  const { classes: told, groups } = classes.peek();
  const most = groups!.by === 'site' ? functionName(data.peek().stacks.frames, group[cell]!) : told[groups!.classOf(group[cell]!) - 1]!.label;
  return `${percent(used, 1)} used, mostly ${most}${other === 0 ? '' : `; ${percent(other, 1)} by blocks that the filter does not keep`}`;
}

function listen(element: HTMLElement, seen: () => Drawn | undefined): () => void {
  const place = (event: MouseEvent) => {
    const now = seen();
    const box = element.getBoundingClientRect();
    return now === undefined ? null : at(now, event.clientX - box.left, event.clientY - box.top);
  };
  const move = (event: MouseEvent) => {
    const point = place(event);
    if (point === null) {
      pointed.value = '';
      return;
    }
    pointed.value = `${exactTime(point.ns)} · ${address(point.lo)} · ${whose(point.cells, point.cell)}`;
  };
  const click = async (event: MouseEvent) => {
    const point = place(event);
    if (point === null) return;
    gesture('layout-time');
    setT(data.peek().times.at(point.ns));
    const found = await findBlock(point.lo, point.hi);
    if (found !== null) select('block', found.blocks.id[found.index]!);
    endGesture();
  };
  let rest: ReturnType<typeof setTimeout> | undefined;
  const wheel = (event: WheelEvent) => {
    const now = seen();
    if (now === undefined) return;
    event.preventDefault();
    const box = element.getBoundingClientRect();
    gesture('layout-time-wheel');
    zoomAt(now, event.clientX - box.left, event.clientY - box.top, event.deltaY > 0 ? 1.25 : 0.8);
    clearTimeout(rest);
    rest = setTimeout(endGesture, 400);
  };
  const leave = () => {
    pointed.value = '';
  };
  element.addEventListener('mousemove', move);
  element.addEventListener('mouseleave', leave);
  element.addEventListener('click', click);
  element.addEventListener('wheel', wheel, { passive: false });
  return () => {
    element.removeEventListener('mousemove', move);
    element.removeEventListener('mouseleave', leave);
    element.removeEventListener('click', click);
    element.removeEventListener('wheel', wheel);
    clearTimeout(rest);
  };
}

/** The least that is seen of addresses; of time it is what the strip shows at least. */
const LEAST_BYTES = 4096;

/** Both axes by a factor, around a point; farther than all there is, all of it. */
function zoomAt(seen: Drawn, x: number, y: number, factor: number): void {
  const point = at(seen, x, y);
  if (point === null) return;
  const { start_ns, end_ns } = data.peek().info;
  const length = Math.max(LEAST_NS, (seen.to - seen.from) * factor);
  const share = (point.ns - seen.from) / (seen.to - seen.from);
  const from = Math.max(start_ns, Math.round(point.ns - share * length));
  const to = Math.min(end_ns, Math.round(from + length));
  timeWindow.value = from <= start_ns && to >= end_ns ? '' : `${from}-${to}`;
  const { band } = point;
  const bytes = Math.max(LEAST_BYTES, Math.round((band.end - band.start) * factor));
  const within = (point.lo - band.start) / (band.end - band.start);
  const lo = Math.round(point.lo - within * bytes);
  const whole = shown.peek().find(({ start, end }) => start <= point.lo && point.lo < end)!;
  const [first, last] = [Math.max(whole.start, lo), Math.min(whole.end, lo + bytes)];
  const all = first <= whole.start && last >= whole.end;
  addressWindow.value = all ? '' : `${first.toString(16)}-${last.toString(16)}`;
}
