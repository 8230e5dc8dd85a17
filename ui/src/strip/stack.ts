// The tall strip's picture by call site: live bytes of those that have a colour of their own, and of all others together.

import type { Envelope, ProcessData } from '../data/types.ts';
import { oneOf, param } from '../state/params.ts';
import { data, tall } from '../state/state.ts';
import { categories, OTHER } from '../ui/colour.ts';

/** Whether the tall strip tells call sites apart. */
export const stripShows = param<'sites' | 'total'>('strip', 'sites', oneOf('sites', 'total'));

/** Why it cannot; empty: it can. Of a capped process sums are known at few moments only. */
export function whyNoStack(): string {
  return data.value.info.capped === null ? '' : 'This report does not hold all blocks: heaptape ui shows call sites over time.';
}

export function isStacked(): boolean {
  return tall.value && stripShows.value === 'sites' && whyNoStack() === '';
}

/** Moments of a stretch at which call sites are told apart, at most. */
const MOST_COLUMNS = 512;
/** Call sites that are asked for: those with a colour are among the largest, where they hold anything. */
const SITES = 32;

/** So many of the strip's buckets are one column of the stack. */
export function bucketsByColumn(width: number): number {
  return Math.max(1, Math.ceil(width / MOST_COLUMNS));
}

export interface Stack {
  from_ns: number;
  to_ns: number;
  /** How many moments: the ends of equal parts of the stretch. */
  columns: number;
  /** By category of colour: bytes at each of these moments. `OTHER` is not there: it is what is left of all. */
  layers: Float64Array[];
}

export async function stackOf(of: ProcessData, from_ns: number, to_ns: number, columns: number, signal: AbortSignal): Promise<Stack> {
  const [ranks, series] = await Promise.all([categories(of, 'site'), of.series(from_ns, to_ns, columns + 1, SITES, signal)]);
  const layers = Array.from({ length: OTHER }, () => new Float64Array(columns));
  series.sites.forEach((site, row) => {
    const layer = layers[ranks.get(site) ?? OTHER];
    // The first moment is the beginning of the first part.
    for (let k = 0; layer && k < columns; k++) layer[k]! += series.bytes[row * series.points + k + 1]!;
  });
  return { from_ns, to_ns, columns, layers };
}

/** All that is live at the end of each column. */
export function totals({ last }: Envelope, columns: number): Float64Array {
  const width = last.length / columns;
  return Float64Array.from({ length: columns }, (_, k) => last[(k + 1) * width - 1]!);
}

/** The call sites with colours of their own, by category. */
export async function colouredSites(of: ProcessData): Promise<number[]> {
  const sites: number[] = [];
  for (const [site, category] of await categories(of, 'site')) sites[category] = site;
  return sites;
}
