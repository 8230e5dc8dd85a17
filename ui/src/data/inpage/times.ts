// Positions to nanoseconds and back: the table `times`, with an index so that one look-up is a few steps.

import { column, type Columns } from '../columns.ts';
import type { Times } from '../types.ts';
import { lowerBound, upperBound } from './search.ts';

/** Positions between two entries of the index. */
const STRIDE_BITS = 3;

export class TimeTable implements Times {
  readonly #positions: Uint32Array;
  readonly #times: Float64Array;
  /** How many entries have a position of at most k × stride. */
  readonly #index: Uint32Array;
  readonly #start: number;
  readonly #events: number;

  constructor(table: Columns, start_ns: number, events: number) {
    this.#positions = column(table, 'position', 'u32');
    const count = this.#positions.length;
    const low = column(table, 'time_lo', 'u32', count);
    const high = column(table, 'time_hi', 'u32', count);
    this.#times = new Float64Array(count);
    for (let i = 0; i < count; i++) this.#times[i] = high[i]! * 2 ** 32 + low[i]!;
    for (let i = 1; i < count; i++) {
      if (this.#positions[i]! <= this.#positions[i - 1]! || this.#times[i]! < this.#times[i - 1]!)
        throw new Error('the times do not ascend');
    }
    this.#index = new Uint32Array((events >>> STRIDE_BITS) + 1);
    let entries = 0;
    for (let k = 0; k < this.#index.length; k++) {
      while (entries < count && this.#positions[entries]! <= k << STRIDE_BITS) entries++;
      this.#index[k] = entries;
    }
    this.#start = start_ns;
    this.#events = events;
  }

  of(position: number): number {
    const at = Math.max(0, Math.min(this.#events, Math.floor(position)));
    let entries = this.#index[at >>> STRIDE_BITS]!;
    while (entries < this.#positions.length && this.#positions[entries]! <= at) entries++;
    return entries === 0 ? this.#start : this.#times[entries - 1]!;
  }

  at(time_ns: number): number {
    const later = upperBound(this.#times, time_ns);
    return later === this.#times.length ? this.#events : Math.min(this.#events, Math.max(0, this.#positions[later]! - 1));
  }

  /** The last position whose events all happened before a time. */
  before(time_ns: number): number {
    const later = lowerBound(this.#times, time_ns);
    return later === this.#times.length ? this.#events : Math.min(this.#events, Math.max(0, this.#positions[later]! - 1));
  }
}
