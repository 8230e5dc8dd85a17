// The backtraces of two recordings in one tree: matched frame by frame by function, file and line.
//
// Modules are not compared: another build lies in another folder. A function is the same by its name and file, so that in
// trees, which merge lines, it stays one function where its lines have moved.

import type { Frames, Stacks } from '../data/types.ts';

export interface Matched {
  /** Own stacks keep their numbers; those that only the other has, come after them. */
  stacks: Stacks;
  /** The other's stack → its number here. */
  of: Uint32Array;
}

export function matchStacks(own: Stacks, other: Stacks): Matched {
  const frames = matchFrames(own.frames, other.frames);
  const children = new Map<string, number>();
  const [parent, frame, site] = [Array.from(own.parent), Array.from(own.frame), Array.from(own.site)];
  // A frame that is there twice (in two modules) is met by its first number.
  const key = (above: number, which: number) => `${above} ${frames.same[which]!}`;
  for (let stack = 1; stack < own.count; stack++) {
    const it = key(parent[stack]!, frame[stack]!);
    if (!children.has(it)) children.set(it, stack);
  }
  const of = new Uint32Array(other.count);
  for (let stack = 1; stack < other.count; stack++) {
    const [above, which] = [of[other.parent[stack]!]!, frames.of[other.frame[stack]!]!];
    let to = children.get(key(above, which));
    if (to === undefined) {
      to = parent.length;
      parent.push(above);
      frame.push(which);
      site.push(frames.of[other.site[stack]!]!);
      children.set(key(above, which), to);
    }
    of[stack] = to;
  }
  const stacks = {
    count: parent.length, parent: Uint32Array.from(parent), frame: Uint32Array.from(frame), site: Uint32Array.from(site), frames: frames.frames,
  };
  return { stacks, of };
}

/** Values by the other's stacks → by the matched ones. */
export function carry(matched: Matched, values: Float64Array): Float64Array {
  const carried = new Float64Array(matched.stacks.count);
  for (let stack = 0; stack < values.length; stack++) carried[matched.of[stack]!]! += values[stack]!;
  return carried;
}

interface MatchedFrames {
  frames: Frames;
  /** The other's frame → its number here. */
  of: Uint32Array;
  /** Of frames that are the same by function, file and line, the first. */
  same: Uint32Array;
}

function matchFrames(own: Frames, other: Frames): MatchedFrames {
  const strings = own.strings.slice();
  const numbers = new Map(strings.map((text, k) => [text, k]));
  const columns = ['name', 'short', 'file', 'line', 'module', 'fn', 'flags'] as const;
  const rows = Object.fromEntries(columns.map((it) => [it, Array.from(own[it])])) as Record<(typeof columns)[number], number[]>;
  const string = (text: string) => numbers.get(text) ?? (numbers.set(text, strings.length), strings.push(text) - 1);
  const [byLine, byFunction] = [new Map<string, number>(), new Map<string, number>()];
  const lineKey = (frame: number) => `${rows.name[frame]} ${rows.file[frame]} ${rows.line[frame]}`;
  const functionKey = (frame: number) => `${rows.name[frame]} ${rows.file[frame]}`;
  const same: number[] = [];
  const enter = (frame: number) => {
    const first = byLine.get(lineKey(frame));
    same.push(first ?? frame);
    if (first === undefined) byLine.set(lineKey(frame), frame);
    if (!byFunction.has(functionKey(frame))) byFunction.set(functionKey(frame), rows.fn[frame]!);
  };
  let fns = 0;
  for (let frame = 0; frame < own.count; frame++) {
    enter(frame);
    fns = Math.max(fns, own.fn[frame]! + 1);
  }
  const added = new Map<number, number>();
  const of = new Uint32Array(other.count);
  for (let frame = 0; frame < other.count; frame++) {
    const to = rows.name.length;
    for (const it of ['name', 'short', 'file', 'module'] as const) rows[it].push(string(other.strings[other[it][frame]!]!));
    rows.line.push(other.line[frame]!);
    rows.flags.push(other.flags[frame]!);
    const fn = byFunction.get(functionKey(to)) ?? added.get(other.fn[frame]!) ?? fns++;
    added.set(other.fn[frame]!, fn);
    rows.fn.push(fn);
    enter(to);
    of[frame] = same[to]!;
  }
  const numbersOf = (it: (typeof columns)[number]) => Uint32Array.from(rows[it]);
  const frames: Frames = {
    count: rows.name.length, name: numbersOf('name'), short: numbersOf('short'), file: numbersOf('file'), line: numbersOf('line'),
    module: numbersOf('module'), fn: numbersOf('fn'), flags: Uint8Array.from(rows.flags), strings,
  };
  return { frames, of, same: Uint32Array.from(same) };
}
