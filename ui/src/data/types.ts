// The contract between the pages and what answers them: in the page (data/inpage) or over HTTP (data/http).
//
// Time is a *position*: how many events of the process have happened, 0 … eventCount. Many events share a clock time;
// a position is exact. `Times` turns positions into nanoseconds and back. A block is live at position p iff
// `born < p && p <= died`: `born` and `died` are the ranks of its first and last event, `NEVER` where it was not freed.
//
// Sums are JavaScript numbers: exact up to 2^53. Addresses are numbers too (user space ends below 2^57; those above
// 2^53 are left out by the writer and counted in `Overview.left_out`).

/** The value of `died` for a block that was never freed. */
export const NEVER = 0xffffffff;

/** What is measured; the sentence of each stands in `state/metrics.ts`. */
export type Metric = 'live' | 'peak' | 'kept' | 'leaked' | 'alloc' | 'freed' | 'temp' | 'diff';
export type Unit = 'bytes' | 'blocks';

/** Bytes and blocks. */
export interface Weight {
  bytes: number;
  blocks: number;
}

/** What to measure. `t` is used by `live` alone; `a` and `b` (a <= b) by the others. */
export interface Measure {
  metric: Metric;
  t: number;
  a: number;
  b: number;
  /** A filter in the words of `data/filter.ts`; empty: all blocks. */
  q: string;
}

/** Functions, numbered; what makes two frames one function is function, file and module. */
export interface Frames {
  count: number;
  /** Index into `FrameTable.strings` each. */
  name: Uint32Array;
  short: Uint32Array;
  /** 0 (the empty string) where not known. */
  file: Uint32Array;
  line: Uint32Array;
  module: Uint32Array;
  /** Frames with the same number are the same function (their lines may differ). */
  fn: Uint32Array;
  /** Bit 0: inlined; bit 1: has a name; bit 2: a wrapper of the allocator or the runtime (demoted). */
  flags: Uint8Array;
  strings: string[];
}

/** Backtraces as a tree of frames, outermost first: `parent < own index`. Stack 0 is the root: no backtrace; so is frame 0. */
export interface Stacks {
  count: number;
  parent: Uint32Array;
  /** The frame; of stack 0 frame 0, which is called "(no backtrace)". */
  frame: Uint32Array;
  /** The frame that is the call site of a backtrace that ends here: the first one outside wrappers. */
  site: Uint32Array;
  frames: Frames;
}

/** Weights of backtraces that end at each stack (self weights). */
export interface StackWeights {
  bytes: Float64Array;
  blocks: Float64Array;
  /** Negative parts of a diff, only for `diff`: bytes and blocks are signed then. */
  total: Weight;
  /** The position at which a live or peak metric was measured. */
  at: number;
}

/** Live bytes over a stretch of time in equal buckets of clock time: what happened in each. */
export interface Envelope {
  /** First and last nanosecond. */
  from_ns: number;
  to_ns: number;
  /** Live bytes: least and most in each bucket, and at its end. */
  min: Float64Array;
  max: Float64Array;
  last: Float64Array;
}

/** What the kernel said of the process's memory, by time. Bytes. */
export interface Samples {
  time_ns: Float64Array;
  rss: Float64Array;
  anon: Float64Array;
  file: Float64Array;
}

/** Rows of blocks, one array an attribute. */
export interface Blocks {
  count: number;
  /** `#id`: the rank of its allocation, from 1. */
  id: Float64Array;
  addr: Float64Array;
  size: Float64Array;
  /** 0 where not known. */
  usable: Float64Array;
  born: Uint32Array;
  died: Uint32Array;
  stack: Uint32Array;
  /** Where it was freed; 0 where not recorded. */
  freed_stack: Uint32Array;
  /** Index into `ProcessInfo.threads`. */
  thread: Uint16Array;
  freed_thread: Uint16Array;
  /** Index into `Overview.apis`. */
  api: Uint8Array;
  /** Bit 0: temporary; bit 1: came of a realloc; bit 2: inherited over fork; bit 3: its end is a realloc;
   *  bit 4: its free was missed, and another block began at its address. */
  flags: Uint8Array;
  /** Leak class: 0 not searched, 1 definite, 2 indirect, 3 possible, 4 reachable. */
  leak: Uint8Array;
}

