// Call sites: frames, those that are the same place as one; and their order where they weigh the same.

import type { Frames, Stacks } from '../types.ts';

export class Sites {
  /** The site of each stack: the first frame with its function, file, line and module. */
  readonly ofStack: Uint32Array;
  readonly #frames: Frames;
  readonly #canonical: Uint32Array;

  constructor(stacks: Stacks) {
    const frames = (this.#frames = stacks.frames);
    this.#canonical = new Uint32Array(frames.count);
    const known = new Map<string, number>();
    for (let f = 0; f < frames.count; f++) {
      const key = `${frames.name[f]} ${frames.file[f]} ${frames.line[f]} ${frames.module[f]}`;
      if (!known.has(key)) known.set(key, f);
      this.#canonical[f] = known.get(key)!;
    }
    this.ofStack = stacks.site.map((site) => this.#canonical[site] ?? 0);
  }

  /** The frame that stands for the place of a frame. */
  of(frame: number): number {
    return this.#canonical[frame] ?? frame;
  }

  /** As Rust orders `(function, file, line, module)`: by code points, what is not known first. */
  compare(x: number, y: number): number {
    const { name, file, line, module, strings } = this.#frames;
    const by = (of: Uint32Array) => compareText(strings[of[x]!]!, strings[of[y]!]!);
    return by(name) || by(file) || line[x]! - line[y]! || by(module);
  }
}

/** By code points, as UTF-8 orders; JavaScript's own order is by UTF-16 units. */
export function compareText(x: string, y: string): number {
  const length = Math.min(x.length, y.length);
  for (let i = 0; i < length; i++) {
    let [a, b] = [x.charCodeAt(i), y.charCodeAt(i)];
    if (a === b) continue;
    if (a >= 0xd800 && b >= 0xd800) [a, b] = [afterSurrogates(a), afterSurrogates(b)];
    return a - b;
  }
  return x.length - y.length;
}

/** Surrogates stand for code points above all others. */
function afterSurrogates(unit: number): number {
  return unit >= 0xe000 ? unit - 0x800 : unit + 0x2000;
}
