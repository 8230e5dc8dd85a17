// A process's data, answered in the page from its columns.

import type { Columns } from '../columns.ts';
import { parseFilter, type Token } from '../filter.ts';
import type {
  BlockPage, BlockQuery, Blocks, Cells, ContentsView, Envelope, EventRow, Histograms, Layout, LiveRange, Measure, ProcessData,
  ProcessInfo, Samples, SiteSeries, SourceView, Stacks, StackWeights, TimeMap, TimeMapQuery, Weight,
} from '../types.ts';
import { readFrames, readStacks, readStrings } from './backtraces.ts';
import { BlockTable, type AddressOrder, type Population } from './blocks.ts';
import { cellsOf, Owners } from './cells.ts';
import { Contents } from './contents.ts';
import { Curve, type LiveCurve } from './curve.ts';
import { eventsOf } from './events.ts';
import { MIN_HOLE_BYTES } from './extents.ts';
import { FlowTable, GridCurve } from './grid.ts';
import { histogramsOf } from './histograms.ts';
import { layoutOf, pinnedBy, type Ground, type Live } from './layout.ts';
import { dependsOnMoment, maskOf, stackMaskOf } from './mask.ts';
import { listingOf, type Listing } from './rows.ts';
import { bounds, forEachBlock, livingOn, positionOf, type Mask, type Selection } from './select.ts';
import { lowerBound } from './search.ts';
import { seriesOf } from './series.ts';
import { finish, finishInSlices, Slices, STEP, type Steps } from './slices.ts';
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
  timeline: Columns | null;
  contents: Columns | null;
  source: SourceFiles | null;
}

/** What the tables are read into. */
interface Parts {
  stacks: Stacks;
  times: TimeTable;
  blocks: BlockTable;
  flows: FlowTable | null;
  curve: LiveCurve;
}

function* partsOf(info: ProcessInfo, tables: Tables): Steps<Parts> {
  const stacks = readStacks(tables.stacks, readFrames(tables.frames, readStrings(tables.strings)));
  yield;
  const times = new TimeTable(tables.times, info.start_ns, info.event_count);
  yield;
  const blocks = new BlockTable(tables.blocks, stacks.count);
  yield;
  const flows = tables.flows && new FlowTable(tables.flows, stacks.count, info.event_count);
  const curve = flows ? new GridCurve(flows, required(tables.timeline), info) : yield* Curve.of(blocks, info.event_count, times);
  return { stacks, times, blocks, flows, curve };
}

/** Filters that are kept evaluated. */
const MOST_MASKS = 4;

export class InPage implements ProcessData {
  readonly info: ProcessInfo;
  readonly stacks: Stacks;
  readonly times: TimeTable;
  readonly samples: Samples;
  readonly #blocks: BlockTable;
  /** Of a capped process. */
  readonly #flows: FlowTable | null;
  /** Whether a capped process has each block that is live at its peak. */
  readonly #wholeAtPeak: boolean;
  /** Live bytes over the run. */
  readonly curve: LiveCurve;
  readonly #ground: Ground;
  readonly #apis: string[];
  readonly #contents: Contents | null;
  readonly #source: SourceFiles | null;
  readonly #owners = new Owners();
  #scratch: Uint32Array | undefined;
  /** The last list that was asked for: it is scrolled. */
  #listing: ({ key: string } & Listing) | undefined;
  /** Filters evaluated last, the newest first; `at`: the moment that ages were counted to. */
  readonly #masks: { q: string; at: number | null; mask: Promise<Mask> }[] = [];

  /** Read in slices: of millions of blocks this takes some tenths of a second, and the page's summary can be read meanwhile. */
  static async open(info: ProcessInfo, tables: Tables, samples: Samples, ground: Ground, apis: string[]): Promise<InPage> {
    return new InPage(info, tables, samples, ground, apis, await finishInSlices(partsOf(info, tables), new Slices()));
  }

  /** `apis`: those of the overview. */
  constructor(info: ProcessInfo, tables: Tables, samples: Samples, ground: Ground, apis: string[], parts: Parts = finish(partsOf(info, tables))) {
    this.info = info;
    this.#apis = apis;
    this.stacks = parts.stacks;
    this.times = parts.times;
    this.samples = samples;
    this.#blocks = parts.blocks;
    this.#flows = parts.flows;
    this.#wholeAtPeak = this.#flows !== null && liveBytes(this.#blocks, info.peak.position) === info.peak.bytes;
    this.curve = parts.curve;
    this.#ground = ground;
    this.#contents = tables.contents && new Contents(tables.contents);
    this.#source = tables.source;
  }

  /** Makes what the first page of addresses would have to wait for. */
  async prepare(): Promise<void> {
    await this.#blocks.byAddress();
  }

