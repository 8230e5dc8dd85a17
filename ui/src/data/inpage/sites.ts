// The order of call sites that weigh the same.

import type { Frames } from '../types.ts';

/** As Rust orders `(function, file, line, module)`: by code points, what is not known first; "no backtrace" before all. */
export function compareSites({ name, file, line, module, strings }: Frames, x: number, y: number): number {
  if (x === 0 || y === 0) return x - y;
  const by = (of: Uint32Array) => compareText(strings[of[x]!]!, strings[of[y]!]!);
  return by(name) || by(file) || line[x]! - line[y]! || by(module);
}

/** By code points, as UTF-8 orders; JavaScript's own order is by UTF-16 units. */
function compareText(x: string, y: string): number {
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
