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
  const back = column(table, 'back', 'u32');
  const count = back.length;
  if (count === 0) throw new Error('there is no root of the backtraces');
  for (let i = 1; i < count; i++) {
    if (back[i]! < 1 || back[i]! > i) throw new Error(`the caller of backtrace ${i} does not come before it`);
  }
  const parent = back.map((steps, i) => i - steps);
  const frame = column(table, 'frame', 'u32', count);
  within(frame.subarray(1), frames.count, 'frame of a backtrace');
  return { count, parent, frame, site: sitesOf(parent, frame, frames), frames };
}

/** A frame that is a wrapper of the allocator or the runtime. */
const WRAPPER = 4;

/** The call site of each stack: the innermost frame outside wrappers; where all are wrappers, the innermost one. */
function sitesOf(parent: Uint32Array, frame: Uint32Array, { flags }: Frames): Uint32Array {
  const sites = new Uint32Array(frame.length);
  for (let i = 1; i < sites.length; i++) {
    const ofCaller = sites[parent[i]!]!;
    const hasSite = parent[i] !== 0 && (flags[ofCaller]! & WRAPPER) === 0;
    sites[i] = hasSite && (flags[frame[i]!]! & WRAPPER) !== 0 ? ofCaller : frame[i]!;
  }
  return sites;
}

/** Throws unless all indices are below `count`. */
export function within(indices: Uint32Array, count: number, what: string): void {
  for (let i = 0; i < indices.length; i++) {
    if (indices[i]! >= count) throw new Error(`there is no ${what} ${indices[i]}, only ${count}`);
  }
}
