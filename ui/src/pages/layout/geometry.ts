// Which address lies where in the picture: rows of 2^k bytes, lower addresses further left and further up.
//
// Segments (stretches of the address space that hold blocks at some moment) follow each other from top to bottom, and
// begin rows of their own: no row shows what lies far apart. Those with less than a row between them are one *run*, with
// a gap: far out, hundreds of small segments are few rows. Lengths are CSS pixels, addresses are exact integers.

import type { Region } from '../../data/types.ts';

export interface Segment {
  kind: Region['kind'];
  start: number;
  end: number;
}

/** Segments near each other, and the gaps between them. */
export interface Run extends Segment {
  parts: readonly Segment[];
}

/** A row of the picture: the bytes [lo, hi), at a height in the whole (not the visible) picture. */
export interface Row {
  /** Which run, and the segments of that. */
  run: number;
  parts: readonly Segment[];
  lo: number;
  hi: number;
  y: number;
}

/** What lies under a point: the bytes of one column. */
export interface Spot {
  row: Row;
  lo: number;
  hi: number;
}

/** 512 B to 4 GiB a row: from less than 1 B to 4 MiB and more a pixel. */
export const LEAST_ZOOM = 9;
export const MOST_ZOOM = 32;

export class Geometry {
  readonly height: number;
  readonly rowBytes: number;
  readonly runs: readonly Run[];
  readonly zoom: number;
  readonly width: number;
  readonly rowPx: number;
  /** Room above each run. */
  readonly headPx: number;
  readonly #tops: number[] = [];

  constructor(segments: readonly Segment[], zoom: number, width: number, rowPx: number, headPx: number) {
    this.runs = runsOf(segments, 2 ** zoom);
    this.zoom = zoom;
    this.width = width;
    this.rowPx = rowPx;
    this.headPx = headPx;
    this.rowBytes = 2 ** zoom;
    let y = 0;
    for (const run of this.runs) {
      this.#tops.push(y);
      y += headPx + this.#rowCount(run) * rowPx;
    }
    this.height = y;
  }

  get bytesPerPx(): number {
    return this.rowBytes / this.width;
  }

