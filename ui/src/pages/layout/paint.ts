// From classes to pixels.
//
// Any column with a live byte has at least 60 % ink, and as much as it takes to stand out from a hole by 3:1: a lone
// small block is seen at every zoom. More ink is more used bytes.

import { luminance, mix, pixel, type Colour } from '../../ui/colour.ts';
import type { Theme } from '../../ui/theme.ts';
import type { Class } from './classes.ts';
import { HOLE, OUTSIDE, type Raster } from './raster.ts';

/** A block that was freed not long ago. */
export const GHOST = 254;
/** Not of the site that alone is shown, or not kept by the filter. */
export const QUIET = 253;

const LEAST_INK = 0.6;
const LEAST_CONTRAST = 3;
const SHADES = 16;

/** Colours of the ground that blocks lie on. */
export interface Ground {
  hole: Colour;
  line: Colour;
  /** Outline of pages that are hardly used. */
  warn: Colour;
  bg: Colour;
}

/** Pixels of each class by fill, and of its stripes. */
export interface Palette {
  shades: Uint32Array;
  /** As `shades`, of columns that are a block's first. */
  edges: Uint32Array;
  /** Classes drawn in stripes: what is meant is not in the colour alone. 1: rising, 2: falling. */
  stripes: Uint8Array;
  hole: number;
  warn: number;
}

export function palette(classes: readonly Class[], theme: Theme, ground: Ground, stripes: readonly number[] = []): Palette {
  const shades = new Uint32Array(256 * SHADES);
  const edges = new Uint32Array(256 * SHADES);
  const fill = (kind: number, colour: Colour, least: number) => {
    for (let shade = 0; shade < SHADES; shade++) {
      const inked = mix(ground.hole, colour, least + ((1 - least) * shade) / (SHADES - 1));
      shades[kind * SHADES + shade] = pixel(inked);
      edges[kind * SHADES + shade] = pixel(mix(ground.bg, inked, 0.35));
    }
  };
  fill(HOLE, ground.hole, 1);
  classes.forEach((it, index) => fill(1 + index, it.colour(theme), leastInk(it.colour(theme), ground.hole)));
  fill(GHOST, mix(ground.hole, ground.line, 0.9), 1);
  fill(QUIET, mix(ground.hole, ground.line, 0.42), 0.75);
  const striped = new Uint8Array(256);
  stripes.forEach((kind, index) => (striped[kind] = 1 + index));
  striped[GHOST] = 2;
  return { shades, edges, stripes: striped, hole: pixel(ground.hole), warn: pixel(ground.warn) };
}

/** How much of a colour it takes to be seen on a hole. */
function leastInk(colour: Colour, hole: Colour): number {
  for (let ink = LEAST_INK; ink < 1; ink += 0.05) if (contrast(mix(hole, colour, ink), hole) >= LEAST_CONTRAST) return ink;
  return 1;
}

export function contrast(one: Colour, other: Colour): number {
  const [x, y] = [luminance(one), luminance(other)];
  return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
}

/** Where a raster's rows are on the canvas, in pixels of the screen. */
export interface Frame {
  width: number;
  height: number;
  /** Pixels above the first row that is seen, may be negative; and of each row. */
  y: (row: number) => number;
  rowHeight: number;
  /** Whether columns are pages: cells with space between them. */
  cells: boolean;
}

/** Whether a block of a stack and a birth is shown without its colour. */
export type Quiet = (stack: number, born: number) => boolean;

/** Draws a raster. */
export function paint(words: Uint32Array, frame: Frame, raster: Raster, colours: Palette, quiet: Quiet | null): void {
  words.fill(0);
  const line = new Uint32Array(frame.width);
  const stripes = new Uint8Array(frame.width);
  for (let row = 0; row < raster.rows.length; row++) {
    const top = Math.round(frame.y(row));
    const bottom = Math.round(frame.y(row) + frame.rowHeight);
    const gap = bottom - top >= 5 ? 1 : 0;
    const striped = fillLine(line, stripes, frame, raster, row, colours, quiet, gap);
    for (let y = Math.max(0, top); y < Math.min(frame.height, bottom - gap); y++) {
      const at = y * frame.width;
      words.set(line, at);
      if (striped) stripe(words, at, y, stripes, colours.hole);
    }
    if (frame.cells) outline(words, frame, raster, row, top, bottom - gap, gap, colours);
  }
}

/** One line of pixels of a row; whether any are striped. */
function fillLine(line: Uint32Array, stripes: Uint8Array, frame: Frame, raster: Raster, row: number, colours: Palette, quiet: Quiet | null, gap: number): boolean {
  const count = raster.columns.count;
  let striped = false;
  line.fill(0);
  for (let column = 0, at = row * count; column < count; column++, at++) {
    let kind = raster.kind[at]!;
    if (kind === OUTSIDE) continue;
    if (quiet !== null && kind !== HOLE && quiet(raster.stack[at]!, raster.born[at]!)) kind = QUIET;
    const shade = kind * SHADES + (raster.fill[at]! >> 4);
    const colour = raster.edge[at] ? colours.edges[shade]! : colours.shades[shade]!;
    const stripe = colours.stripes[kind]!;
    striped ||= stripe !== 0;
    if (count === frame.width) {
      line[column] = colour;
      stripes[column] = stripe;
      continue;
    }
    const from = Math.floor((column * frame.width) / count);
    const to = Math.floor(((column + 1) * frame.width) / count) - (frame.cells ? gap : 0);
    line.fill(colour, from, to);
    stripes.fill(stripe, from, to);
  }
  return striped;
}

function stripe(words: Uint32Array, at: number, y: number, stripes: Uint8Array, hole: number): void {
  for (let x = 0; x < stripes.length; x++) {
    const kind = stripes[x];
    if (kind !== 0 && words[at + x] !== 0 && ((kind === 1 ? x + y : x - y + 8192) & 7) < 3) words[at + x] = hole;
  }
}

/** Pages under 25 % used, where cells are large enough for it. */
const SPARSE = 1;
function outline(words: Uint32Array, frame: Frame, raster: Raster, row: number, top: number, bottom: number, gap: number, colours: Palette): void {
  if (gap === 0) return;
  const count = raster.columns.count;
  for (let column = 0; column < count; column++) {
    if (raster.kind[row * count + column] !== SPARSE) continue;
    const from = Math.floor((column * frame.width) / count);
    const to = Math.floor(((column + 1) * frame.width) / count) - gap;
    for (let y = Math.max(0, top); y < Math.min(frame.height, bottom); y++) {
      const at = y * frame.width;
      if (y === top || y === bottom - 1) words.fill(colours.warn, at + from, at + to);
      else words[at + from] = words[at + to - 1] = colours.warn;
    }
  }
}
