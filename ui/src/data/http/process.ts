// One process, asked of the server: a request for each query, by the names of its parameters.

import { column, type Columns } from '../columns.ts';
import type {
  BlockPage, BlockQuery, Blocks, Cells, ContentsView, Envelope, EventRow, Histograms, Layout, LiveRange, Measure, ProcessData,
  ProcessInfo, Samples, SiteSeries, SourceView, Stacks, StackWeights, TimeMap, TimeMapQuery, Times, Weight,
} from '../types.ts';
import { askColumns, askJson } from './ask.ts';

type Parameters = Record<string, string | number | boolean>;

export class HttpProcess implements ProcessData {
  readonly info: ProcessInfo;
  readonly stacks: Stacks;
  readonly times: Times;
  readonly samples: Samples;
  readonly #base: string;

  /** `base`: where its queries are, below the page. */
  constructor(base: string, info: ProcessInfo, stacks: Stacks, times: Times, samples: Samples) {
    this.#base = base;
    this.info = info;
    this.stacks = stacks;
    this.times = times;
    this.samples = samples;
  }

  peak(a: number, b: number, signal?: AbortSignal): Promise<{ position: number } & Weight> {
    return this.#json('peak', { a, b }, signal);
  }

  async envelope(from_ns: number, to_ns: number, buckets: number, signal?: AbortSignal): Promise<Envelope> {
    const table = await this.#columns('envelope', { from_ns, to_ns, buckets }, signal);
    const of = (name: string) => column(table, name, 'f64', buckets);
    return { from_ns, to_ns, min: of('min'), max: of('max'), last: of('last') };
  }

  async weigh(measure: Measure, signal?: AbortSignal): Promise<StackWeights> {
    const table = await this.#columns('weigh', parametersOf(measure), signal);
    const of = (name: string) => column(table, name, 'f64', this.stacks.count);
    return { bytes: of('bytes'), blocks: of('blocks'), total: table.meta['total'] as Weight, at: Number(table.meta['at']) };
  }

  total(measure: Measure, signal?: AbortSignal): Promise<{ at: number } & Weight> {
    return this.#json('total', parametersOf(measure), signal);
  }

  async blocks(query: BlockQuery, signal?: AbortSignal): Promise<BlockPage> {
    const { sort, descending, offset, limit } = query;
    const table = await this.#columns('blocks', { ...parametersOf(query), sort, descending, offset, limit }, signal);
    return { rows: rowsOf(table), count: Number(table.meta['count']), total: table.meta['total'] as Weight };
  }

  async block(id: number, signal?: AbortSignal): Promise<Blocks> {
    return rowsOf(await this.#columns('block', { id }, signal));
  }

  async history(addr: number, limit: number, signal?: AbortSignal): Promise<Blocks> {
    return rowsOf(await this.#columns('history', { addr, limit }, signal));
  }

  async live(t: number, lo: number, hi: number, limit: number, signal?: AbortSignal): Promise<LiveRange> {
    const table = await this.#columns('live', { t, lo, hi, limit }, signal);
    return { rows: rowsOf(table), too_many: table.meta['too_many'] === true };
  }

  async cells(t: number, lo: number, cell_bytes: number, count: number, signal?: AbortSignal): Promise<Cells> {
    const table = await this.#columns('cells', { t, lo, cell_bytes, count }, signal);
    return {
      lo, cell_bytes,
      used: column(table, 'used', 'f64', count), stack: column(table, 'stack', 'u32', count), size: column(table, 'size', 'f64', count),
      born: column(table, 'born', 'u32', count), died: column(table, 'died', 'u32', count),
      thread: column(table, 'thread', 'u16', count), leak: column(table, 'leak', 'u8', count),
    };
  }

  layout(t: number, signal?: AbortSignal): Promise<Layout> {
    return this.#json('layout', { t }, signal);
  }

  async pinned(t: number, site: number, signal?: AbortSignal): Promise<Float64Array> {
    return column(await this.#columns('pinned', { t, site }, signal), 'pages', 'f64');
  }

  async histograms(measure: Measure, signal?: AbortSignal): Promise<Histograms> {
    const table = await this.#columns('histograms', parametersOf(measure), signal);
    const { sizes, exact, lifetimes, unfreed, cross } = table.meta as unknown as Omit<Histograms, 'rate'>;
    return { sizes, exact, lifetimes, unfreed, cross, rate: column(table, 'rate', 'f64') };
  }

  async series(from_ns: number, to_ns: number, points: number, most: number, signal?: AbortSignal): Promise<SiteSeries> {
    const table = await this.#columns('series', { from_ns, to_ns, points, most }, signal);
    const sites = column(table, 'sites', 'u32');
    return { sites, points, bytes: column(table, 'bytes', 'f64', sites.length * points) };
  }

  async time_map(query: TimeMapQuery, signal?: AbortSignal): Promise<TimeMap> {
    const { width, height, limits } = query;
    const table = await this.#columns('time_map', { ...query, limits: limits.join() }, signal);
    const cells = width * height;
    return {
      width, height,
      fill: Float32Array.from(column(table, 'fill', 'f64', cells)), group: column(table, 'group', 'u32', cells),
      rest: Float32Array.from(column(table, 'rest', 'f64', query.q.trim() === '' ? 0 : cells)),
    };
  }

  async contents(id: number, t: number, signal?: AbortSignal): Promise<ContentsView> {
    const table = await this.#columns('contents', { id, t }, signal);
    return {
      captured: table.meta['captured'] as ContentsView['captured'],
      bytes: column(table, 'bytes', 'u8'), known: column(table, 'known', 'u8'), captures: [...column(table, 'captures', 'u32')],
    };
  }

  source(frame: number, signal?: AbortSignal): Promise<SourceView> {
    return this.#json('source', { frame }, signal);
  }

  events(before: number, lo: number, hi: number, most: number, signal?: AbortSignal): Promise<EventRow[]> {
    return this.#json('events', { before, lo, hi, most }, signal);
  }

  #columns(name: string, parameters: Parameters, signal: AbortSignal | undefined): Promise<Columns> {
    return askColumns(this.#path(name, parameters), signal);
  }

  #json<T>(name: string, parameters: Parameters, signal: AbortSignal | undefined): Promise<T> {
    return askJson<T>(this.#path(name, parameters), signal);
  }

  #path(name: string, parameters: Parameters): string {
    const pairs = Object.entries(parameters).map(([key, value]): [string, string] => [key, String(value)]);
    return `${this.#base}${name}?${new URLSearchParams(pairs).toString()}`;
  }
}

function parametersOf({ metric, t, a, b, q }: Measure): Parameters {
  return { metric, t, a, b, q };
}

function rowsOf(table: Columns): Blocks {
  const id = column(table, 'id', 'f64');
  const count = id.length;
  const f64 = (name: string) => column(table, name, 'f64', count);
  const u32 = (name: string) => column(table, name, 'u32', count);
  const u16 = (name: string) => column(table, name, 'u16', count);
  const u8 = (name: string) => column(table, name, 'u8', count);
  return {
    count, id, addr: f64('addr'), size: f64('size'), usable: f64('usable'), born: u32('born'), died: u32('died'),
    stack: u32('stack'), freed_stack: u32('freed_stack'), thread: u16('thread'), freed_thread: u16('freed_thread'),
    api: u8('api'), flags: u8('flags'), leak: u8('leak'),
  };
}
