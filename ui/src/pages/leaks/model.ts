// Never freed blocks by call site, with when they came and whether they grow; and what the search found (docs/page.md).

import { NEVER, type Measure, type ProcessData, type Stacks, type Weight } from '../../data/types.ts';
import { SERIES_POINTS, siteSeries } from '../../state/weights.ts';

/** A step from outside to a block. */
export type Step =
  | { in: 'root'; what: string; name: string | null; module: string | null; tid: number | null; address: string }
  | { in: 'block'; block: number | null; address: string; size: number; retained: number; offset: number; /** The function, by its short name. */ site: string | null }
  | { in: 'more'; blocks: number };

export type LeakKind = 'definite' | 'indirect' | 'possible' | 'reachable';

export interface LeakRecord extends Weight {
  kind: LeakKind;
  indirect: Weight;
  function: string;
  /** Its backtrace, as a stack of the tables. */
  stack: number;
  block: { block: number | null; address: string; size: number; retained: number };
  path: Step[];
}

export interface LeakResult {
  search: { number: number; time_ns: number; pause_ns: number; bytes_read: number; doubts: string[]; is_open: boolean } | null;
  searches: { number: number; time_ns: number }[];
  summary: Record<LeakKind | 'suppressed', Weight>;
  records: LeakRecord[];
  /** Those that are not among `records`. */
  hidden: { records: number } & Weight;
  suppressions?: { name: string; file: string; line: number; bytes: number; blocks: number }[];
}

/** Never freed blocks of one call site. */
export interface LeakSite extends Weight {
  /** Its frame; -1: blocks without a backtrace. */
  frame: number;
  /** A backtrace that ends there: the one with most bytes. */
  stack: number;
  /** Positions of the first and last allocation; `null` where there are too many blocks to look at each. */
  first: number | null;
  last: number | null;
  /** Bytes that nothing points to, if the search said so: definite, indirect, possible. */
  lost: number | null;
  /** Live bytes of the site at equally spaced moments of the run; `null`: it never held much. */
  series: Float64Array | null;
  /** Bytes a second (`slopeOf`). */
  slope: number | null;
  growing: boolean;
}

/** Blocks that are looked at one by one for their times and classes. */
export const MOST_ROWS = 100_000;

/** All call sites of a measure's never freed blocks. */
export async function leakSites(data: ProcessData, leaked: Measure, signal: AbortSignal): Promise<LeakSite[]> {
  const rows = { ...leaked, sort: 'born' as const, descending: false, offset: 0, limit: MOST_ROWS };
  const [weights, page, series] = await Promise.all([data.weigh(leaked, signal), data.blocks(rows, signal), siteSeries(data)]);
  const keyOf = (stack: number) => (stack === 0 ? -1 : data.stacks.site[stack]!);
  const sites = new Map<number, LeakSite>();
  const most = new Map<number, number>();
  weights.blocks.forEach((blocks, stack) => {
    if (blocks === 0) return;
    const frame = keyOf(stack);
    let site = sites.get(frame);
    if (!site) {
      site = { frame, stack, bytes: 0, blocks: 0, first: null, last: null, lost: null, series: null, slope: null, growing: false };
      sites.set(frame, site);
    }
    site.bytes += weights.bytes[stack]!;
    site.blocks += blocks;
    if (weights.bytes[stack]! > (most.get(frame) ?? -1)) {
      most.set(frame, weights.bytes[stack]!);
      site.stack = stack;
    }
  });
  if (page.count <= page.rows.count) {
    for (let k = 0; k < page.rows.count; k++) {
      const site = sites.get(keyOf(page.rows.stack[k]!));
      if (!site) continue;
      const born = page.rows.born[k]! === NEVER ? 0 : page.rows.born[k]! + 1;
      site.first = Math.min(site.first ?? born, born);
      site.last = Math.max(site.last ?? born, born);
      const leak = page.rows.leak[k]!;
      if (leak > 0) site.lost = (site.lost ?? 0) + (leak < 4 ? page.rows.size[k]! : 0);
    }
  }
  series.sites.forEach((frame, k) => {
    const site = sites.get(frame === 0 ? -1 : frame);
    if (!site) return;
    site.series = series.bytes.subarray(k * series.points, (k + 1) * series.points);
    site.slope = slopeOf(site.series, (data.info.end_ns - data.info.start_ns) / 1e9);
    site.growing = grows(site.series);
  });
  return [...sites.values()];
}

/** Between how many of the values rises are looked at. */
const RISES = 16;
/** Of the rises in ascending order this one, a little below the middle: one step has at most 64 of the 120 pairs across it. */
const TYPICAL = 0.45;

/**
 * How fast equally spaced values rise: the typical one of the rises a second between any two of them (after Theil and Sen), so
 * that blocks which came once and stayed are no growth. `null` of a run without length.
 */
export function slopeOf(values: Float64Array, seconds: number): number | null {
  const n = Math.min(RISES, values.length);
  if (n < 2 || seconds <= 0) return null;
  const at = (k: number) => values[Math.round((k * (values.length - 1)) / (n - 1))]!;
  const rises: number[] = [];
  for (let x = 0; x < n; x++) for (let y = x + 1; y < n; y++) rises.push((at(y) - at(x)) / (y - x));
  rises.sort((x, y) => x - y);
  return rises[Math.floor(TYPICAL * rises.length)]! / (seconds / (n - 1));
}

/** As the terminal says it: at 16 equally spaced moments live bytes never fell, and they rose in at least four steps. */
export function grows(values: Float64Array): boolean {
  let rises = 0;
  let before = values[0] ?? 0;
  for (let k = 1; k < 16; k++) {
    const value = values[Math.round((k * (SERIES_POINTS - 1)) / 15)] ?? 0;
    if (value < before) return false;
    if (value > before) rises++;
    before = value;
  }
  return rises >= 4;
}

/** A suppression in LeakSanitizer's form, which `heaptape leaks --suppressions` takes, too. */
export function suppression({ site, frames }: Stacks, stack: number): string {
  if (stack === 0) return '# without a backtrace nothing can be named';
  const frame = site[stack]!;
  const isNamed = (frames.flags[frame]! & 2) !== 0;
  return `leak:${frames.strings[(isNamed ? frames.name : frames.module)[frame]!]}`;
}
