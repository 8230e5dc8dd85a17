// A process's data, answered in the page from its columns.

import type { Columns } from '../columns.ts';
import { evaluate, parseFilter } from '../filter.ts';
import type {
  BlockPage, BlockQuery, Blocks, Cells, ContentsView, Envelope, EventRow, Histograms, Layout, LiveRange, Measure, ProcessData,
  ProcessInfo, Samples, SiteSeries, SourceView, Stacks, StackWeights, TimeMap, Weight,
} from '../types.ts';
import { readFrames, readStacks, readStrings } from './backtraces.ts';
import { BlockTable } from './blocks.ts';
import { cellsOf, Owners } from './cells.ts';
import { Contents } from './contents.ts';
import { Curve } from './curve.ts';
import { eventsOf } from './events.ts';
import { MIN_HOLE_BYTES } from './extents.ts';
import { histogramsOf } from './histograms.ts';
import { layoutOf, pinnedBy, type Ground } from './layout.ts';
import { listingOf, type Listing } from './rows.ts';
import { forEachBlock, positionOf, type Mask, type Selection } from './select.ts';
import { seriesOf } from './series.ts';
import { Slices } from './slices.ts';
import { sourceOf, type SourceFiles } from './source.ts';
import { timeMapOf } from './timemap.ts';
import { TimeTable } from './times.ts';

/** The tables of a process, as docs/page.md names them. */
export interface Tables {
  strings: Columns;
  frames: Columns;
  stacks: Columns;
  blocks: Columns;
  times: Columns;
  flows: Columns | null;
  contents: Columns | null;
  source: SourceFiles | null;
}

export class InPage implements ProcessData {
  readonly info: ProcessInfo;
  readonly stacks: Stacks;
  readonly times: TimeTable;
  readonly samples: Samples;
  readonly #blocks: BlockTable;
  /** Live bytes over the run. */
  readonly curve: Curve;
  readonly #ground: Ground;
  readonly #contents: Contents | null;
  readonly #source: SourceFiles | null;
  readonly #owners = new Owners();
  #scratch: Uint32Array | undefined;
  /** The last list that was asked for: it is scrolled. */
  #listing: ({ key: string } & Listing) | undefined;
  #mask: { q: string; at: number; mask: Mask } | undefined;

  constructor(info: ProcessInfo, tables: Tables, samples: Samples, ground: Ground) {
    this.info = info;
    this.stacks = readStacks(tables.stacks, readFrames(tables.frames, readStrings(tables.strings)));
    this.times = new TimeTable(tables.times, info.start_ns, info.event_count);
    this.samples = samples;
    this.#blocks = new BlockTable(tables.blocks, this.stacks.count);
    this.curve = new Curve(this.#blocks, info.event_count);
    this.#ground = ground;
    this.#contents = tables.contents && new Contents(tables.contents);
    this.#source = tables.source;
  }

  async peak(a: number, b: number): Promise<{ position: number } & Weight> {
    return this.curve.peak(a, b);
  }

  async envelope(from_ns: number, to_ns: number, buckets: number): Promise<Envelope> {
    return this.curve.envelope(this.times, from_ns, to_ns, buckets);
  }

  async weigh(measure: Measure): Promise<StackWeights> {
    const selection = this.#selection(measure);
    const bytes = new Float64Array(this.stacks.count);
    const blocks = new Float64Array(this.stacks.count);
    const total = { bytes: 0, blocks: 0 };
    const { stack, weightBytes, weightBlocks } = this.#blocks;
    forEachBlock(this.#blocks, selection, 0, this.#blocks.count, (block, sign) => {
      const ofBytes = sign * weightBytes[block]!;
      const ofBlocks = sign * (weightBlocks ? weightBlocks[block]! : 1);
      bytes[stack[block]!]! += ofBytes;
      blocks[stack[block]!]! += ofBlocks;
      total.bytes += ofBytes;
      total.blocks += ofBlocks;
    });
    return { bytes, blocks, total, at: selection.at };
  }

