// The events that touched an address range, from the blocks that they began and ended.

import { NEVER, type EventRow } from '../types.ts';
import { ENDS_IN_REALLOC, OF_REALLOC, type AddressOrder, type BlockTable } from './blocks.ts';
import type { TimeTable } from './times.ts';

/** The newest `most` events before a position, newest last; an event's position is the one just after it. */
export function eventsOf(
  table: BlockTable, byAddress: AddressOrder, times: TimeTable, before: number, lo: number, hi: number, most: number,
): EventRow[] {
  const rows: EventRow[] = [];
  const add = (block: number, position: number, action: string, thread: number, stack: number) =>
    rows.push({
      position, time_ns: times.of(position), thread, action, addr: table.addr(block), size: table.size[block]!, block: table.id(block), stack,
    });
  const [from, to] = byAddress.range(lo, hi);
  for (let k = from; k < to; k++) {
    if (!byAddress.touches(k, lo, hi)) continue;
    const block = byAddress.block[k]!;
    const flags = table.flags[block]!;
    const start = byAddress.start[k]!;
    const died = byAddress.died[k]!;
    if (start <= before && !table.inherited(block))
      add(block, start, flags & OF_REALLOC ? 'realloc-alloc' : 'alloc', table.thread[block]!, table.stack[block]!);
    if (died !== NEVER && died < before)
      add(block, died + 1, flags & ENDS_IN_REALLOC ? 'realloc-release' : 'free', table.freedThread[block]!, table.freedStack[block]!);
  }
  rows.sort((x, y) => x.position - y.position);
  return rows.slice(Math.max(0, rows.length - most));
}
