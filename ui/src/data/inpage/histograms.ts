// Blocks of a metric by size, by lifetime, by both; and the rate of allocations over the range.

import { NEVER, type Histograms, type Weight } from '../types.ts';
import type { BlockTable } from './blocks.ts';
import { bounds, forEachBlock, type Selection } from './select.ts';
import type { Slices } from './slices.ts';
import type { TimeTable } from './times.ts';

/** Exact sizes that are listed. */
const MOST_SIZES = 50;
/** Buckets of the rate. */
const RATE_BUCKETS = 240;
/** Bins of sizes and of lifetimes: up to 2^64 bytes, up to 10^20 µs. */
const SIZE_BINS = 65;
const LIFETIME_BINS = 40;
/** Sizes below are counted in an array. */
const SMALL = 1 << 16;

export async function histogramsOf(table: BlockTable, times: TimeTable, selection: Selection, slices: Slices): Promise<Histograms> {
  const counts = new Counts();
  const { weightBytes, weightBlocks } = table;
  const [first, end] = bounds(table, selection);
  await slices.each(first, end, (from, to) =>
    forEachBlock(table, selection, from, to, (block, sign) => {
      const blocks = sign * (weightBlocks ? weightBlocks[block]! : 1);
      counts.add(table.size[block]!, lifetime(table, times, block), sign * weightBytes[block]!, blocks);
    }),
  );
  return { ...counts.read(), rate: await rateOf(table, times, selection, slices) };
}

/** Bin k holds 2^(k-1)+1 … 2^k; bin 0 holds 0 and 1. */
export function binOfSize(size: number): number {
  if (size <= 1) return 0;
  if (size <= 2 ** 31) return 32 - Math.clz32(size - 1);
  // A logarithm is rounded, down too.
  const bin = Math.ceil(Math.log2(size));
  return Math.min(SIZE_BINS - 1, 2 ** bin < size ? bin + 1 : bin);
}

const LIFETIME_ENDS = Float64Array.from({ length: LIFETIME_BINS }, (_, k) => 10 ** ((k + 1) / 2) * 1000);

/** Bin k holds 10^(k/2) … 10^((k+1)/2) µs, its end not included; bin 0 also shorter ones. */
export function binOfLifetime(ns: number): number {
  let bin = 0;
  while (bin < LIFETIME_BINS - 1 && ns >= LIFETIME_ENDS[bin]!) bin++;
  return bin;
}

/** How long a block lived, in nanoseconds; infinite where it was never freed. Inherited ones are as old as the process. */
export function lifetime(table: BlockTable, times: TimeTable, block: number): number {
  const died = table.died[block]!;
  return died === NEVER ? Infinity : times.of(died + 1) - times.of(table.start[block]!);
}

class Weights {
  readonly #bytes: Float64Array;
  readonly #blocks: Float64Array;

  constructor(bins: number) {
    this.#bytes = new Float64Array(bins);
    this.#blocks = new Float64Array(bins);
  }

  add(bin: number, bytes: number, blocks: number): void {
    this.#bytes[bin]! += bytes;
    this.#blocks[bin]! += blocks;
  }

  at(bin: number): Weight {
    return { bytes: this.#bytes[bin]!, blocks: this.#blocks[bin]! };
  }

  /** Up to the last bin with something. */
  read(): Weight[] {
    const last = this.#blocks.findLastIndex((blocks, bin) => blocks !== 0 || this.#bytes[bin] !== 0);
    return Array.from({ length: last + 1 }, (_, bin) => this.at(bin));
  }
}

class Counts {
  readonly #sizes = new Weights(SIZE_BINS);
  readonly #lifetimes = new Weights(LIFETIME_BINS);
  readonly #unfreed = new Weights(1);
  readonly #cross = new Weights(SIZE_BINS * LIFETIME_BINS);
  readonly #small = new Weights(SMALL);
  readonly #large = new Map<number, Weight>();

  add(size: number, lifetime: number, bytes: number, blocks: number): void {
    const bin = binOfSize(size);
    this.#sizes.add(bin, bytes, blocks);
    if (size < SMALL) this.#small.add(size, bytes, blocks);
    else this.#addLarge(size, bytes, blocks);
    if (lifetime === Infinity) return this.#unfreed.add(0, bytes, blocks);
    const lifetimeBin = binOfLifetime(lifetime);
    this.#lifetimes.add(lifetimeBin, bytes, blocks);
    this.#cross.add(bin * LIFETIME_BINS + lifetimeBin, bytes, blocks);
  }

  #addLarge(size: number, bytes: number, blocks: number): void {
    const known = this.#large.get(size) ?? { bytes: 0, blocks: 0 };
    this.#large.set(size, { bytes: known.bytes + bytes, blocks: known.blocks + blocks });
  }

  read(): Omit<Histograms, 'rate'> {
    const sizes = this.#sizes.read();
    const lifetimes = this.#lifetimes.read();
    const exact = [...this.#small.read().entries(), ...this.#large].filter(([, weight]) => weight.blocks !== 0);
    exact.sort(([x, v], [y, w]) => w.blocks - v.blocks || x - y);
    return {
      sizes, lifetimes, unfreed: this.#unfreed.at(0),
      exact: exact.slice(0, MOST_SIZES).map(([size, weight]) => ({ size, weight })),
      cross: sizes.map((_, bin) => lifetimes.map((_, lifetimeBin) => this.#cross.at(bin * LIFETIME_BINS + lifetimeBin).blocks)),
    };
  }
}

/** Allocations of the range that pass the filter, whatever the metric. */
async function rateOf(table: BlockTable, times: TimeTable, { measure, mask }: Selection, slices: Slices): Promise<Float64Array> {
  const rate = new Float64Array(RATE_BUCKETS);
  const begun = times.of(measure.a);
  const span = Math.max(1, times.of(measure.b) - begun);
  const births: Selection = { measure: { ...measure, metric: 'alloc' }, at: measure.b, mask };
  const [first, end] = bounds(table, births);
  await slices.each(first, end, (from, to) =>
    forEachBlock(table, births, from, to, (block) => {
      const bucket = Math.floor(((times.of(table.start[block]!) - begun) * RATE_BUCKETS) / span);
      rate[Math.max(0, Math.min(RATE_BUCKETS - 1, bucket))]! += table.weightBlocks ? table.weightBlocks[block]! : 1;
    }),
  );
  return rate;
}
