// Weights of the whole run, asked for once a process: they do not change while T moves.

import type { Metric, ProcessData, SiteSeries, StackWeights } from '../data/types.ts';

const known = new WeakMap<ProcessData, Map<string, Promise<unknown>>>();

function once<T>(data: ProcessData, what: string, ask: () => Promise<T>): Promise<T> {
  const answers = known.get(data) ?? new Map<string, Promise<unknown>>();
  known.set(data, answers);
  if (!answers.has(what)) {
    const asked = ask();
    answers.set(what, asked);
    // What failed may be asked again.
    asked.catch(() => answers.delete(what));
  }
  return answers.get(what) as Promise<T>;
}

/** Weights by stack of all blocks of the whole run. */
export function wholeRunWeights(data: ProcessData, metric: Exclude<Metric, 'live'>): Promise<StackWeights> {
  const measure = { metric, t: 0, a: 0, b: data.info.event_count, q: '' };
  return once(data, metric, () => data.weigh(measure));
}

/** How many moments a sparkline has, and how many sites have one. */
export const SERIES_POINTS = 64;
const SERIES_SITES = 256;

/** Live bytes of the largest call sites over the run: for sparklines. */
export function siteSeries(data: ProcessData): Promise<SiteSeries> {
  return once(data, 'series', () => data.series(data.info.start_ns, data.info.end_ns, SERIES_POINTS, SERIES_SITES));
}
