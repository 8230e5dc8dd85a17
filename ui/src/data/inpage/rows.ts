// The list of blocks: which, in which order.

import type { BlockQuery, Stacks, Weight } from '../types.ts';
import type { BlockTable } from './blocks.ts';
import { lifetime } from './histograms.ts';
import { orderInSlices } from './search.ts';
import { bounds, forEachBlock, type Selection } from './select.ts';
import { compareSites } from './sites.ts';
import type { Slices } from './slices.ts';
import type { TimeTable } from './times.ts';

/** All blocks of a selection in order. */
export interface Listing {
  blocks: Uint32Array;
  total: Weight;
}

/** Ties are in order of birth. */
export async function listingOf(
  table: BlockTable, times: TimeTable, stacks: Stacks, selection: Selection, sort: BlockQuery['sort'], descending: boolean, slices: Slices,
): Promise<Listing> {
  const [first, end] = bounds(table, selection);
  const found = new Uint32Array(Math.max(0, end - first));
  const total = { bytes: 0, blocks: 0 };
  let count = 0;
  await slices.each(first, end, (from, to) =>
    forEachBlock(table, selection, from, to, (block, sign) => {
      found[count++] = block;
      total.bytes += sign * table.weightBytes[block]!;
      total.blocks += sign * (table.weightBlocks ? table.weightBlocks[block]! : 1);
    }),
  );
  const blocks = found.slice(0, count);
  const isInOrder = sort === 'id' || sort === 'born';
  if (isInOrder) return { blocks: descending ? blocks.reverse() : blocks, total };
  const keyOf = keysOf(table, times, stacks, sort);
  const keys = new Float64Array(count);
  await slices.each(0, count, (from, to) => {
    for (let k = from; k < to; k++) keys[k] = keyOf(blocks[k]!);
  });
  const order = await orderInSlices(keys, descending, slices);
  await slices.each(0, count, (from, to) => {
    for (let k = from; k < to; k++) found[k] = blocks[order[k]!]!;
  });
  return { blocks: found.subarray(0, count), total };
}

function keysOf(
  table: BlockTable, times: TimeTable, stacks: Stacks, sort: Exclude<BlockQuery['sort'], 'id' | 'born'>,
): (block: number) => number {
  switch (sort) {
    case 'addr':
      return (block) => table.addr(block);
    case 'size':
      return (block) => table.size[block]!;
    case 'died':
      return (block) => table.died[block]!;
    case 'lifetime':
      return (block) => lifetime(table, times, block);
    case 'thread':
      return (block) => table.thread[block]!;
    case 'api':
      return (block) => table.api[block]!;
    case 'leak':
      return (block) => table.leak[block]!;
    case 'site': {
      const rank = new Uint32Array(stacks.frames.count);
      const sites = [...new Set(stacks.site)].sort((x, y) => compareSites(stacks.frames, x, y));
      sites.forEach((site, k) => (rank[site] = k));
      return (block) => rank[stacks.site[table.stack[block]!]!]!;
    }
  }
}
