// What Flame, Tables and Diff share: which frames are folded, the tree that all other trees are made of, and its words.

import { computed } from '@preact/signals';
import type { Frames, ProcessInfo, Stacks } from '../data/types.ts';
import { data } from '../state/state.ts';
import { oneOf, param, type Codec } from '../state/params.ts';
import { functionName, place } from '../ui/name.tsx';
import { type Fold, foldedFrames, programModule } from './fold.ts';
import { ALL, NO_STACK, ONLY_FOLDED, THREAD, type Shape } from './shape.ts';
import { TopDown } from './topdown.ts';

/** `12.7.-3`. */
export const numbers: Codec<number[]> = {
  write: (list) => list.join('.'),
  parse: (text) => (/^-?\d{1,9}(\.-?\d{1,9})*$/.test(text) ? text.split('.').map(Number) : undefined),
};

export const fold = param<Fold>('fold', 'wrappers', oneOf('none', 'wrappers', 'libraries'));
/** Functions that are folded one by one. */
export const hidden = param<number[]>('hide', () => [], numbers);

/** The module that is the program itself; -1: not known, then there are no libraries to fold. */
export const program = computed(() => programModule(data.value.stacks, data.value.info));

const hiddenKey = computed(() => hidden.value.join());

/** All backtraces merged, as they are folded. */
export const merged = computed(() => {
  const functions = hiddenKey.value === '' ? [] : hiddenKey.value.split(',').map(Number);
  return mergeStacks(data.value.stacks, new Set(functions));
});

export function mergeStacks(stacks: Stacks, functions: ReadonlySet<number>): TopDown {
  return TopDown.merge(stacks, foldedFrames(stacks, fold.value, program.value, functions));
}

export function hide(fn: number): void {
  if (fn >= 0 && !hidden.value.includes(fn)) hidden.value = [...hidden.value, fn];
}

/** Threads by their ids: an id may have been given out more than once, and filters know threads by ids. */
export function threadsById(info: ProcessInfo): ProcessInfo['threads'] {
  return [...new Map([...info.threads].reverse().map((thread) => [thread.tid, thread])).values()].reverse();
}

/** The thread that tree k of a forest is of; the last may be of all others. */
export function threadName(k: number): string {
  const threads = threadsById(data.value.info);
  if (k === MOST_THREADS - 1 && threads.length > MOST_THREADS) return `${threads.length - k} other threads`;
  const thread = threads[k];
  if (!thread) return `thread ${k}`;
  return thread.name === '' ? `thread ${thread.tid}` : `thread ${thread.tid} “${thread.name}”`;
}

/** So many threads have trees of their own. */
export const MOST_THREADS = 12;

export function fnName(fn: number, stacks: Stacks, frame: number, full = false): string {
  if (fn === ALL) return 'all';
  if (fn === NO_STACK) return '(no backtrace)';
  if (fn === ONLY_FOLDED) return '(folded frames only)';
  if (fn <= THREAD) return threadName(THREAD - fn);
  return functionName(stacks.frames, frame, full) || '(unknown)';
}

export function nodeName(shape: Shape, stacks: Stacks, node: number, full = false): string {
  return fnName(shape.fn(node), stacks, shape.frame(node), full);
}

/** `demo.cpp:19`; without the line where several are in the node. */
export function nodePlace(shape: Shape, stacks: Stacks, node: number): string {
  if (shape.fn(node) < 0) return '';
  const where = placeBeside(stacks.frames, shape.frame(node));
  return shape.lines(node) ? where.replace(/:\d+$/, '') : where;
}

/** The place of a frame where its name does not say it: frames without a name are called by their module already. */
export function placeBeside(frames: Frames, frame: number): string {
  const where = place(frames, frame);
  return functionName(frames, frame).startsWith(`${where}+`) ? '' : where;
}

const first = new WeakMap<Stacks, Map<number, number>>();

/** A frame of a function: the first one in the table. */
export function frameOf(stacks: Stacks, fn: number): number {
  let known = first.get(stacks);
  if (!known) {
    known = new Map();
    for (let frame = stacks.frames.count - 1; frame >= 0; frame--) known.set(stacks.frames.fn[frame]!, frame);
    first.set(stacks, known);
  }
  return known.get(fn) ?? 0;
}