  async total(measure: Measure): Promise<{ at: number } & Weight> {
    const selection = this.#selection(measure);
    const { metric, at, mask } = { ...selection, ...measure };
    if (mask === null && (metric === 'live' || metric === 'peak')) return { at, ...this.curve.at(at) };
    const total = { at, bytes: 0, blocks: 0 };
    const { weightBytes, weightBlocks } = this.#blocks;
    forEachBlock(this.#blocks, selection, 0, this.#blocks.count, (block, sign) => {
      total.bytes += sign * weightBytes[block]!;
      total.blocks += sign * (weightBlocks ? weightBlocks[block]! : 1);
    });
    return total;
  }

  async blocks(query: BlockQuery, signal?: AbortSignal): Promise<BlockPage> {
    const { offset, limit, ...rest } = query;
    const key = JSON.stringify(rest);
    if (this.#listing?.key !== key) {
      const selection = this.#selection(query);
      const listing = await listingOf(this.#blocks, this.times, this.stacks, selection, query.sort, query.descending, new Slices(signal));
      this.#listing = { key, ...listing };
    }
    const { blocks, total } = this.#listing;
    return { rows: this.#blocks.rows(blocks.subarray(offset, offset + limit)), count: blocks.length, total };
  }

  async block(id: number): Promise<Blocks> {
    const block = this.#blocks.withId(id);
    return this.#blocks.rows(block < 0 ? [] : [block]);
  }

  async history(addr: number, limit: number): Promise<Blocks> {
    const { byAddress } = this.#blocks;
    const [from, to] = byAddress.range(addr, addr + 1);
    const found: number[] = [];
    for (let k = from; k < to; k++) if (byAddress.touches(k, addr, addr + 1)) found.push(byAddress.block[k]!);
    found.sort((x, y) => x - y);
    return this.#blocks.rows(found.slice(Math.max(0, found.length - limit)));
  }

  async live(t: number, lo: number, hi: number, limit: number): Promise<LiveRange> {
    const { byAddress } = this.#blocks;
    const live = this.#liveIn(t, lo, hi);
    const too_many = live.length > limit;
    return { rows: this.#blocks.rows(too_many ? [] : live.map((place) => byAddress.block[place]!)), too_many };
  }

  async cells(t: number, lo: number, cell_bytes: number, count: number): Promise<Cells> {
    // A block's padding reaches up to the next one: both beside the grid have a say.
    const live = this.#liveIn(t, lo - MIN_HOLE_BYTES, lo + cell_bytes * count + MIN_HOLE_BYTES);
    return cellsOf(this.#blocks, live, lo, cell_bytes, count, this.#owners);
  }

  async layout(t: number): Promise<Layout> {
    return layoutOf(this.#blocks, this.#liveIn(t, 0, Infinity), this.#ground, this.stacks);
  }

  async pinned(t: number, site: number): Promise<Float64Array> {
    return pinnedBy(this.#blocks, this.#liveIn(t, 0, Infinity), this.#ground, this.stacks, site);
  }

  async histograms(measure: Measure, signal?: AbortSignal): Promise<Histograms> {
    return histogramsOf(this.#blocks, this.times, this.#selection(measure), new Slices(signal));
  }

  async series(points: number, most: number, signal?: AbortSignal): Promise<SiteSeries> {
    const { start_ns, end_ns } = this.info;
    const step = points > 1 ? (end_ns - start_ns) / (points - 1) : 0;
    const moments = Array.from({ length: points }, (_, k) => this.times.at(start_ns + k * step));
    return seriesOf(this.#blocks, this.stacks, moments, most, new Slices(signal));
  }

  async time_map(lo: number, hi: number, a: number, b: number, width: number, height: number, signal?: AbortSignal): Promise<TimeMap> {
    return timeMapOf(this.#blocks.byAddress, this.times, { lo, hi, a, b, width, height }, new Slices(signal));
  }

  async contents(id: number, t: number): Promise<ContentsView> {
    const block = this.#blocks.withId(id);
    if (!this.#contents || block < 0) return { captured: null, bytes: new Uint8Array(0), known: new Uint8Array(0), captures: [] };
    return this.#contents.view(id, this.#blocks.size[block]!, t, this.info, this.times);
  }

  async source(frame: number): Promise<SourceView> {
    return sourceOf(this.#source, this.stacks.frames, frame);
  }

  async events(before: number, lo: number, hi: number, most: number): Promise<EventRow[]> {
    return eventsOf(this.#blocks, this.times, before, lo, hi, most);
  }

  /** Places of the blocks live at `t` that touch `[lo, hi)`; good until the next call. */
  #liveIn(t: number, lo: number, hi: number): Uint32Array {
    const { byAddress } = this.#blocks;
    const { start, died } = byAddress;
    const [from, to] = byAddress.range(lo, hi);
    const live = (this.#scratch ??= new Uint32Array(this.#blocks.count));
    let count = 0;
    for (let k = from; k < to; k++) {
      if (start[k]! <= t && died[k]! >= t && byAddress.touches(k, lo, hi)) live[count++] = k;
    }
    return live.subarray(0, count);
  }

  #selection(measure: Measure): Selection {
    const at = positionOf(measure, this.curve);
    return { measure, at, mask: this.#maskOf(measure.q, at) };
  }

  #maskOf(q: string, at: number): Mask {
    if (q.trim() === '') return null;
    if (this.#mask?.q !== q || this.#mask.at !== at) {
      const { filter, wrong } = parseFilter(q);
      if (wrong) throw new Error(wrong.message);
      this.#mask = { q, at, mask: evaluate(filter, this.#blocks, this.stacks, this.times, this.info, at) };
    }
    return this.#mask.mask;
  }
}
