// Which frames have no node of their own in a tree: their weight is their caller's.

import type { ProcessInfo, Stacks } from '../data/types.ts';
import { baseName } from '../ui/name.tsx';

export type Fold = 'none' | 'wrappers' | 'libraries';

/** The bit of `Frames.flags` that says so. */
export const WRAPPER = 4;

/**
 * 1 for each frame to fold. `wrappers`: of the allocator and the runtime; `libraries`: also all that is not in the
 * program's own file. `hidden`: functions folded one by one.
 */
export function foldedFrames(stacks: Stacks, fold: Fold, program: number, hidden: ReadonlySet<number>): Uint8Array | undefined {
  if (fold === 'none' && hidden.size === 0) return undefined;
  const { flags, module, fn, count } = stacks.frames;
  const folded = new Uint8Array(count);
  for (let frame = 0; frame < count; frame++) {
    const wrapper = fold !== 'none' && (flags[frame]! & WRAPPER) !== 0;
    const library = fold === 'libraries' && program >= 0 && module[frame] !== program;
    if (wrapper || library || hidden.has(fn[frame]!)) folded[frame] = 1;
  }
  return folded;
}

/** The module (an index into the strings) that is the program itself: the one with `main`, or of its name. -1: not known. */
export function programModule(stacks: Stacks, info: Pick<ProcessInfo, 'name' | 'argv'>): number {
  const { strings, short, module, count } = stacks.frames;
  const names = new Set([info.name, baseName(info.argv[0] ?? '')]);
  let named = -1;
  for (let frame = 0; frame < count; frame++) {
    if (module[frame] === 0) continue;
    if (strings[short[frame]!] === 'main') return module[frame]!;
    if (named < 0 && names.has(baseName(strings[module[frame]!]!))) named = module[frame]!;
  }
  return named;
}
