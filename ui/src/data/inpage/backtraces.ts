// The frames and the tree of backtraces, from their columns.

import { column, type Columns } from '../columns.ts';
import type { Frames, Stacks } from '../types.ts';

/** The table `strings`: UTF-8, each ended by a zero byte. */
export function readStrings(table: Columns): string[] {
  const bytes = column(table, 'bytes', 'u8');
  const strings: string[] = new TextDecoder().decode(bytes).split('\0');
  if (strings.pop() !== '') throw new Error('the last string has no end');
  return strings.length > 0 ? strings : [''];
}

export function readFrames(table: Columns, strings: string[]): Frames {
  const name = column(table, 'name', 'u32');
  const count = name.length;
  const read = (what: string) => column(table, what, 'u32', count);
  const frames: Frames = {
    count, name, short: read('short'), file: read('file'), line: read('line'), module: read('module'), fn: read('fn'),
    flags: column(table, 'flags', 'u8', count), strings,
  };
  for (const what of ['name', 'short', 'file', 'module'] as const) within(frames[what], strings.length, `${what} of a frame`);
  return frames;
}

export function readStacks(table: Columns, frames: Frames): Stacks {
  const parent = column(table, 'parent', 'u32');
  const count = parent.length;
  if (count === 0) throw new Error('there is no root of the backtraces');
  const stacks: Stacks = {
    count, parent, frame: column(table, 'frame', 'u32', count), site: column(table, 'site', 'u32', count), frames,
  };
  for (let i = 1; i < count; i++) {
    if (parent[i]! >= i) throw new Error(`the caller of backtrace ${i} comes after it`);
  }
  within(stacks.frame.subarray(1), frames.count, 'frame of a backtrace');
  within(stacks.site.subarray(1), frames.count, 'call site of a backtrace');
  return stacks;
}

/** Throws unless all indices are below `count`. */
export function within(indices: Uint32Array, count: number, what: string): void {
  for (let i = 0; i < indices.length; i++) {
    if (indices[i]! >= count) throw new Error(`there is no ${what} ${indices[i]}, only ${count}`);
  }
}
