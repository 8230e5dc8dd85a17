// Live bytes of the call sites that ever held most, at equally spaced moments of the run.

import type { SiteSeries } from '../types.ts';
import type { BlockTable } from './blocks.ts';
import { lowerBound, upperBound } from './search.ts';
import type { Sites } from './sites.ts';

/** `moments`: ascending positions. Sites by their most live bytes at any of these; ties as `Sites.compare` has them. */
export function seriesOf(table: BlockTable, sites: Sites, moments: number[], most: number): SiteSeries {
  const points = moments.length;
  // A block is live at a run of moments: its weight comes at the first and goes after the last.
  const rows = new Map<number, Float64Array>();
  for (let i = 0; i < table.count; i++) {
    const first = lowerBound(moments, table.start[i]!);
    const after = upperBound(moments, table.died[i]!);
    if (first >= after) continue;
    const site = sites.ofStack[table.stack[i]!]!;
    let row = rows.get(site);
    if (!row) rows.set(site, (row = new Float64Array(points + 1)));
    row[first]! += table.weightBytes[i]!;
    row[after]! -= table.weightBytes[i]!;
  }
  const ranked: { site: number; row: Float64Array; peak: number }[] = [];
  for (const [site, row] of rows) {
    let peak = 0;
    for (let k = 1; k < points; k++) row[k]! += row[k - 1]!;
    for (let k = 0; k < points; k++) peak = Math.max(peak, row[k]!);
    ranked.push({ site, row, peak });
  }
  ranked.sort((x, y) => y.peak - x.peak || sites.compare(x.site, y.site));
  const chosen = ranked.slice(0, most);
  const bytes = new Float64Array(chosen.length * points);
  chosen.forEach(({ row }, k) => bytes.set(row.subarray(0, points), k * points));
  return { sites: Uint32Array.from(chosen, (it) => it.site), points, bytes };
}
