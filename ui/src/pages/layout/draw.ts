// Draws the picture: its pixels, the addresses beside it, the names of its runs and, near enough, of its blocks.

import type { Region } from '../../data/types.ts';
import { inkOn, type Colour } from '../../ui/colour.ts';
import { cut, functionName } from '../../ui/name.tsx';
import { styled, type Theme } from '../../ui/theme.ts';
import { address, bytes, counted, roundBytes } from '../../ui/units.ts';
import type { Class } from './classes.ts';
import { prepare } from './frame.ts';
import type { Geometry, Row } from './geometry.ts';
import { paint, palette, type Frame, type Ground, type Quiet } from './paint.ts';
import type { Picture } from './picture.ts';
import { footprintEnd } from './raster.ts';
import { GUTTER, layout, room } from './view.ts';

export const FONT = '12px system-ui, sans-serif';
/** Blocks so wide have a name, pages so wide have lines. */
const NAMED_PX = 60;
const PAGE_PX = 8;
const NAMED_ROW = 14;
/** Room between two addresses in the gutter. */
const LABEL_PX = 22;

export const KINDS: Record<Region['kind'], string> = { heap: 'heap', arena: 'arena', mmap: 'mmap' };

function colour(name: string): Colour {
  return parseInt(styled(name).slice(1), 16);
}

export function groundColours(): Ground {
  return { hole: colour('--hole'), line: colour('--muted'), warn: colour('--warn'), bg: colour('--bg') };
}

let pixels = new ImageData(1, 1);

export function drawPicture(canvas: HTMLCanvasElement, picture: Picture | null, classes: readonly Class[], quiet: Quiet | null, theme: Theme): void {
  const began = performance.now();
  const context = prepare(canvas);
  if (picture === null) return;
  const { geometry, scrolled, raster, look } = picture;
  const { scale, height } = room.value;
  const frame: Frame = {
    width: Math.round(geometry.width * scale),
    height: Math.round(height * scale),
    y: (row) => (raster.rows[row]!.y - scrolled) * scale,
    rowHeight: geometry.rowPx * scale,
    cells: look === 'pages',
  };
  if (pixels.width !== frame.width || pixels.height !== frame.height) pixels = new ImageData(frame.width, frame.height);
  const ground = groundColours();
  // In a picture of changes kind 1 appeared and kind 2 is gone.
  const colours = palette(classes, theme, ground, look === 'changes' ? [1, 2] : []);
  paint(new Uint32Array(pixels.data.buffer), frame, raster, colours, quiet);
  context.putImageData(pixels, Math.round(GUTTER * scale), 0);
  context.font = FONT;
  context.textBaseline = 'middle';
  if (look !== 'pages') pageLines(context, picture);
  gutter(context, geometry, raster.rows, scrolled);
  heads(context, geometry, raster.rows, scrolled);
  if (raster.blocks !== null && geometry.rowPx >= NAMED_ROW) names(context, picture, classes, quiet, theme);
  window.__ht.perf['layout_draw_ms'] = performance.now() - began;
}

/** A faint line where each page begins. */
function pageLines(context: CanvasRenderingContext2D, { geometry, scrolled, raster, data }: Picture): void {
  const page = data.info.page_bytes;
  const width = page / geometry.bytesPerPx;
  if (width < PAGE_PX) return;
  context.fillStyle = styled('--text');
  context.globalAlpha = 0.28;
  for (const { lo, hi, y } of raster.rows) {
    for (let at = Math.ceil(lo / page) * page; at < hi; at += page) {
      context.fillRect(GUTTER + Math.round((at - lo) / geometry.bytesPerPx), y - scrolled, 1, Math.max(1, geometry.rowPx - 1));
    }
  }
  context.globalAlpha = 1;
}

/** The first row of each run in sight has its address, others how far they are into the run. */
function gutter(context: CanvasRenderingContext2D, geometry: Geometry, rows: readonly Row[], scrolled: number): void {
  context.textAlign = 'right';
  let last = -Infinity;
  let before = -1;
  for (const row of rows) {
    const y = row.y - scrolled + geometry.rowPx / 2;
    const first = row.run !== before;
    before = row.run;
    if ((first ? y - last < 12 : y - last < LABEL_PX) || y < 6) continue;
    last = y;
    context.fillStyle = styled(first ? '--text' : '--muted');
    const into = row.lo - geometry.runs[row.run]!.start;
    context.fillText(first ? address(row.lo) : offset(into, geometry.rowBytes), GUTTER - 8, y);
  }
}

