// Blocks of a metric by size, by lifetime, by both; and the rate of allocations over the range.

import { NEVER, type Histograms, type Weight } from '../types.ts';
import type { BlockTable } from './blocks.ts';
import type { TimeTable } from './times.ts';

/** Exact sizes that are listed. */
const MOST_SIZES = 50;
/** Buckets of the rate. */
const RATE_BUCKETS = 240;

/** `each` calls back with the blocks of the metric; `births` with those born in `a <= born < b`. */
export function histogramsOf(
  table: BlockTable, times: TimeTable, a: number, b: number,
  each: (take: (block: number, sign: number) => void) => void,
  births: (take: (block: number) => void) => void,
): Histograms {
  const sizes: Weight[] = [];
  const lifetimes: Weight[] = [];
  const unfreed = { bytes: 0, blocks: 0 };
  const cross: number[][] = [];
  const exact = new Map<number, Weight>();
  each((block, sign) => {
    const size = table.size[block]!;
    const bytes = sign * table.weightBytes[block]!;
    const blocks = sign * (table.weightBlocks ? table.weightBlocks[block]! : 1);
    const sizeBin = binOfSize(size);
    add(binIn(sizes, sizeBin), bytes, blocks);
    let same = exact.get(size);
    if (!same) exact.set(size, (same = { bytes: 0, blocks: 0 }));
    add(same, bytes, blocks);
    if (table.died[block] === NEVER) return add(unfreed, bytes, blocks);
    const lifetimeBin = binOfLifetime(lifetime(table, times, block));
    add(binIn(lifetimes, lifetimeBin), bytes, blocks);
    const row = (cross[sizeBin] ??= []);
    row[lifetimeBin] = (row[lifetimeBin] ?? 0) + blocks;
  });
  return {
    sizes, lifetimes, unfreed,
    exact: [...exact]
      .sort(([x, v], [y, w]) => w.blocks - v.blocks || y - x)
      .slice(0, MOST_SIZES)
      .map(([size, weight]) => ({ size, weight })),
    cross: sizes.map((_, s) => lifetimes.map((_, l) => cross[s]?.[l] ?? 0)),
    rate: rateOf(table, times, a, b, births),
  };
}

/** Bin k holds 2^(k-1)+1 … 2^k; bin 0 holds 0 and 1. */
export function binOfSize(size: number): number {
  if (size <= 1) return 0;
  return size <= 2 ** 32 ? 32 - Math.clz32(size - 1) : Math.ceil(Math.log2(size));
}

const LIFETIME_ENDS = Array.from({ length: 40 }, (_, k) => 10 ** ((k + 1) / 2) * 1000);

/** Bin k holds 10^(k/2) … 10^((k+1)/2) µs, its end not included; bin 0 also shorter ones. */
export function binOfLifetime(ns: number): number {
  let bin = 0;
  while (bin < LIFETIME_ENDS.length - 1 && ns >= LIFETIME_ENDS[bin]!) bin++;
  return bin;
}

/** How long a block lived, in nanoseconds; infinite where it was never freed. */
export function lifetime(table: BlockTable, times: TimeTable, block: number): number {
  const died = table.died[block]!;
  return died === NEVER ? Infinity : times.of(died + 1) - times.of(table.start[block]!);
}

function rateOf(table: BlockTable, times: TimeTable, a: number, b: number, births: (take: (block: number) => void) => void): Float64Array {
  const rate = new Float64Array(RATE_BUCKETS);
  const from = times.of(a);
  const span = Math.max(1, times.of(b) - from);
  births((block) => {
    const bucket = Math.floor(((times.of(table.start[block]!) - from) * RATE_BUCKETS) / span);
    rate[Math.max(0, Math.min(RATE_BUCKETS - 1, bucket))]! += table.weightBlocks ? table.weightBlocks[block]! : 1;
  });
  return rate;
}

function add(to: Weight, bytes: number, blocks: number): void {
  to.bytes += bytes;
  to.blocks += blocks;
}

function binIn(bins: Weight[], bin: number): Weight {
  while (bins.length <= bin) bins.push({ bytes: 0, blocks: 0 });
  return bins[bin]!;
}
