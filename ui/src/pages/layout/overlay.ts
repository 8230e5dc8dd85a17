// Outlines above the picture: blocks of the site under the pointer, what is selected, pages that a site pins, the
// focus of the keyboard, and the range of a drag.

import { data, selected } from '../../state/state.ts';
import { styled, theme } from '../../ui/theme.ts';
import { prepare } from './frame.ts';
import { dragged, focused, hover, hoveredSite } from './hover.ts';
import { pinnedPages, selectedBlock } from './marked.ts';
import type { Picture } from './picture.ts';
import { HOLE, OUTSIDE } from './raster.ts';
import { picture } from './seen.ts';
import { GUTTER, only, room } from './view.ts';

/** Pages are outlined so large at least. */
const LEAST_PAGE = 5;

export function drawOverlay(canvas: HTMLCanvasElement): void {
  void theme.value;
  const context = prepare(canvas);
  const seen = picture.value;
  if (seen === null) return;
  const chosen = selected.value;
  const outlined = pinnedPages.value === null && chosen?.kind === 'site' ? chosen.id : null;
  if (outlined !== null && seen.look === 'classes') outlineSite(context, seen, outlined);
  if (hoveredSite.value !== null && only.value === null && seen.look === 'classes') outlineSite(context, seen, hoveredSite.value);
  if (pinnedPages.value !== null) showOnly(context, seen, pinnedPages.value, data.value.info.page_bytes);
  const block = selectedBlock.value;
  if (block !== null) {
    mark(context, seen, block.lo, block.hi);
    pointAt(context, seen, block.lo);
  }
  const over = hover.value;
  if (over !== null && dragged.value === null) {
    context.lineWidth = 1;
    context.strokeStyle = styled('--text');
    outlineBytes(context, seen, over.spot.lo, over.spot.hi);
  }
  if (dragged.value !== null) shade(context, seen, dragged.value.lo, dragged.value.hi);
  if (focused.value !== null && canvas.parentElement?.matches(':focus-visible')) mark(context, seen, focused.value, focused.value + 1);
}

/** All columns whose stack has a site: a line above and below, and at both ends. */
function outlineSite(context: CanvasRenderingContext2D, { geometry, scrolled, raster, data }: Picture, site: number): void {
  const { site: ofStack } = data.stacks;
  const { count } = raster.columns;
  const width = geometry.width / count;
  const height = Math.max(2, geometry.rowPx - 1);
  context.beginPath();
  raster.rows.forEach((row, index) => {
    const base = index * count;
    const y = row.y - scrolled + 0.5;
    let from = -1;
    for (let column = 0; column <= count; column++) {
      const kind = column < count ? raster.kind[base + column]! : HOLE;
      const own = kind !== HOLE && kind !== OUTSIDE && ofStack[raster.stack[base + column]!] === site;
      const ends = from >= 0 && (!own || raster.edge[base + column] === 1);
      if (ends) {
        context.rect(GUTTER + from * width + 0.5, y, Math.max(1, (column - from) * width - 1), height - 1);
        from = -1;
      }
      if (own && from < 0) from = column;
    }
  });
  context.lineWidth = 1;
  context.strokeStyle = styled('--text');
  context.stroke();
}

/** The parts of rows that hold [lo, hi), as x, y and width. */
function parts({ geometry, scrolled, raster }: Picture, lo: number, hi: number): { x: number; y: number; width: number }[] {
  const found = [];
  for (const row of raster.rows) {
    if (row.hi <= lo || row.lo >= hi) continue;
    const from = (Math.max(lo, row.lo) - row.lo) / geometry.bytesPerPx;
    const to = (Math.min(hi, row.hi) - row.lo) / geometry.bytesPerPx;
    found.push({ x: GUTTER + from, y: row.y - scrolled, width: to - from });
  }
  return found;
}

function outlineBytes(context: CanvasRenderingContext2D, seen: Picture, lo: number, hi: number): void {
  const height = Math.max(2, seen.geometry.rowPx - 1);
  const half = context.lineWidth / 2;
  for (const { x, y, width } of parts(seen, lo, hi)) {
    const wide = Math.max(2, width);
    context.strokeRect(x + half - (wide - width) / 2, y + half, Math.max(1, wide - 2 * half), height - 2 * half);
  }
}

/** An outline around all of [lo, hi), one shape over several rows, that is seen on any colour. */
function mark(context: CanvasRenderingContext2D, seen: Picture, lo: number, hi: number): void {
  const found = parts(seen, lo, hi);
  const [first, last] = [found[0], found.at(-1)];
  if (first === undefined || last === undefined) return;
  const height = Math.max(2, seen.geometry.rowPx - 1);
  context.beginPath();
  if (first === last) context.rect(first.x - 1, first.y, Math.max(4, first.width + 1), height);
  else {
    const [left, right] = [GUTTER + 1, GUTTER + seen.geometry.width - 1];
    const [end, bottom] = [last.x + last.width, last.y + height];
    const corners: [number, number][] = [
      [first.x, first.y], [right, first.y], [right, last.y], [end, last.y],
      [end, bottom], [left, bottom], [left, first.y + height], [first.x, first.y + height],
    ];
    corners.forEach(([x, y]) => context.lineTo(Math.max(left, Math.min(right, x)), y));
    context.closePath();
  }
  for (const [width, colour] of [[4, '--bg'], [2, '--text']] as const) {
    context.lineWidth = width;
    context.strokeStyle = styled(colour);
    context.stroke();
  }
}

/** Pages outlined, all else faded. */
function showOnly(context: CanvasRenderingContext2D, seen: Picture, pages: Float64Array, bytes: number): void {
  const { width, height } = room.value;
  context.fillStyle = styled('--bg');
  context.globalAlpha = 0.7;
  context.fillRect(GUTTER, 0, width, height);
  context.globalAlpha = 1;
  context.lineWidth = 1;
  context.strokeStyle = styled('--text');
  for (const page of pages) {
    for (const part of parts(seen, page, page + bytes)) {
      const [left, right] = [Math.round(part.x), Math.round(part.x + Math.max(LEAST_PAGE, part.width))];
      const [above, below] = [Math.round(part.y), Math.round(part.y + Math.max(LEAST_PAGE, seen.geometry.rowPx)) - 1];
      context.clearRect(left, above, right - left - 1, below - above);
      context.strokeRect(left + 0.5, above + 0.5, right - left - 2, below - above - 1);
    }
  }
}

/** A small triangle in the gutter, at the row of an address. */
function pointAt(context: CanvasRenderingContext2D, seen: Picture, at: number): void {
  const [first] = parts(seen, at, at + 1);
  if (first === undefined) return;
  const y = first.y + seen.geometry.rowPx / 2;
  context.fillStyle = styled('--accent');
  context.beginPath();
  context.moveTo(GUTTER - 1, y);
  context.lineTo(GUTTER - 7, y - 4);
  context.lineTo(GUTTER - 7, y + 4);
  context.fill();
}

function shade(context: CanvasRenderingContext2D, seen: Picture, lo: number, hi: number): void {
  context.fillStyle = styled('--accent');
  context.globalAlpha = 0.35;
  for (const { x, y, width } of parts(seen, lo, hi)) context.fillRect(x, y, Math.max(2, width), seen.geometry.rowPx - 1);
  context.globalAlpha = 1;
}