  async peak(a: number, b: number): Promise<{ position: number } & Weight> {
    return this.curve.peak(a, b);
  }

  async envelope(from_ns: number, to_ns: number, buckets: number): Promise<Envelope> {
    return this.curve.envelope(from_ns, to_ns, buckets);
  }

  async weigh(measure: Measure, signal?: AbortSignal): Promise<StackWeights> {
    const { population, selection } = await this.#summed(measure);
    const bytes = new Float64Array(this.stacks.count);
    const blocks = new Float64Array(this.stacks.count);
    const { stack } = population;
    const take = (row: number, ofBytes: number, ofBlocks: number) => {
      bytes[stack[row]!]! += ofBytes;
      blocks[stack[row]!]! += ofBlocks;
    };
    const total = await sumOf(population, selection, take, new Slices(signal));
    return { bytes, blocks, total, at: selection.at };
  }

  async total(measure: Measure, signal?: AbortSignal): Promise<{ at: number } & Weight> {
    const { population, selection } = await this.#summed(measure);
    const { at, mask } = selection;
    const isKnown = isOfLive(measure) && mask === null;
    const { bytes, blocks } = isKnown ? this.curve.at(at) : await sumOf(population, selection, () => {}, new Slices(signal));
    return { at, bytes, blocks };
  }

