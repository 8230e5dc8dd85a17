// Functions that a regular expression fits.

import type { Stacks } from '../data/types.ts';

/** `null`: not a regular expression. */
export function compile(text: string): RegExp | null {
  try {
    return new RegExp(text, 'iu');
  } catch {
    return null;
  }
}

/** 1 for each function (`Frames.fn`) whose whole name fits. */
export function fitting(stacks: Stacks, pattern: RegExp): Uint8Array {
  const { frames } = stacks;
  const known = new Map<number, boolean>();
  const fits = new Uint8Array(frames.fn.reduce((most, fn) => Math.max(most, fn), 0) + 1);
  for (let frame = 0; frame < frames.count; frame++) {
    const name = frames.name[frame]!;
    let found = known.get(name);
    if (found === undefined) known.set(name, (found = pattern.test(frames.strings[name]!)));
    if (found) fits[frames.fn[frame]!] = 1;
  }
  return fits;
}
