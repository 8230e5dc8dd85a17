// A process's data, answered in the page from its columns.

import type { Columns } from '../columns.ts';
import { evaluate, parseFilter } from '../filter.ts';
import type {
  BlockPage, BlockQuery, Blocks, Cells, ContentsView, Envelope, EventRow, Histograms, Layout, LiveRange, Measure, ProcessData,
  ProcessInfo, Samples, SiteSeries, SourceView, Stacks, StackWeights, TimeMap, Weight,
} from '../types.ts';
import { readFrames, readStacks, readStrings } from './backtraces.ts';
import { BlockTable } from './blocks.ts';
import { cellsOf } from './cells.ts';
import { Contents } from './contents.ts';
import { Curve } from './curve.ts';
import { eventsOf } from './events.ts';
import { histogramsOf } from './histograms.ts';
import { layoutOf, pinnedBy, type Ground } from './layout.ts';
import { pageOf } from './rows.ts';
import { forEachBlock, positionOf, type Mask } from './select.ts';
import { seriesOf } from './series.ts';
import { Sites } from './sites.ts';
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
  readonly #curve: Curve;
  readonly #sites: Sites;
  readonly #ground: Ground;
  readonly #contents: Contents | null;
  readonly #source: SourceFiles | null;
  #mask: { q: string; at: number; mask: Mask } | undefined;

  constructor(info: ProcessInfo, tables: Tables, samples: Samples, ground: Ground) {
    this.info = info;
    this.stacks = readStacks(tables.stacks, readFrames(tables.frames, readStrings(tables.strings)));
    this.times = new TimeTable(tables.times, info.start_ns, info.event_count);
    this.samples = samples;
    this.#blocks = new BlockTable(tables.blocks, this.stacks.count);
    this.#curve = new Curve(this.#blocks, info.event_count);
    this.#sites = new Sites(this.stacks);
    this.#ground = ground;
    this.#contents = tables.contents && new Contents(tables.contents);
    this.#source = tables.source;
  }

  async peak(a: number, b: number): Promise<{ position: number } & Weight> {
    return this.#curve.peak(a, b);
  }

  async envelope(from_ns: number, to_ns: number, buckets: number): Promise<Envelope> {
    return this.#curve.envelope(this.times, from_ns, to_ns, buckets);
  }

  async weigh(measure: Measure): Promise<StackWeights> {
    const weights: StackWeights = {
      bytes: new Float64Array(this.stacks.count),
      blocks: new Float64Array(this.stacks.count),
      total: { bytes: 0, blocks: 0 },
      at: positionOf(measure, this.#curve),
    };
    const { stack, weightBytes, weightBlocks } = this.#blocks;
    this.#each(measure, (block, sign) => {
      const bytes = sign * weightBytes[block]!;
      const blocks = sign * (weightBlocks ? weightBlocks[block]! : 1);
      weights.bytes[stack[block]!]! += bytes;
      weights.blocks[stack[block]!]! += blocks;
      weights.total.bytes += bytes;
      weights.total.blocks += blocks;
    });
    return weights;
  }

  async total(measure: Measure): Promise<{ at: number } & Weight> {
    const { total, at } = await this.weigh(measure);
    return { at, ...total };
  }

  async blocks(query: BlockQuery): Promise<BlockPage> {
    return pageOf(this.#blocks, this.times, this.stacks, this.#sites, query, (take) => this.#each(query, take));
  }

  async block(id: number): Promise<Blocks> {
    const block = this.#blocks.withId(id);
    return this.#blocks.rows(block < 0 ? [] : [block]);
  }

  async history(addr: number, limit: number): Promise<Blocks> {
    const { byAddress } = this.#blocks;
    const found: number[] = [];
    for (let k = byAddress.from(addr); k < byAddress.to(addr + 1); k++) {
      const block = byAddress.block[k]!;
      if (byAddress.addr[k] === addr || this.#blocks.end(block) > addr) found.push(block);
    }
    return this.#blocks.rows(found.sort((x, y) => x - y).slice(Math.max(0, found.length - limit)));
  }

  async live(t: number, lo: number, hi: number, limit: number): Promise<LiveRange> {
    const live = this.#liveIn(t, lo, hi);
    const too_many = live.length > limit;
    return { rows: this.#blocks.rows(too_many ? [] : live), too_many };
  }

  async cells(t: number, lo: number, cell_bytes: number, count: number): Promise<Cells> {
    return cellsOf(this.#blocks, this.#liveIn(t, lo, lo + cell_bytes * count), lo, cell_bytes, count);
  }

  async layout(t: number): Promise<Layout> {
    return layoutOf(this.#blocks, this.#liveIn(t, 0, Infinity), this.#ground, this.#sites);
  }

  async pinned(t: number, site: number): Promise<Float64Array> {
    return pinnedBy(this.#blocks, this.#liveIn(t, 0, Infinity), this.#ground, this.#sites, site);
  }

  async histograms(measure: Measure): Promise<Histograms> {
    const births: Measure = { ...measure, metric: 'alloc' };
    return histogramsOf(
      this.#blocks, this.times, measure.a, measure.b,
      (take) => this.#each(measure, take),
      (take) => this.#each(births, take),
    );
  }

  async series(points: number, most: number): Promise<SiteSeries> {
    const { start_ns, end_ns } = this.info;
    const step = points > 1 ? (end_ns - start_ns) / (points - 1) : 0;
    const moments = Array.from({ length: points }, (_, k) => this.times.at(start_ns + k * step));
    return seriesOf(this.#blocks, this.#sites, moments, most);
  }

  async time_map(lo: number, hi: number, a: number, b: number, width: number, height: number): Promise<TimeMap> {
    return timeMapOf(this.#blocks, this.times, lo, hi, a, b, width, height);
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

  /** Blocks live at `t` that reach into `[lo, hi)`, by address. */
  #liveIn(t: number, lo: number, hi: number): Uint32Array {
    const { byAddress } = this.#blocks;
    const live = new Uint32Array(this.#blocks.begunBy(t));
    let count = 0;
    const to = byAddress.to(hi);
    for (let k = byAddress.from(lo); k < to; k++) {
      if (byAddress.start[k]! > t || byAddress.died[k]! < t) continue;
      const block = byAddress.block[k]!;
      if (byAddress.addr[k]! >= lo || this.#blocks.end(block) > lo) live[count++] = block;
    }
    return live.subarray(0, count);
  }

  #each(measure: Measure, take: (block: number, sign: number) => void): void {
    const at = positionOf(measure, this.#curve);
    forEachBlock(this.#blocks, measure, at, this.#maskOf(measure.q, at), take);
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
