// One block, taken out of columns, with its times in nanoseconds.

import { LEAKS } from '../../data/filter.ts';
import { NEVER, type Blocks, type Times } from '../../data/types.ts';

export interface Block {
  id: number;
  addr: number;
  size: number;
  /** 0 where not known. */
  usable: number;
  /** Its first and last event; `NEVER`: inherited, or not freed. */
  born: number;
  died: number;
  stack: number;
  freedStack: number;
  thread: number;
  freedThread: number;
  api: number;
  leak: number;
  temporary: boolean;
  ofRealloc: boolean;
  inherited: boolean;
  endsInRealloc: boolean;
}

export function blockAt(of: Blocks, k: number): Block {
  const flags = of.flags[k]!;
  return {
    id: of.id[k]!,
    addr: of.addr[k]!,
    size: of.size[k]!,
    usable: of.usable[k]!,
    born: of.born[k]!,
    died: of.died[k]!,
    stack: of.stack[k]!,
    freedStack: of.freed_stack[k]!,
    thread: of.thread[k]!,
    freedThread: of.freed_thread[k]!,
    api: of.api[k]!,
    leak: of.leak[k]!,
    temporary: (flags & 1) !== 0,
    ofRealloc: (flags & 2) !== 0,
    inherited: (flags & 4) !== 0,
    endsInRealloc: (flags & 8) !== 0,
  };
}

export function blocksOf(of: Blocks): Block[] {
  return Array.from({ length: of.count }, (_, k) => blockAt(of, k));
}

/** The first position at which it is live. */
export function startOf(block: Pick<Block, 'inherited' | 'born'>): number {
  return block.inherited ? 0 : block.born + 1;
}

export function isLive(block: Pick<Block, 'inherited' | 'born' | 'died'>, position: number): boolean {
  return startOf(block) <= position && position <= block.died;
}

/** When it was allocated. */
export function bornTime(block: Block, times: Times): number {
  return times.of(startOf(block));
}

/** When it was freed; `null`: never. */
export function diedTime(block: Block, times: Times): number | null {
  return block.died === NEVER ? null : times.of(block.died + 1);
}

/** How long it lived; `null` where it was not freed. */
export function lifetime(block: Block, times: Times): number | null {
  const died = diedTime(block, times);
  return died === null ? null : died - bornTime(block, times);
}

/** How old it is at a position; `null` where it is not live then. */
export function age(block: Block, position: number, times: Times): number | null {
  return isLive(block, position) ? times.of(position) - bornTime(block, times) : null;
}

export const LEAK_CLASSES = ['–', ...LEAKS.slice(1)];
