// A capped process: its blocks by the dozen, exact on a grid of positions; docs/page.md, The cap.

import { column, type Columns } from '../columns.ts';
import { NEVER, type Envelope, type Metric, type ProcessInfo, type Weight } from '../types.ts';
import { within } from './backtraces.ts';
import { INHERITED, startsOf, TEMPORARY, type Population } from './blocks.ts';
import { Curve, type LiveCurve } from './curve.ts';
import { finish } from './slices.ts';

/** The lines of the grid: positions at which sums are exact. */
export class Grid {
  readonly cells: number;
  readonly #events: number;

  constructor(cells: number, events: number) {
    this.cells = cells;
    this.#events = events;
  }

  line(cell: number): number {
    return Math.floor((cell * this.#events) / this.cells);
  }

  /** The last line at or before a position. */
  rounded(position: number): number {
    let cell = Math.min(this.cells, Math.ceil((position * this.cells) / Math.max(1, this.#events)));
    while (cell > 0 && this.line(cell) > position) cell--;
    return this.line(cell);
  }

  /** The lines in `(a, b]`, ascending. */
  *lines(a: number, b: number): Generator<number> {
    for (let cell = 0; cell <= this.cells; cell++) {
      const line = this.line(cell);
      if (line > a && line <= b) yield line;
    }
  }
}

/** Flows, measured as blocks are: those that began in one cell and ended in another are one row. */
export class FlowTable implements Population {
  readonly count: number;
  readonly start: Uint32Array;
  readonly died: Uint32Array;
  readonly stack: Uint32Array;
  readonly flags: Uint8Array;
  readonly weightBytes: Float64Array;
  readonly weightBlocks: Float64Array;
  readonly grid: Grid;
  readonly #temporaryBytes: Float64Array;
  readonly #temporaryBlocks: Float64Array;

  constructor(table: Columns, stacks: number, events: number) {
    const born = column(table, 'born', 'u32');
    const count = (this.count = born.length);
    // Written by birth, which inherited ones have none of: theirs is the largest number. Here they come first.
    const inherited = count - lastBorn(born);
    const turned = <T extends Uint32Array | Float64Array>(values: T): T => {
      const first = values.slice(count - inherited);
      values.copyWithin(inherited, 0, count - inherited);
      values.set(first);
      return values;
    };
    const sum = (name: string) => turned(column(table, name, 'f64', count));
    this.#temporaryBytes = sum('temp_bytes');
    this.#temporaryBlocks = sum('temp_blocks');
    const isTemporary = (row: number) => this.#temporaryBlocks[row]! > 0 || this.#temporaryBytes[row]! > 0;
    this.flags = Uint8Array.from(this.#temporaryBlocks, (_, row) => (row < inherited ? INHERITED : 0) | (isTemporary(row) ? TEMPORARY : 0));
    this.start = startsOf(turned(born), this.flags);
    this.died = turned(column(table, 'died', 'u32', count));
    this.stack = turned(column(table, 'stack', 'u32', count));
    within(this.stack, stacks, 'backtrace');
    this.weightBytes = sum('bytes');
    this.weightBlocks = sum('blocks');
    const cells = table.meta['grid'];
    if (typeof cells !== 'number' || !Number.isInteger(cells) || cells < 1 || cells > 4096) throw new Error('the flows have no grid');
    this.grid = new Grid(cells, events);
  }

  weights(metric: Metric): { bytes: Float64Array; blocks: Float64Array } {
    if (metric === 'temp') return { bytes: this.#temporaryBytes, blocks: this.#temporaryBlocks };
    return { bytes: this.weightBytes, blocks: this.weightBlocks };
  }
}

/** How many rows have a birth. */
function lastBorn(born: Uint32Array): number {
  let count = born.length;
  while (count > 0 && born[count - 1] === NEVER) count--;
  return count;
}

/** Live bytes of a capped process: exact at the lines of the grid, at the peak of the run, and over the timeline's buckets. */
export class GridCurve implements LiveCurve {
  readonly #curve: Curve;
  readonly #grid: Grid;
  readonly #info: ProcessInfo;
  readonly #timeline: Envelope;

  constructor(flows: FlowTable, timeline: Columns, info: ProcessInfo) {
    this.#curve = finish(Curve.of(flows, info.event_count));
    this.#grid = flows.grid;
    this.#info = info;
    const min = column(timeline, 'min', 'f64');
    const [from_ns, to_ns] = [timeline.meta['from_ns'], timeline.meta['to_ns']];
    if (typeof from_ns !== 'number' || typeof to_ns !== 'number' || min.length === 0) throw new Error('the timeline has no time');
    this.#timeline = { from_ns, to_ns, min, max: column(timeline, 'max', 'f64', min.length), last: column(timeline, 'last', 'f64', min.length) };
  }

  at(position: number): Weight {
    const { peak } = this.#info;
    if (position === peak.position) return { bytes: peak.bytes, blocks: peak.blocks };
    return this.#curve.at(this.#grid.rounded(position));
  }

  /** Of the whole run that of the recording; else the first line of most live bytes. */
  peak(a: number, b: number): { position: number } & Weight {
    const { position, bytes, blocks } = this.#info.peak;
    if (a === 0 && b === this.#info.event_count) return { position, bytes, blocks };
    let best = { position: this.#grid.rounded(b), ...this.at(b) };
    for (const line of this.#grid.lines(a, b)) {
      const live = this.#curve.at(line);
      if (live.bytes > best.bytes || (live.bytes === best.bytes && line < best.position)) best = { position: line, ...live };
    }
    return best;
  }

  /** The extremes of all buckets of the timeline that reach into each. */
  envelope(from_ns: number, to_ns: number, buckets: number): Envelope {
    const envelope: Envelope = {
      from_ns, to_ns, min: new Float64Array(buckets), max: new Float64Array(buckets), last: new Float64Array(buckets),
    };
    const { min, max, last } = this.#timeline;
    const share = min.length / Math.max(1, this.#timeline.to_ns - this.#timeline.from_ns);
    const bucketOf = (time: number) => Math.max(0, Math.min(min.length - 1, Math.floor((time - this.#timeline.from_ns) * share)));
    for (let k = 0; k < buckets; k++) {
      const begin = bucketOf(from_ns + ((to_ns - from_ns) * k) / buckets);
      const end = Math.max(begin, bucketOf(from_ns + ((to_ns - from_ns) * (k + 1)) / buckets - 1));
      let [least, most] = [Infinity, -Infinity];
      for (let n = begin; n <= end; n++) {
        least = Math.min(least, min[n]!);
        most = Math.max(most, max[n]!);
      }
      [envelope.min[k], envelope.max[k], envelope.last[k]] = [least, most, last[end]!];
    }
    return envelope;
  }
}