function offset(into: number, rowBytes: number): string {
  return rowBytes >= 65536 ? `+${roundBytes(into)}` : `+0x${into.toString(16)}`;
}

/** What follows, how large it is and how much of it is used. */
function heads(context: CanvasRenderingContext2D, geometry: Geometry, rows: readonly Row[], scrolled: number): void {
  if (geometry.headPx < 12) return;
  context.textAlign = 'left';
  for (const row of rows) {
    const { kind, start, end, parts } = geometry.runs[row.run]!;
    if (row.lo !== start) continue;
    const y = row.y - scrolled - geometry.headPx / 2 + 1;
    context.fillStyle = styled('--text');
    const bytesOfAll = parts.reduce((sum, part) => sum + part.end - part.start, 0);
    const title = `${parts.length === 1 ? KINDS[kind] : `${parts.length} regions`}  ${bytes(bytesOfAll)}`;
    context.fillText(title, GUTTER, y);
    const from = GUTTER + context.measureText(title).width + 10;
    context.fillStyle = styled('--muted');
    context.fillText(usedIn(start, end), from, y);
  }
}

/** How much of a stretch is used, where T has rested. */
function usedIn(start: number, end: number): string {
  const now = layout.value;
  if (now === null) return '';
  const inside = now.layout.regions.filter((it) => it.start < end && it.end > start);
  const used = inside.reduce((sum, { space }) => sum + space.used_bytes, 0);
  const blocks = inside.reduce((sum, { space }) => sum + space.live_blocks, 0);
  return used === 0 ? 'nothing live at T' : `${bytes(used)} used, ${counted(blocks, 'block')}`;
}

/** `#id size name` on blocks that have the room for it. */
function names(context: CanvasRenderingContext2D, picture: Picture, classes: readonly Class[], quiet: Quiet | null, theme: Theme): void {
  const { geometry, scrolled, raster, data } = picture;
  const blocks = raster.blocks!;
  context.textAlign = 'left';
  let row = 0;
  for (let index = 0; index < blocks.count; index++) {
    const from = blocks.addr[index]!;
    const end = footprintEnd(blocks, index);
    while (row < raster.rows.length - 1 && raster.rows[row]!.hi <= from) row++;
    const { lo, hi, y } = raster.rows[row]!;
    const [left, right] = [(Math.max(from, lo) - lo) / geometry.bytesPerPx, (Math.min(end, hi) - lo) / geometry.bytesPerPx];
    if (right - left < NAMED_PX) continue;
    const { stack } = blocks;
    const kind = raster.kind[row * raster.columns.count + raster.columns.of(Math.max(from, lo) - lo)]!;
    const behind = quiet?.(stack[index]!, blocks.born[index]!) ? undefined : classes[kind - 1]?.colour(theme);
    context.fillStyle = behind === undefined ? styled('--text') : inkOn(behind);
    const name = functionName(data.stacks.frames, data.stacks.site[stack[index]!]!);
    const title = fitting(context, `#${blocks.id[index]}`, bytes(blocks.size[index]!), name, right - left - 10);
    context.fillText(title, GUTTER + left + 5, y - scrolled + geometry.rowPx / 2);
  }
}

/** As much of a block's title as there is room for: numbers whole or not at all, the name cut. */
function fitting(context: CanvasRenderingContext2D, id: string, size: string, name: string, room: number): string {
  const width = (text: string) => context.measureText(text).width;
  const numbers = `${id}  ${size}`;
  if (width(numbers) > room) return width(id) > room ? '' : id;
  const whole = `${numbers}  ${name}`;
  const needed = width(whole);
  if (needed <= room) return whole;
  // Cut in proportion, with a letter to spare.
  const letters = Math.floor(((room - width(numbers)) / (needed - width(numbers))) * (name.length + 2)) - 3;
  return letters < 5 ? numbers : `${numbers}  ${cut(name, letters)}`;
}
