// Pages of the list of blocks: which, in which order, from where to where.

import type { BlockPage, BlockQuery, Stacks, Times } from '../types.ts';
import type { BlockTable } from './blocks.ts';
import { lifetime } from './histograms.ts';
import { orderOf } from './search.ts';
import type { Sites } from './sites.ts';
import type { TimeTable } from './times.ts';

/** `each` calls back with the blocks of the metric. */
export function pageOf(
  table: BlockTable, times: TimeTable, stacks: Stacks, sites: Sites, query: BlockQuery,
  each: (take: (block: number, sign: number) => void) => void,
): BlockPage {
  const total = { bytes: 0, blocks: 0 };
  const chosen: number[] = [];
  each((block, sign) => {
    chosen.push(block);
    total.bytes += sign * table.weightBytes[block]!;
    total.blocks += sign * (table.weightBlocks ? table.weightBlocks[block]! : 1);
  });
  chosen.sort((x, y) => x - y);
  const order = orderOf(Float64Array.from(chosen, keyOf(table, times, stacks, sites, query.sort)), query.descending);
  const page = Array.from(order.subarray(query.offset, query.offset + query.limit), (k) => chosen[k]!);
  return { rows: table.rows(page), total };
}

function keyOf(table: BlockTable, times: Times & TimeTable, stacks: Stacks, sites: Sites, sort: BlockQuery['sort']): (block: number) => number {
  switch (sort) {
    case 'id':
      return (block) => block;
    case 'born':
      return (block) => table.start[block]!;
    case 'addr':
      return (block) => table.addr[block]!;
    case 'size':
      return (block) => table.size[block]!;
    case 'died':
      return (block) => table.died[block]!;
    case 'lifetime':
      return (block) => lifetime(table, times, block);
    case 'site': {
      const rank = new Uint32Array(stacks.frames.count);
      const places = [...new Set(sites.ofStack)].sort((x, y) => sites.compare(x, y));
      places.forEach((site, k) => (rank[site] = k));
      return (block) => rank[sites.ofStack[table.stack[block]!]!]!;
    }
  }
}
