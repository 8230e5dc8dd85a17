// Which address lies where in the picture: rows of 2^k bytes, lower addresses further left and further up.
//
// Segments (stretches of the address space that hold blocks at some moment) follow each other from top to bottom; each
// begins a row of its own, so that a page has the same width everywhere and no row shows what lies far apart. Lengths
// are CSS pixels, addresses are exact integers.

import type { Region } from '../../data/types.ts';

export interface Segment {
  kind: Region['kind'];
  start: number;
  end: number;
}

/** A row of the picture: the bytes [lo, hi), at a height in the whole (not the visible) picture. */
export interface Row {
  segment: number;
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
  readonly segments: readonly Segment[];
  readonly zoom: number;
  readonly width: number;
  readonly rowPx: number;
  /** Room above each segment. */
  readonly headPx: number;
  readonly #tops: number[] = [];

  constructor(segments: readonly Segment[], zoom: number, width: number, rowPx: number, headPx: number) {
    this.segments = segments;
    this.zoom = zoom;
    this.width = width;
    this.rowPx = rowPx;
    this.headPx = headPx;
    this.rowBytes = 2 ** zoom;
    let y = 0;
    for (const segment of segments) {
      this.#tops.push(y);
      y += headPx + this.#rowCount(segment) * rowPx;
    }
    this.height = y;
  }

  get bytesPerPx(): number {
    return this.rowBytes / this.width;
  }

  #rowCount(segment: Segment): number {
    return Math.max(1, Math.ceil((segment.end - segment.start) / this.rowBytes));
  }

  #row(segment: number, index: number): Row {
    const { start, end } = this.segments[segment]!;
    const lo = start + index * this.rowBytes;
    return { segment, lo, hi: Math.min(end, lo + this.rowBytes), y: this.#tops[segment]! + this.headPx + index * this.rowPx };
  }

  /** The rows that touch [top, top + height). */
  rows(top: number, height: number): Row[] {
    const rows: Row[] = [];
    for (let segment = this.#segmentAt(top); segment < this.segments.length; segment++) {
      const first = this.#tops[segment]! + this.headPx;
      if (this.#tops[segment]! >= top + height) break;
      const last = Math.min(this.#rowCount(this.segments[segment]!) - 1, Math.ceil((top + height - first) / this.rowPx) - 1);
      for (let index = Math.max(0, Math.floor((top - first) / this.rowPx)); index <= last; index++) rows.push(this.#row(segment, index));
    }
    return rows;
  }

  /** The last segment that begins at or above a height. */
  #segmentAt(y: number): number {
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
    if (y < 0 || this.segments.length === 0) return null;
    const segment = this.#segmentAt(y);
    const index = Math.floor((y - this.#tops[segment]! - this.headPx) / this.rowPx);
    return index < 0 || index >= this.#rowCount(this.segments[segment]!) ? null : this.#row(segment, index);
  }

  /** The bytes under a point, where rows are divided into columns. */
  spot(x: number, y: number, columns: Columns): Spot | null {
    const row = this.rowAt(y);
    if (row === null || x < 0 || x >= this.width) return null;
    const { lo, hi } = columns.bytes(Math.floor((x / this.width) * columns.count));
    return row.lo + lo >= row.hi ? null : { row, lo: row.lo + lo, hi: Math.min(row.lo + hi, row.hi) };
  }

  /** Where an address is drawn; `null` where no segment holds it. */
  place(address: number): { row: Row; x: number } | null {
    const segment = this.segments.findIndex(({ start, end }) => address >= start && address < end);
    if (segment < 0) return null;
    const row = this.#row(segment, Math.floor((address - this.segments[segment]!.start) / this.rowBytes));
    return { row, x: ((address - row.lo) / this.rowBytes) * this.width };
  }

  /** How far to scroll so that an address is in the first row; its segment's head is shown with its first row. */
  topOf(address: number): number {
    const place = this.place(address);
    if (place === null) return 0;
    return place.row.lo === this.segments[place.row.segment]!.start ? place.row.y - this.headPx : place.row.y;
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

/** The zoom at which all rows fit into a height; the largest there is where none do. */
export function fitZoom(segments: readonly Segment[], height: number, rowPx: (zoom: number) => number, headPx: number, least: number): number {
  for (let zoom = least; zoom < MOST_ZOOM; zoom++) {
    const rows = segments.reduce((sum, { start, end }) => sum + Math.max(1, Math.ceil((end - start) / 2 ** zoom)), 0);
    if (rows * rowPx(zoom) + segments.length * headPx <= height) return zoom;
  }
  return MOST_ZOOM;
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