  async blocks(query: BlockQuery, signal?: AbortSignal): Promise<BlockPage> {
    const { offset, limit, ...rest } = query;
    const key = JSON.stringify(rest);
    if (this.#listing?.key !== key) {
      const selection = await this.#selection(query);
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
    const byAddress = await this.#blocks.byAddress();
    const [from, to] = byAddress.range(addr, addr + 1);
    const found: number[] = [];
    for (let k = from; k < to; k++) if (byAddress.touches(k, addr, addr + 1)) found.push(byAddress.block[k]!);
    found.sort((x, y) => x - y);
    return this.#blocks.rows(found.slice(Math.max(0, found.length - limit)));
  }

  async live(t: number, lo: number, hi: number, limit: number, signal?: AbortSignal): Promise<LiveRange> {
    const byAddress = await this.#blocks.byAddress();
    const live = this.#liveIn(byAddress, t, lo, hi);
    const too_many = live.length > limit;
    return { rows: await this.#blocks.rowsAt(too_many ? live.subarray(0, 0) : live, new Slices(signal)), too_many };
  }

  async cells(t: number, lo: number, cell_bytes: number, count: number): Promise<Cells> {
    // A block's padding reaches up to the next one: both beside the grid have a say.
    const order = await this.#blocks.byAddress();
    const live = this.#liveIn(order, t, lo - MIN_HOLE_BYTES, lo + cell_bytes * count + MIN_HOLE_BYTES);
    return cellsOf(this.#blocks, order, live, lo, cell_bytes, count, this.#owners);
  }

  async layout(t: number, signal?: AbortSignal): Promise<Layout> {
    return layoutOf(await this.#allLive(t), this.#ground, this.stacks, new Slices(signal));
  }

  async pinned(t: number, site: number, signal?: AbortSignal): Promise<Float64Array> {
    return pinnedBy(await this.#allLive(t), this.#ground, this.stacks, site, new Slices(signal));
  }

  /** All blocks live at `t`, kept for work in slices. */
  async #allLive(t: number): Promise<Live> {
    const order = await this.#blocks.byAddress();
    return { table: this.#blocks, order, places: this.#liveIn(order, t, 0, Infinity).slice() };
  }

  async histograms(measure: Measure, signal?: AbortSignal): Promise<Histograms> {
    return histogramsOf(this.#blocks, this.times, await this.#selection(measure), new Slices(signal));
  }

  async series(from_ns: number, to_ns: number, points: number, most: number, signal?: AbortSignal): Promise<SiteSeries> {
    const step = points > 1 ? (to_ns - from_ns) / (points - 1) : 0;
    const moments = Array.from({ length: points }, (_, k) => this.times.at(from_ns + k * step));
    return seriesOf(this.#flows ?? this.#blocks, this.stacks, moments.map((it) => this.#flows?.grid.rounded(it) ?? it), most, new Slices(signal));
  }

  async time_map(query: TimeMapQuery, signal?: AbortSignal): Promise<TimeMap> {
    const [order, mask] = [await this.#blocks.byAddress(), await this.#maskOf(query.q, query.b)];
    const ground = { table: this.#blocks, order, stacks: this.stacks, times: this.times };
    return timeMapOf(ground, query, mask, new Slices(signal));
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
    return eventsOf(this.#blocks, await this.#blocks.byAddress(), this.times, before, lo, hi, most);
  }

  /** Places of the blocks live at `t` that touch `[lo, hi)`; good until the next call. */
  #liveIn(byAddress: AddressOrder, t: number, lo: number, hi: number): Uint32Array {
    const { start, died } = byAddress;
    const [from, to] = byAddress.range(lo, hi);
    const inside = lowerBound(byAddress.addr, lo);
    const live = (this.#scratch ??= new Uint32Array(this.#blocks.count + 1));
    // As an unsigned number it is compared without a conversion, and adding truths spares jumps that cannot be foreseen.
    const at = t >>> 0;
    let count = 0;
    for (let k = from; k < inside; k++) {
      if (start[k]! <= at && died[k]! >= at && byAddress.touches(k, lo, hi)) live[count++] = k;
    }
    for (let k = inside; k < to; k++) {
      live[count] = k;
      count += Number(start[k]! <= at) & Number(died[k]! >= at);
    }
    return live.subarray(0, count);
  }

  /** What sums are made of: blocks, or of a capped process flows, at lines of the grid; at its peak, blocks. */
  async #summed(measure: Measure): Promise<Summed> {
    if (this.#flows === null || this.#isWholeAt(measure)) return { population: this.#blocks, selection: await this.#selection(measure) };
    const { grid, stack } = this.#flows;
    const onGrid = { ...measure, t: grid.rounded(measure.t), a: grid.rounded(measure.a), b: grid.rounded(measure.b) };
    const at = grid.rounded(positionOf(measure, this.curve));
    const { tokens } = this.#parsed(measure.q);
    const stacks = tokens.length === 0 ? null : stackMaskOf(tokens, this.stacks);
    if (stacks === null && tokens.length > 0)
      throw new Error('this report does not hold every block: only fn:, file:, mod: and site: can filter its sums');
    return { population: this.#flows, selection: { measure: onGrid, at, mask: stacks && Uint8Array.from(stack, (it) => stacks[it]!) } };
  }

  /** Whether a capped process has every block that a measure is about. */
  #isWholeAt(measure: Measure): boolean {
    return this.#wholeAtPeak && isOfLive(measure) && positionOf(measure, this.curve) === this.info.peak.position;
  }

  /** Of single blocks. */
  async #selection(measure: Measure): Promise<Selection> {
    const at = positionOf(measure, this.curve);
    return { measure, at, mask: await this.#maskOf(measure.q, at) };
  }

  async #maskOf(q: string, at: number): Promise<Mask> {
    if (q.trim() === '') return null;
    const known = this.#masks.find((it) => it.q === q && (it.at === null || it.at === at));
    if (known) return known.mask;
    const { tokens } = this.#parsed(q);
    const ground = { blocks: this.#blocks, stacks: this.stacks, times: this.times, info: this.info, apis: this.#apis };
    // Several ask at once; none of them may give it up for the others.
    const mask = maskOf(tokens, ground, at, new Slices());
    this.#masks.unshift({ q, at: dependsOnMoment(tokens) ? at : null, mask });
    this.#masks.length = Math.min(this.#masks.length, MOST_MASKS);
    return mask;
  }

  #parsed(q: string): { tokens: Token[] } {
    const { tokens, wrong } = parseFilter(q);
    if (wrong.length > 0) throw new Error(wrong[0]!.message);
    return { tokens };
  }
}

/** Rows that are summed up, and of what. */
interface Summed {
  population: Population;
  selection: Selection;
}

async function sumOf(
  population: Population, selection: Selection, take: (row: number, bytes: number, blocks: number) => void, slices: Slices,
): Promise<Weight> {
  const total = { bytes: 0, blocks: 0 };
  const { bytes, blocks } = population.weights(selection.measure.metric);
  const add = (row: number, sign: number) => {
    const ofBytes = sign * bytes[row]!;
    const ofBlocks = sign * (blocks ? blocks[row]! : 1);
    total.bytes += ofBytes;
    total.blocks += ofBlocks;
    take(row, ofBytes, ofBlocks);
  };
  if (isOfLive(selection.measure) && selection.mask === null) {
    const places = new Uint32Array(STEP);
    const [first, end] = bounds(population, selection);
    await slices.each(first, end, (from, to) => {
      const count = livingOn(population, selection.at, from, to, places);
      for (let k = 0; k < count; k++) add(places[k]!, 1);
    });
  } else await slices.each(0, population.count, (from, to) => forEachBlock(population, selection, from, to, add));
  return total;
}

function liveBytes({ count, start, died, weightBytes }: BlockTable, at: number): number {
  let bytes = 0;
  for (let i = 0; i < count; i++) if (start[i]! <= at && died[i]! >= at) bytes += weightBytes[i]!;
  return bytes;
}

function isOfLive({ metric }: Measure): boolean {
  return metric === 'live' || metric === 'peak';
}

function required(timeline: Columns | null): Columns {
  if (!timeline) throw new Error('the table timeline is missing');
  return timeline;
}