  #rowCount({ start, end }: Run): number {
    return Math.max(1, Math.ceil((end - start) / this.rowBytes));
  }

  #row(run: number, index: number): Row {
    const { start, end, parts } = this.runs[run]!;
    const lo = start + index * this.rowBytes;
    return { run, parts, lo, hi: Math.min(end, lo + this.rowBytes), y: this.#tops[run]! + this.headPx + index * this.rowPx };
  }

  /** The rows that touch [top, top + height). */
  rows(top: number, height: number): Row[] {
    const rows: Row[] = [];
    for (let run = this.#runAt(top); run < this.runs.length && this.#tops[run]! < top + height; run++) {
      const first = this.#tops[run]! + this.headPx;
      const last = Math.min(this.#rowCount(this.runs[run]!) - 1, Math.ceil((top + height - first) / this.rowPx) - 1);
      for (let index = Math.max(0, Math.floor((top - first) / this.rowPx)); index <= last; index++) rows.push(this.#row(run, index));
    }
    return rows;
  }

  /** The last run that begins at or above a height. */
  #runAt(y: number): number {
    let [low, high] = [0, this.#tops.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#tops[middle]! <= y) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** The row at a height; `null` in a head, and beyond the last. */
  rowAt(y: number): Row | null {
    if (y < 0 || this.runs.length === 0) return null;
    const run = this.#runAt(y);
    const index = Math.floor((y - this.#tops[run]! - this.headPx) / this.rowPx);
    return index < 0 || index >= this.#rowCount(this.runs[run]!) ? null : this.#row(run, index);
  }

  /** The bytes under a point, where rows are divided into columns. */
  spot(x: number, y: number, columns: Columns): Spot | null {
    const row = this.rowAt(y);
    if (row === null || x < 0 || x >= this.width) return null;
    const { lo, hi } = columns.bytes(Math.floor((x / this.width) * columns.count));
    return row.lo + lo >= row.hi ? null : { row, lo: row.lo + lo, hi: Math.min(row.lo + hi, row.hi) };
  }

  /** Where an address is drawn; `null` where no run holds it. */
  place(address: number): { row: Row; x: number } | null {
    const run = this.runs.findIndex(({ start, end }) => address >= start && address < end);
    if (run < 0) return null;
    const row = this.#row(run, Math.floor((address - this.runs[run]!.start) / this.rowBytes));
    return { row, x: ((address - row.lo) / this.rowBytes) * this.width };
  }

  /** How far to scroll so that an address is in the first row; its run's head is shown with its first row. */
  topOf(address: number): number {
    const place = this.place(address);
    if (place === null) return 0;
    return place.row.lo === this.runs[place.row.run]!.start ? place.row.y - this.headPx : place.row.y;
  }
}

/**
 * How a row's bytes are divided into columns of pixels. A row is made of cells of 2^n bytes, at least one a column where
 * bytes suffice, and a cell belongs to the column in which it begins: so the picture needs nothing finer than cells.
 */
export class Columns {
  /** Bytes of a cell, and cells of a row. */
  readonly cellBytes: number;
  readonly cells: number;
  readonly rowBytes: number;
  readonly count: number;

  constructor(rowBytes: number, count: number) {
    this.rowBytes = rowBytes;
    this.count = count;
    this.cellBytes = Math.max(1, rowBytes / 2 ** Math.ceil(Math.log2(count)));
    this.cells = rowBytes / this.cellBytes;
  }

  /** The first column of a byte, counted from the row's first byte. */
  of(byte: number): number {
    return Math.floor((Math.floor(byte / this.cellBytes) * this.count) / this.cells);
  }

  /** The last column of a byte: where there are more columns than bytes, it has several. */
  lastOf(byte: number): number {
    return this.cells >= this.count ? this.of(byte) : Math.max(this.of(byte), this.of(byte + 1) - 1);
  }

  /** The first byte of a column and the first one after it. */
  bytes(column: number): { lo: number; hi: number } {
    const after = Math.ceil(((column + 1) * this.cells) / this.count);
    const first = this.cells >= this.count ? Math.ceil((column * this.cells) / this.count) : after - 1;
    return { lo: first * this.cellBytes, hi: after * this.cellBytes };
  }
}

/** The zoom at which all rows fit into a height; the largest there is where none do. `headPx`: above each of so many runs. */
export function fitZoom(
  segments: readonly Segment[], height: number, rowPx: (zoom: number) => number, headPx: (runs: number) => number, least: number,
): number {
  for (let zoom = least; zoom < MOST_ZOOM; zoom++) {
    const runs = runsOf(segments, 2 ** zoom);
    const rows = runs.reduce((sum, { start, end }) => sum + Math.max(1, Math.ceil((end - start) / 2 ** zoom)), 0);
    if (rows * rowPx(zoom) + runs.length * headPx(runs.length) <= height) return zoom;
  }
  return MOST_ZOOM;
}

/** Joins segments with less than `gap` bytes between them; a run is of the kind of its largest segment. */
export function runsOf(segments: readonly Segment[], gap: number): Run[] {
  const groups: Segment[][] = [];
  for (const segment of segments) {
    const last = groups.at(-1);
    if (last !== undefined && segment.start - last.at(-1)!.end < gap) last.push(segment);
    else groups.push([segment]);
  }
  return groups.map((parts) => {
    const { kind } = parts.reduce((most, it) => (it.end - it.start > most.end - most.start ? it : most));
    return { kind, start: parts[0]!.start, end: parts.at(-1)!.end, parts };
  });
}

/** Adds regions to known segments; what overlaps or touches becomes one, of the kind of the larger. */
export function union(known: readonly Segment[], regions: readonly Segment[]): Segment[] {
  const sorted = [...known, ...regions].sort((x, y) => x.start - y.start);
  const merged: Segment[] = [];
  for (const { kind, start, end } of sorted) {
    const last = merged[merged.length - 1];
    if (last === undefined || start > last.end) merged.push({ kind, start, end });
    else {
      if (end - start > last.end - last.start) last.kind = kind;
      last.end = Math.max(last.end, end);
    }
  }
  return merged;
}
