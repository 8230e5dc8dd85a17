// Filters, asked of blocks: 1 for each that passes.

import { apiName, isWithin, type Flag, type Interval, type MeasureField, type TextField, type Pattern, type Test, type Token } from '../filter.ts';
import { NEVER, type ProcessInfo, type Stacks } from '../types.ts';
import { byDeath, ENDS_IN_REALLOC, INHERITED, OF_REALLOC, TEMPORARY, type BlockTable } from './blocks.ts';
import { lifetime } from './histograms.ts';
import type { Slices } from './slices.ts';
import type { TimeTable } from './times.ts';

/** What blocks are asked of. */
export interface Ground {
  blocks: BlockTable;
  stacks: Stacks;
  times: TimeTable;
  info: ProcessInfo;
  /** Names of the functions that blocks name by number. */
  apis: string[];
}

/** Whether the answer depends on the moment that is looked at. */
export function dependsOnMoment(tokens: Token[]): boolean {
  return tokens.some(({ test }) => test.kind === 'measure' && test.field === 'age');
}

/** `at`: the position that ages are counted to. */
export async function maskOf(tokens: Token[], ground: Ground, at: number, slices: Slices): Promise<Uint8Array> {
  const mask = new Uint8Array(ground.blocks.count).fill(1);
  for (const { test, not } of tokens) {
    const passes = asking(test, ground, at);
    await slices.each(0, mask.length, (from, to) => {
      for (let i = from; i < to; i++) if (mask[i] === 1 && passes(i) === not) mask[i] = 0;
    });
  }
  return mask;
}

/** The stacks that pass; `null` where a word is about single blocks. */
export function stackMaskOf(tokens: Token[], stacks: Stacks): Uint8Array | null {
  const mask = new Uint8Array(stacks.count).fill(1);
  for (const { test, not } of tokens) {
    if (test.kind !== 'text') return null;
    const matching = stacksWith(stacks, test.field, test.pattern);
    for (let s = 0; s < mask.length; s++) if ((matching[s] === 1) === not) mask[s] = 0;
  }
  return mask;
}

function asking(test: Test, ground: Ground, at: number): (block: number) => boolean {
  const { blocks, stacks, times, info, apis } = ground;
  switch (test.kind) {
    case 'text': {
      const matching = stacksWith(stacks, test.field, test.pattern);
      return (i) => matching[blocks.stack[i]!] === 1;
    }
    case 'measure':
      return asMeasured(test.field, test.within, ground, at);
    case 'alive': {
      const t = times.at(test.time_ns);
      return (i) => blocks.start[i]! <= t && t <= blocks.died[i]!;
    }
    case 'thread': {
      const threads = threadsCalled(info, test.thread);
      return (i) => threads[blocks.thread[i]!] === 1;
    }
    case 'addr':
      return inRange(blocks, test.within);
    case 'id':
      return (i) => blocks.id(i) === test.id;
    case 'flag':
      return withFlag(blocks, test.flag);
    case 'leak':
      return (i) => test.kinds.includes(blocks.leak[i]!);
    case 'api': {
      const called = Uint8Array.from({ length: 256 }, (_, api) => Number(apis[api] !== undefined && apiName(apis[api]) === test.name));
      return (i) => called[blocks.api[i]!] === 1;
    }
  }
}

function withFlag(blocks: BlockTable, flag: Flag): (block: number) => boolean {
  if (flag === 'leaked') return (i) => blocks.died[i] === NEVER;
  const bit = flag === 'temp' ? TEMPORARY : INHERITED;
  return (i) => (blocks.flags[i]! & bit) !== 0;
}

function asMeasured(field: MeasureField, within: Interval, { blocks, times, info }: Ground, at: number): (block: number) => boolean {
  switch (field) {
    case 'size':
      return (i) => isWithin(blocks.size[i]!, within);
    case 'usable':
      return (i) => isWithin(blocks.usable[i]!, within);
    case 'life':
      return (i) => isWithin(lifetime(blocks, times, i), within) && blocks.died[i] !== NEVER;
    case 'age': {
      const now = times.of(at);
      return (i) => blocks.start[i]! <= at && isWithin(now - times.of(blocks.start[i]!), within);
    }
    case 'born':
      return (i) => !blocks.inherited(i) && isWithin(times.of(blocks.start[i]!), within);
    case 'freed':
      return (i) => blocks.died[i] !== NEVER && isWithin(times.of(blocks.died[i]! + 1), within);
    case 'realloc': {
      const moves = reallocsOf(blocks, info.event_count);
      return (i) => isWithin(moves[i]!, within);
    }
  }
}

/** One address is in the block that holds it; a range has the blocks that begin in it. */
function inRange(blocks: BlockTable, within: Interval): (block: number) => boolean {
  if (within.lo !== within.hi) return (i) => isWithin(blocks.addr(i), within);
  return (i) => blocks.addr(i) === within.lo || (blocks.addr(i) < within.lo && within.lo < blocks.addr(i) + blocks.extent(i));
}

/** By thread; a number is a thread id, else the number in the list of threads, from 1; a text is sought in names. */
function threadsCalled(info: ProcessInfo, text: string): Uint8Array {
  const number = /^\d+$/.test(text) ? Number(text) : NaN;
  const isTid = info.threads.some(({ tid }) => tid === number);
  return Uint8Array.from({ length: 65536 }, (_, index) => {
    const thread = info.threads[index];
    if (!thread) return 0;
    if (Number.isNaN(number)) return Number(thread.name.toLowerCase().includes(text.toLowerCase()));
    return Number(isTid ? thread.tid === number : index + 1 === number);
  });
}

/** 1 for each stack that has such a frame. */
function stacksWith(stacks: Stacks, field: TextField, pattern: Pattern): Uint8Array {
  const { frames } = stacks;
  const matching = Uint8Array.from(frames.strings, (text) => Number(pattern.matches(text)));
  const { name, short, file, module } = frames;
  const fields = { fn: [name, short], site: [name, short], file: [file], mod: [module], any: [name, short, file, module] }[field];
  const framed = new Uint8Array(frames.count);
  for (let f = 1; f < frames.count; f++) framed[f] = Number(fields.some((of) => matching[of[f]!] === 1));
  const found = new Uint8Array(stacks.count);
  for (let s = 1; s < stacks.count; s++) {
    if (field === 'site') found[s] = framed[stacks.site[s]!]!;
    else found[s] = framed[stacks.frame[s]!]! | found[stacks.parent[s]!]!;
  }
  return found;
}

/** How many reallocs led to each block: its thread's last release by a realloc was the block before it. */
function reallocsOf(blocks: BlockTable, events: number): Uint32Array {
  const moves = new Uint32Array(blocks.count);
  const released = new Map<number, number>();
  const { died, start } = blocks;
  const dying = byDeath(blocks, events);
  let dead = 0;
  for (let i = 0; i < blocks.count; i++) {
    for (; dead < dying.length && died[dying[dead]!]! < start[i]!; dead++) {
      const block = dying[dead]!;
      if (blocks.flags[block]! & ENDS_IN_REALLOC) released.set(blocks.freedThread[block]!, moves[block]! + 1);
    }
    if (blocks.flags[i]! & OF_REALLOC) moves[i] = released.get(blocks.thread[i]!) ?? 1;
  }
  return moves;
}
