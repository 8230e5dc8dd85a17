// Backtraces put into groups: what each row of a flat table stands for, and sums by row.

import type { Frames, Stacks } from '../../data/types.ts';
import { WRAPPER } from '../../tree/fold.ts';
import { fnName, frameOf, placeBeside } from '../../tree/shared.ts';
import { NO_STACK } from '../../tree/shape.ts';
import type { TopDown } from '../../tree/topdown.ts';
import { byFunction } from '../../tree/view.ts';
import { baseName, functionName, wholeFrame } from '../../ui/name.tsx';

export type By = 'site' | 'function' | 'file' | 'module' | 'stack' | 'thread' | 'size';

/** What a row is: its number among those of its kind, and its words. */
export interface Groups {
  /** A frame, a function, a string, a stack, a thread or a size class. `NO_STACK`: blocks without a backtrace. */
  keys: Int32Array;
  name(key: number): string;
  /** Quietly beside the name. */
  place(key: number): string;
  /** All of it, for tooltips and copies. */
  whole(key: number): string;
  /** Values of each stack → sums of each row; where rows are not made of stacks, the values are the rows' already. */
  sum(values: Float64Array): Float64Array;
  /** Sums of what ends in the row's function itself; null where each byte is in one row only. */
  self: ((values: Float64Array) => Float64Array) | null;
}

export function groups(by: Exclude<By, 'thread' | 'size'>, stacks: Stacks, merged: TopDown): Groups {
  if (by === 'function') return functions(stacks, merged);
  const { site, frames } = stacks;
  const key = (stack: number): number => {
    if (by === 'stack') return stack;
    if (stack === 0) return NO_STACK;
    const frame = site[stack]!;
    return by === 'site' ? frame : frames[by][frame]!;
  };
  return { ...partition(stacks.count, key), ...words(by, stacks) };
}

/** Each stack in one group. */
function partition(count: number, key: (stack: number) => number): Pick<Groups, 'keys' | 'sum' | 'self'> {
  const rows = new Map<number, number>();
  const of = new Int32Array(count);
  for (let stack = 0; stack < count; stack++) {
    const own = key(stack);
    let row = rows.get(own);
    if (row === undefined) rows.set(own, (row = rows.size));
    of[stack] = row;
  }
  const sum = (values: Float64Array) => {
    const sums = new Float64Array(rows.size);
    for (let stack = 0; stack < count; stack++) sums[of[stack]!]! += values[stack]!;
    return sums;
  };
  return { keys: Int32Array.from(rows.keys()), sum, self: null };
}

function words(by: 'site' | 'file' | 'module' | 'stack', stacks: Stacks): Pick<Groups, 'name' | 'place' | 'whole'> {
  const { frames } = stacks;
  const none = '(no backtrace)';
  if (by === 'site') {
    return {
      name: (key) => (key < 0 ? none : functionName(frames, key) || '(unknown)'),
      place: (key) => (key < 0 ? '' : placeBeside(frames, key)),
      whole: (key) => (key < 0 ? none : wholeFrame(frames, key)),
    };
  }
  if (by === 'stack') {
    const chain = (stack: number) => {
      const chained: number[] = [];
      for (let at = stack; at > 0; at = stacks.parent[at]!) chained.push(stacks.frame[at]!);
      return chained;
    };
    const said = (frame: number) => functionName(frames, frame) || '(unknown)';
    return {
      name: (key) => (key === 0 ? none : telling(chain(key), frames).map(said).join(' ← ')),
      place: () => '',
      whole: (key) => (key === 0 ? none : chain(key).map(said).join('\n')),
    };
  }
  const unknown = by === 'file' ? '(file unknown)' : '(module unknown)';
  const text = (key: number) => (key < 0 ? none : frames.strings[key] || unknown);
  return { name: (key) => baseName(text(key)), place: (key) => (text(key).includes('/') ? text(key).replace(/\/[^/]*$/, '') : ''), whole: text };
}

/** Without the frames of the allocator and the runtime, unless there are no others. */
function telling(chain: number[], frames: Frames): number[] {
  const others = chain.filter((frame) => (frames.flags[frame]! & WRAPPER) === 0);
  return others.length > 0 ? others : chain;
}

/** Each stack in all its functions: rows overlap. */
function functions(stacks: Stacks, merged: TopDown): Groups {
  const keys = [...new Set(merged.fns.subarray(1, merged.count))];
  const rows = new Map(keys.map((fn, row) => [fn, row]));
  const sums = (pick: 'total' | 'self') => (values: Float64Array) => {
    const found = new Float64Array(keys.length);
    for (const [fn, it] of byFunction(merged, values)) found[rows.get(fn)!] = it[pick];
    return found;
  };
  return {
    keys: Int32Array.from(keys),
    name: (fn) => fnName(fn, stacks, frameOf(stacks, fn)),
    place: (fn) => (fn < 0 ? '' : placeBeside(stacks.frames, frameOf(stacks, fn)).replace(/:\d+$/, '')),
    whole: (fn) => (fn < 0 ? fnName(fn, stacks, 0) : wholeFrame(stacks.frames, frameOf(stacks, fn))),
    sum: sums('total'),
    self: sums('self'),
  };
}

/** Rows whose values are asked for one by one: of threads, of size classes. */
export function listed(names: string[]): Groups {
  return {
    keys: Int32Array.from(names.keys()),
    name: (key) => names[key] ?? '',
    place: () => '',
    whole: (key) => names[key] ?? '',
    sum: (values) => values,
    self: null,
  };
}
