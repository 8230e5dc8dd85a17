// Bytes of blocks as snapshots captured them. A capture of a block is one or more rows of one position: `length` bytes
// from `offset` in the block on. The bytes of all rows follow each other in the column `bytes`.

import { column, type Columns } from '../columns.ts';
import type { ContentsView, ProcessInfo, Times } from '../types.ts';

export class Contents {
  readonly #rows = new Map<number, { position: number; offset: number; at: number; length: number }[]>();
  readonly #bytes: Uint8Array;

  constructor(table: Columns) {
    const low = column(table, 'block_lo', 'u32');
    const count = low.length;
    const high = column(table, 'block_hi', 'u32', count);
    const position = column(table, 'position', 'u32', count);
    const offset = column(table, 'offset', 'u32', count);
    const length = column(table, 'length', 'u32', count);
    this.#bytes = column(table, 'bytes', 'u8');
    let at = 0;
    for (let i = 0; i < count; i++) {
      const id = high[i]! * 2 ** 32 + low[i]!;
      let rows = this.#rows.get(id);
      if (!rows) this.#rows.set(id, (rows = []));
      rows.push({ position: position[i]!, offset: offset[i]!, at, length: length[i]! });
      at += length[i]!;
    }
    if (at !== this.#bytes.length) throw new Error(`contents: ${this.#bytes.length} bytes are there, not ${at}`);
  }

  /** The newest capture at or before `t`, else the first one. */
  view(id: number, size: number, t: number, info: ProcessInfo, times: Times): ContentsView {
    const rows = this.#rows.get(id) ?? [];
    const captures = [...new Set(rows.map((row) => row.position))].sort((x, y) => x - y);
    const chosen = captures.findLast((position) => position <= t) ?? captures[0];
    if (chosen === undefined) return { captured: null, bytes: new Uint8Array(0), known: new Uint8Array(0), captures };
    const own = rows.filter((row) => row.position === chosen);
    // A size is hostile; what was captured is not longer than the column.
    const length = Math.max(0, ...own.map((row) => row.offset + row.length));
    const shown = Math.min(size, Math.max(length, 4096));
    const bytes = new Uint8Array(shown);
    const known = new Uint8Array(shown);
    for (const row of own) {
      const part = this.#bytes.subarray(row.at, row.at + Math.max(0, Math.min(row.length, shown - row.offset)));
      if (part.length === 0) continue;
      bytes.set(part, row.offset);
      known.fill(1, row.offset, row.offset + part.length);
    }
    const snapshot = info.snapshots.find((it) => it.position === chosen);
    const captured = { position: chosen, time_ns: snapshot?.time_ns ?? times.of(chosen), reason: snapshot?.reason ?? '' };
    return { captured, bytes, known, captures };
  }
}