/** How rows are chosen and ordered. */
export interface BlockQuery extends Measure {
  sort: 'id' | 'addr' | 'size' | 'born' | 'died' | 'lifetime' | 'site' | 'thread' | 'api' | 'leak';
  descending: boolean;
  offset: number;
  limit: number;
}

export interface BlockPage {
  rows: Blocks;
  /** How many rows fit; not `total.blocks` of a sample or of a diff (whose rows are those that came and those that went). */
  count: number;
  /** Of all rows that fit, not only those of this page. */
  total: Weight;
}

/** Blocks live at a position in an address range, by address. */
export interface LiveRange {
  rows: Blocks;
  /** Whether there are more than `limit`: then `rows` is empty. */
  too_many: boolean;
}

/** A grid of equal cells of the address space from `lo` on: what lies in each. */
export interface Cells {
  lo: number;
  cell_bytes: number;
  /** Bytes of live blocks (with headers and padding that fit no block) in each cell. */
  used: Float64Array;
  /** Of the block with most bytes in the cell; meaningless where nothing is used. */
  stack: Uint32Array;
  size: Float64Array;
  born: Uint32Array;
  died: Uint32Array;
  thread: Uint16Array;
  leak: Uint8Array;
}

/** A stretch of address space with blocks (docs/json.md, layout). */
export interface Region {
  kind: 'heap' | 'mmap' | 'arena';
  start: number;
  end: number;
  space: Space;
}

export interface Space {
  span_bytes: number;
  used_bytes: number;
  live_bytes: number;
  live_blocks: number;
  slack_bytes: number;
  holes: { count: number; bytes: number; largest_bytes: number };
  /** By fill: no live byte, under 25, 50, 75, 100 %, wholly used. */
  pages: { empty: number; under_25: number; under_50: number; under_75: number; under_100: number; full: number };
}

/** A call site whose blocks lie in pages that are less than 25 % used. */
export interface Pin {
  /** The site's frame. */
  site: number;
  pages: number;
  held_bytes: number;
  own_bytes: number;
}

export interface Layout {
  page_bytes: number;
  total: Space;
  regions: Region[];
  pins: Pin[];
}

/** Counts in bins. */
export interface Histograms {
  /** Bin k holds sizes of 2^(k-1)+1 … 2^k bytes; bin 0 holds 0 and 1. */
  sizes: Weight[];
  /** Most frequent exact sizes, most blocks first. */
  exact: { size: number; weight: Weight }[];
  /** Bin k holds lifetimes of 10^(k/2) … 10^((k+1)/2) µs; bin 0 also shorter ones. Never freed ones: `unfreed`. */
  lifetimes: Weight[];
  unfreed: Weight;
  /** `cross[size bin][lifetime bin]`: blocks. */
  cross: number[][];
  /** Allocation calls in equal buckets of clock time of the range. */
  rate: Float64Array;
}

/** Live bytes of call sites at equally spaced moments of a stretch of time, both its ends among them. */
export interface SiteSeries {
  /** Frames of the sites. */
  sites: Uint32Array;
  points: number;
  /** sites.length × points. */
  bytes: Float64Array;
}

/** What groups of blocks on a `TimeMap` are told apart by. */
export type GroupBy = 'site' | 'size' | 'lifetime' | 'thread' | 'leak';

/** The group of freed blocks, where they are told apart by `leak`. */
export const FREED = 255;

