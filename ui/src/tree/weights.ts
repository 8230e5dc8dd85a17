// Weights of backtraces for views: of one measure, by thread, and at moments over the run.

import type { Measure, ProcessData, StackWeights } from '../data/types.ts';
import { MOST_THREADS, threadsById } from './shared.ts';
import type { Selfs } from './view.ts';

/** The answer to a measure; of a difference with what there was before. */
export async function weigh(data: ProcessData, measure: Measure, signal?: AbortSignal): Promise<Selfs> {
  if (measure.metric !== 'diff') return { ...(await data.weigh(measure, signal)), signed: false };
  const [after, before] = await Promise.all(
    [measure.b, measure.a].map((t) => data.weigh({ ...measure, metric: 'live', t }, signal)) as [Promise<StackWeights>, Promise<StackWeights>]);
  return change(before, after);
}

/** What is more in `after` than in `before`. */
export function change(before: Pick<StackWeights, 'bytes' | 'blocks'>, after: Pick<StackWeights, 'bytes' | 'blocks'>): Selfs {
  const minus = (x: Float64Array, y: Float64Array) => x.map((value, k) => value - y[k]!);
  return {
    bytes: minus(after.bytes, before.bytes),
    blocks: minus(after.blocks, before.blocks),
    before: before as StackWeights,
    signed: true,
  };
}

/** Weights by thread one after another, as a forest wants them; what is beyond `MOST_THREADS` is in the last one. */
export async function weighThreads(data: ProcessData, measure: Measure, signal?: AbortSignal): Promise<Selfs> {
  const threads = threadsById(data.info);
  const named = threads.length > MOST_THREADS ? MOST_THREADS - 1 : threads.length;
  const q = (tid: number) => `${measure.q} thread:${tid}`.trim();
  const parts = await Promise.all(threads.slice(0, named).map(({ tid }) => weigh(data, { ...measure, q: q(tid) }, signal)));
  if (named < threads.length) parts.push(without(await weigh(data, measure, signal), parts));
  const joined = (pick: (part: Selfs) => Float64Array) => join(parts.map(pick));
  const signed = parts.some((part) => part.signed);
  return { bytes: joined((it) => it.bytes), blocks: joined((it) => it.blocks), signed };
}

export function treesOf(data: ProcessData): number {
  return Math.min(MOST_THREADS, threadsById(data.info).length);
}

function without(all: Selfs, parts: Selfs[]): Selfs {
  const rest = { bytes: all.bytes.slice(), blocks: all.blocks.slice(), signed: all.signed };
  for (const part of parts) {
    for (let k = 0; k < rest.bytes.length; k++) {
      rest.bytes[k]! -= part.bytes[k]!;
      rest.blocks[k]! -= part.blocks[k]!;
    }
  }
  return rest;
}

function join(parts: Float64Array[]): Float64Array {
  const joined = new Float64Array(parts.reduce((length, it) => length + it.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/** Live bytes of each stack at equally spaced times of the run. */
export interface Moments {
  bytes: Float64Array[];
}

/** So many numbers are kept for sparklines at most. */
const MOST_NUMBERS = 3_000_000;

/** The last answer for each process: all pages with sparklines ask for the same. */
const lastMoments = new WeakMap<ProcessData, { q: string; moments: Moments }>();

/** Asks for one moment after another and lets others go first; fewer moments of many stacks. */
export async function moments(data: ProcessData, q: string, signal: AbortSignal): Promise<Moments> {
  const last = lastMoments.get(data);
  if (last?.q === q) return last.moments;
  // What is looked at comes first.
  await new Promise((resume) => setTimeout(resume, 300));
  signal.throwIfAborted();
  const { start_ns, end_ns } = data.info;
  const count = Math.max(8, Math.min(48, Math.floor(MOST_NUMBERS / data.stacks.count)));
  const bytes = [];
  for (let k = 0; k < count; k++) {
    const t = data.times.at(start_ns + ((end_ns - start_ns) * (k + 1)) / count);
    const answer = await data.weigh({ metric: 'live', t, a: 0, b: data.info.event_count, q }, signal);
    bytes.push(answer.bytes);
    await new Promise((resume) => setTimeout(resume, 0));
    signal.throwIfAborted();
  }
  lastMoments.set(data, { q, moments: { bytes } });
  return { bytes };
}
