// Asks for what is in sight and makes the raster of it: cells where it is far away, the blocks themselves where near.

import { NEVER, type Blocks, type ProcessData } from '../../data/types.ts';
import type { Classify } from './raster.ts';
import { HOLE, Raster } from './raster.ts';
import type { Columns, Geometry, Row } from './geometry.ts';
import { GHOST } from './paint.ts';

/** Up to so many bytes a pixel blocks are asked for one by one, unless there are too many. */
const NEAR_BYTES_PER_PX = 32;
const MOST_BLOCKS = 30_000;

/** What is drawn, and what it was made for: until the next one is there, it says what is under the pointer. */
export interface Picture {
  data: ProcessData;
  geometry: Geometry;
  scrolled: number;
  raster: Raster;
  /** The position that it shows, and the classes its kinds are of. */
  t: number;
  look: Look;
}

/** What is asked for. */
export interface Sight {
  geometry: Geometry;
  rows: Row[];
  columns: Columns;
  /** Columns are pages: their class is how full they are. */
  pages: boolean;
}

/** Kinds of a picture of changes. */
export const APPEARED = 1;
export const GONE = 2;
export const STAYED = 3;

export type Look = 'classes' | 'pages' | 'changes';

/** Rows of one run that follow each other: one query. */
function stretches(rows: readonly Row[]): { first: number; count: number }[] {
  const found: { first: number; count: number }[] = [];
  rows.forEach((row, index) => {
    const last = found[found.length - 1];
    if (last !== undefined && rows[index - 1]!.run === row.run) last.count++;
    else found.push({ first: index, count: 1 });
  });
  return found;
}

/** The raster of one moment. */
export async function rasterAt(data: ProcessData, sight: Sight, t: number, classify: Classify, signal: AbortSignal): Promise<Raster> {
  const { rows, columns } = sight;
  const wanted = stretches(rows);
  if (!sight.pages && sight.geometry.bytesPerPx <= NEAR_BYTES_PER_PX) {
    const near = await Promise.all(
      wanted.map(({ first, count }) => data.live(t, rows[first]!.lo, rows[first + count - 1]!.hi, MOST_BLOCKS, signal)),
    );
    if (near.every(({ too_many }) => !too_many)) {
      const raster = new Raster(rows, columns);
      raster.addBlocks(joined(near.map((it) => it.rows)), classify);
      raster.findEdges();
      return raster;
    }
  }
  const cells = await Promise.all(
    wanted.map(({ first, count }) => {
      const { lo } = rows[first]!;
      const bytes = rows[first + count - 1]!.hi - lo;
      // One more than is drawn: what lies between the last block in sight and the next may be too small for a hole.
      return data.cells(t, lo, columns.cellBytes, Math.ceil(bytes / columns.cellBytes) + 1, signal);
    }),
  );
  const raster = new Raster(rows, columns);
  const byFill: Classify = sight.pages ? (of, index) => fillClass((of as (typeof cells)[0]).used[index]!, columns.cellBytes) : classify;
  wanted.forEach(({ first, count }, run) => raster.addCells(first, count, cells[run]!, byFill));
  if (!sight.pages) raster.findEdges();
  return raster;
}

/** How full a page is: 1 under 25 %, 2 under 50 %, 3 under 75 %, 4 under 100 %, 5 wholly. */
export function fillClass(used: number, page: number): number {
  return used === 0 ? HOLE : 1 + Math.min(4, Math.floor((4 * used) / page));
}

/** What changed from one raster to a later one of the same sight, column by column. `a`: the earlier position. */
export function changes(before: Raster, after: Raster, a: number): Raster {
  for (let at = 0; at < after.kind.length; at++) {
    const [was, is] = [before.fill[at]! > 0, after.fill[at]! > 0];
    if (is) {
      // Inherited blocks have no birth; they are older than any mark.
      const old = after.born[at]! < a || after.born[at] === NEVER;
      after.kind[at] = was && old ? STAYED : APPEARED;
    } else if (was) {
      after.kind[at] = GONE;
      after.stack[at] = before.stack[at]!;
      after.fill[at] = before.fill[at]!;
    }
  }
  return after;
}

/** Marks the columns that held a block a moment ago and hold none now. */
export function haunt(before: Raster, now: Raster): Raster {
  for (let at = 0; at < now.kind.length; at++) {
    if (now.kind[at] !== HOLE || before.fill[at] === 0) continue;
    now.kind[at] = GHOST;
    now.stack[at] = before.stack[at]!;
  }
  return now;
}

function joined(parts: Blocks[]): Blocks {
  if (parts.length === 1) return parts[0]!;
  const whole: Record<string, unknown> = { count: parts.reduce((sum, { count }) => sum + count, 0) };
  for (const [key, first] of Object.entries(parts[0]!)) {
    if (key === 'count') continue;
    const Kind = first.constructor as new (length: number) => Uint32Array;
    const target = new Kind(whole['count'] as number);
    let at = 0;
    for (const part of parts) {
      target.set(part[key as 'stack'], at);
      at += part.count;
    }
    whole[key] = target;
  }
  return whole as unknown as Blocks;
}

/** The block with most bytes in [lo, hi): what a click there means. -1: there is none. */
export function dominant(blocks: Blocks, lo: number, hi: number): number {
  let [best, most] = [-1, 0];
  for (let index = 0; index < blocks.count; index++) {
    const from = Math.max(lo, blocks.addr[index]!);
    const to = Math.min(hi, blocks.addr[index]! + Math.max(1, blocks.size[index]!, blocks.usable[index]!));
    if (to - from > most) [best, most] = [index, to - from];
  }
  return best;
}