/** A part of time and address space, the positions from `a` to `b` and the addresses from `lo` up to `hi`, as a grid. */
export interface TimeMapQuery {
  lo: number;
  hi: number;
  a: number;
  b: number;
  width: number;
  height: number;
  by: GroupBy;
  /** Of `size` (bytes) and `lifetime` (ns): where the next group begins, ascending. Else empty. */
  limits: readonly number[];
  /** A filter; ages are counted to `b`. */
  q: string;
}

/** How used each cell of a time × address grid is: height rows of width, row 0 is the lowest address. */
export interface TimeMap {
  width: number;
  height: number;
  /** By blocks that the filter keeps, 0 … 1. */
  fill: Float32Array;
  /**
   * The group of these with most bytes × time in each cell: the frame of the call site; how many limits are not above the
   * size or the lifetime (one more than there are: never freed); the thread; the leak class of what was never freed, else
   * `FREED`.
   */
  group: Uint32Array;
  /** By blocks that the filter does not keep, 0 … 1. Empty without a filter. */
  rest: Float32Array;
}

/** Bytes of a block at a position, as far as they were recorded. */
export interface ContentsView {
  /** When they were captured; `null`: there are none. */
  captured: { position: number; time_ns: number; reason: string } | null;
  bytes: Uint8Array;
  /** 1 where the byte is known. */
  known: Uint8Array;
  /** Captures of this block, by position. */
  captures: number[];
}

export interface SourceView {
  file: string;
  /** Number of the first line. */
  first: number;
  lines: string[];
  /** Why there is none; then `lines` is empty. */
  missing: string | null;
  /** Where it was looked for. */
  searched: string[];
}

/** One event, for lists. */
export interface EventRow {
  position: number;
  time_ns: number;
  thread: number;
  action: string;
  addr: number;
  size: number;
  block: number;
  stack: number;
}

/** Turns positions into nanoseconds since the recording began and back. */
export interface Times {
  /** The time of the last event before a position; the start of the process for 0. */
  of(position: number): number;
  /** The last position whose events all happened at or before a time. */
  at(time_ns: number): number;
}

/** What one process has to show. Every query may be given up through its signal. */
export interface ProcessData {
  info: ProcessInfo;
  stacks: Stacks;
  times: Times;
  samples: Samples;
  /** First position of most live bytes in (a, b]. */
  peak(a: number, b: number, signal?: AbortSignal): Promise<{ position: number } & Weight>;
  envelope(from_ns: number, to_ns: number, buckets: number, signal?: AbortSignal): Promise<Envelope>;
  weigh(measure: Measure, signal?: AbortSignal): Promise<StackWeights>;
  /** The sum alone, for the sentence. */
  total(measure: Measure, signal?: AbortSignal): Promise<{ at: number } & Weight>;
  blocks(query: BlockQuery, signal?: AbortSignal): Promise<BlockPage>;
  block(id: number, signal?: AbortSignal): Promise<Blocks>;
  /** All blocks that ever held an address, by time. */
  history(addr: number, limit: number, signal?: AbortSignal): Promise<Blocks>;
  live(t: number, lo: number, hi: number, limit: number, signal?: AbortSignal): Promise<LiveRange>;
  cells(t: number, lo: number, cell_bytes: number, count: number, signal?: AbortSignal): Promise<Cells>;
  layout(t: number, signal?: AbortSignal): Promise<Layout>;
  /** First addresses of pages under 25 % used that a site pins. */
  pinned(t: number, site: number, signal?: AbortSignal): Promise<Float64Array>;
  histograms(measure: Measure, signal?: AbortSignal): Promise<Histograms>;
  series(from_ns: number, to_ns: number, points: number, most: number, signal?: AbortSignal): Promise<SiteSeries>;
  time_map(query: TimeMapQuery, signal?: AbortSignal): Promise<TimeMap>;
  contents(id: number, t: number, signal?: AbortSignal): Promise<ContentsView>;
  source(frame: number, signal?: AbortSignal): Promise<SourceView>;
  /** Events before a position that touched an address range, newest last. */
  events(before: number, lo: number, hi: number, most: number, signal?: AbortSignal): Promise<EventRow[]>;
}

