// The picture before it has colours: which class of block, how full, of whom, for each column of each visible row.
//
// It is made of cells (zoomed out) or of blocks (zoomed in); where several blocks share a column, the one with most
// bytes in it gives its class. Class 0 is a hole; what no segment holds is `OUTSIDE`.

import type { Blocks, Cells } from '../../data/types.ts';
import type { Columns, Row } from './geometry.ts';

export const HOLE = 0;
export const OUTSIDE = 255;

/** What classes are told by; cells and blocks both have it. */
export type Attributes = Pick<Cells, 'stack' | 'size' | 'born' | 'died' | 'thread' | 'leak'>;
export type Classify = (of: Attributes, index: number) => number;

/** Gaps of fewer bytes hold no block: they are drawn as the block before them (docs/json.md, layout). */
const MIN_HOLE_BYTES = 32;
/** A block so many columns wide is set off from its neighbours. */
const EDGE_COLUMNS = 8;

export class Raster {
  readonly kind: Uint8Array;
  /** Share of the column that is used, 0 to 255; at least 1 where anything is. */
  readonly fill: Uint8Array;
  readonly stack: Uint32Array;
  readonly born: Uint32Array;
  readonly died: Uint32Array;
  /** 1: the first column of a block that is wide enough to be seen as one. */
  readonly edge: Uint8Array;
  /** The blocks themselves, where they were asked for. */
  blocks: Blocks | null = null;
  readonly rows: readonly Row[];
  readonly columns: Columns;
  readonly #most: Float64Array;
  readonly #used: Float64Array;
  /** Bytes of each column of a row. */
  readonly #room: Float64Array;

  constructor(rows: readonly Row[], columns: Columns) {
    this.rows = rows;
    this.columns = columns;
    const length = rows.length * columns.count;
    this.kind = new Uint8Array(length);
    this.fill = new Uint8Array(length);
    this.stack = new Uint32Array(length);
    this.born = new Uint32Array(length);
    this.died = new Uint32Array(length);
    this.edge = new Uint8Array(length);
    this.#most = new Float64Array(length);
    this.#used = new Float64Array(length);
    this.#room = Float64Array.from({ length: columns.count }, (_, column) => {
      const { lo, hi } = columns.bytes(column);
      return hi - lo;
    });
    this.kind.fill(OUTSIDE);
    rows.forEach(({ lo, hi, parts }, index) => {
      for (const { start, end } of parts) {
        if (start >= hi || end <= lo) continue;
        const [first, last] = [Math.max(start, lo) - lo, Math.min(end, hi) - 1 - lo];
        this.kind.fill(HOLE, index * columns.count + columns.of(first), index * columns.count + columns.lastOf(last) + 1);
      }
    });
  }

  /** Cells that begin with the first of these rows, which follow each other. */
  addCells(first: number, count: number, cells: Cells, classify: Classify): void {
    const { columns } = this;
    for (let row = 0; row < count; row++) {
      const base = (first + row) * columns.count;
      const { lo, hi } = this.rows[first + row]!;
      const own = Math.ceil((hi - lo) / columns.cellBytes);
      for (let cell = 0, at = row * columns.cells; cell < own; cell++, at++) {
        const bytes = cells.used[at]!;
        if (bytes === 0) continue;
        const byte = cell * columns.cellBytes;
        this.#put(base + columns.of(byte), base + columns.lastOf(byte), bytes, cells, at, classify);
      }
    }
  }

  /** Blocks by address. */
  addBlocks(blocks: Blocks, classify: Classify): void {
    let row = 0;
    for (let index = 0; index < blocks.count; index++) {
      const from = blocks.addr[index]!;
      const to = footprintEnd(blocks, index);
      while (row > 0 && this.rows[row]!.lo > from) row--;
      while (row < this.rows.length && this.rows[row]!.hi <= from) row++;
      for (let at = row; at < this.rows.length && this.rows[at]!.lo < to; at++) this.#addSpan(at, from, to, blocks, index, classify);
      row = Math.min(row, this.rows.length - 1);
    }
    this.blocks = blocks;
  }

  #addSpan(row: number, from: number, to: number, blocks: Blocks, index: number, classify: Classify): void {
    const { lo, hi } = this.rows[row]!;
    const [first, last] = [Math.max(from, lo) - lo, Math.min(to, hi) - lo - 1];
    if (last < first) return;
    const base = row * this.columns.count;
    for (let column = this.columns.of(first); column <= this.columns.lastOf(last); column++) {
      const own = this.columns.bytes(column);
      this.#put(base + column, base + column, Math.min(last + 1, own.hi) - Math.max(first, own.lo), blocks, index, classify);
    }
  }

  /** Finds where wide blocks begin. Call once, when all is added: neighbours with another birth are other blocks. */
  findEdges(): void {
    const { count } = this.columns;
    let before = -1;
    for (let row = 0, at = 0; row < this.rows.length; row++) {
      for (const end = at + count; at < end; ) {
        const from = at;
        const [kind, born] = [this.kind[at]!, this.born[at]!];
        while (at < end && this.kind[at] === kind && this.born[at] === born) at++;
        const own = kind === HOLE || kind === OUTSIDE ? -1 : born;
        if (own >= 0 && own !== before && at - from >= EDGE_COLUMNS) this.edge[from] = 1;
        before = own;
      }
    }
  }

  #put(from: number, to: number, bytes: number, of: Attributes, index: number, classify: Classify): void {
    const { count } = this.columns;
    for (let at = from; at <= to; at++) {
      this.#used[at]! += bytes;
      this.fill[at] = Math.max(1, Math.min(255, Math.round((255 * this.#used[at]!) / this.#room[at % count]!)));
      if (bytes <= this.#most[at]!) continue;
      this.#most[at] = bytes;
      this.kind[at] = classify(of, index);
      this.stack[at] = of.stack[index]!;
      this.born[at] = of.born[index]!;
      this.died[at] = of.died[index]!;
    }
  }
}

/** The first address after a block and the padding after it that could hold no other. */
export function footprintEnd(blocks: Blocks, index: number): number {
  const end = blocks.addr[index]! + Math.max(1, blocks.size[index]!, blocks.usable[index]!);
  if (index + 1 === blocks.count) return end;
  const next = blocks.addr[index + 1]!;
  return next > end && next - end < MIN_HOLE_BYTES ? next : end;
}
