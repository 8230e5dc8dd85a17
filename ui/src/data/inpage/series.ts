// Live bytes of the call sites that held most, at equally spaced moments.

import type { SiteSeries, Stacks } from '../types.ts';
import type { Population } from './blocks.ts';
import { lowerBound, upperBound } from './search.ts';
import { compareSites } from './sites.ts';
import type { Slices } from './slices.ts';

/** `moments`: ascending positions. Sites by their most live bytes at any of these; ties by name. */
export async function seriesOf(table: Population, stacks: Stacks, moments: number[], most: number, slices: Slices): Promise<SiteSeries> {
  const points = moments.length;
  const steps = await stepsOf(table, stacks, moments, slices);
  const ranked = [...steps].map(([site, row]) => {
    let peak = row[0]!;
    for (let k = 1; k < points; k++) peak = Math.max(peak, (row[k]! += row[k - 1]!));
    return { site, row, peak };
  });
  ranked.sort((x, y) => y.peak - x.peak || compareSites(stacks.frames, x.site, y.site));
  const chosen = ranked.slice(0, most);
  const bytes = new Float64Array(chosen.length * points);
  chosen.forEach(({ row }, k) => bytes.set(row.subarray(0, points), k * points));
  return { sites: Uint32Array.from(chosen, (it) => it.site), points, bytes };
}

/** By site, how its live bytes differ from one moment to the next: a block comes at the first it is live at and goes after the last. */
async function stepsOf(table: Population, stacks: Stacks, moments: number[], slices: Slices): Promise<Map<number, Float64Array>> {
  const rows = new Map<number, Float64Array>();
  const { bytes } = table.weights('live');
  const ofStack = new Array<Float64Array | undefined>(stacks.count);
  const rowOf = (stack: number) => {
    const site = stacks.site[stack]!;
    let row = rows.get(site);
    if (!row) rows.set(site, (row = new Float64Array(moments.length + 1)));
    return (ofStack[stack] = row);
  };
  await slices.each(0, table.count, (from, to) => {
    for (let i = from; i < to; i++) {
      const first = lowerBound(moments, table.start[i]!);
      const after = upperBound(moments, table.died[i]!, first);
      if (first >= after) continue;
      const row = ofStack[table.stack[i]!] ?? rowOf(table.stack[i]!);
      row[first]! += bytes[i]!;
      row[after]! -= bytes[i]!;
    }
  });
  return rows;
}