/** Where the data come from. */
export interface DataSource {
  overview: Overview;
  /** Whether this is a file, not a server. */
  in_page: boolean;
  /**
   * A second recording to compare with: what is more or less in it than in this one. Nothing: there is none. Of it there
   * are sums only, of one process, `overview.first`.
   */
  other?: DataSource;
  open(process: number): Promise<ProcessData>;
}

/** What is known of a process before its data are opened. */
export interface ProcessInfo {
  id: number;
  pid: number;
  name: string;
  argv: string[];
  start_ns: number;
  end_ns: number;
  ending: string;
  event_count: number;
  block_count: number;
  /** First position of most live bytes. */
  peak: { position: number; time_ns: number } & Weight;
  at_exit: Weight;
  /** False: its data are not in this report; `why_not` says why. */
  included: boolean;
  why_not: string | null;
  /** `null`: all blocks are here. Else how many of how many, and that positions between `grid` are rounded down to it. */
  capped: { kept_blocks: number; of_blocks: number; grid: number } | null;
  page_bytes: number;
  threads: { tid: number; name: string }[];
  /** As `heaptape summary --json`, `errors --json`, `leaks --json`, `crash --json` write them: docs/json.md. `null`: none. */
  summary: any;
  findings: Finding[];
  /** What was checked, for "Nothing stands out". */
  checked: string[];
  /** What could not be checked, each with why. */
  unchecked?: string[];
  rss: RssExplained | null;
  /** Frames of this process's backtraces without a name, of how many; `notice`: where they are, when they are more than a few. */
  unnamed_frames: { unnamed: number; of: number; notice: string | null } | null;
  errors: any;
  leaks: any;
  crash: any;
  /** Snapshots: ◆ on the strip. */
  snapshots: { position: number; time_ns: number; reason: string }[];
  has_contents: boolean;
}

/** A sentence with a number, a place and a link that sets state. */
export interface Finding {
  /** The rule, as docs/findings.md names it. */
  rule: string;
  severity: 'high' | 'medium' | 'low';
  /** The whole sentence, numbers included. */
  sentence: string;
  /** `function file:line`, empty where it is of no place. */
  place: string;
  bytes: number;
  /** Pages to look at, with state: `flame`, `layout`, `tables`, `leaks`, `blocks`, … and hash parameters (`t`, `r`, `m`, `q`). */
  links: { page: string; params: Record<string, string> }[];
}

/** RSS over time, from what was asked for to what is resident; arrays by sample. Bytes. */
export interface RssExplained {
  time_ns: number[];
  /** Layers from below, which add up to RSS: what each holds, in words, and by sample. */
  layers: { name: string; explanation: string; bytes: number[] }[];
  rss: number[];
  /** What could not be told apart, in a sentence; empty: nothing. */
  note: string;
}

/** The tape as a whole. */
export interface Overview {
  /** Of this layout; pages refuse others. */
  version: 1;
  tool: string;
  tape: string;
  command: string[];
  /** When it was recorded, as ISO 8601 with offset. */
  recorded_at: string;
  host: string;
  tick_ns: number;
  /** `null`: not a sample. */
  sampling: { interval_bytes: number } | null;
  /** Index → function name (`malloc`, `operator new`, …). */
  apis: string[];
  processes: ProcessInfo[];
  /** The process that is shown first. */
  first: number;
  /** Lines on what is missing from the recording; empty: nothing. Shown as a badge on every page. */
  losses: string[];
  /** `heaptape info --json`. */
  info: any;
  /** Blocks whose addresses are too large to show. */
  left_out: number;
  has_contents: boolean;
  /** Whether a second recording is here, to compare with. */
  has_other: boolean;
  third_party: string;
}
