// What each line of source weighs: by itself (it is the call site) and with what it called.

import type { ProcessData, StackWeights, Stacks, Unit } from '../../data/types.ts';

export interface HotLine {
  line: number;
  /** A frame of this line. */
  frame: number;
  own: number;
  /** Of all backtraces that the line is on, each counted once. */
  total: number;
}

export interface HotFile {
  /** Index of its name in the table of strings. */
  file: number;
  own: number;
  /** The most that one of its lines has, with what it called: lines call each other, so their sum would say too much. */
  total: number;
  /** Heaviest first. */
  lines: HotLine[];
}

export type Share = 'own' | 'total';

/** Files whose lines are on backtraces that weigh something, heaviest first. */
export function hotFiles(stacks: Stacks, weights: StackWeights, unit: Unit, share: Share): HotFile[] {
  const { frames } = stacks;
  const self = weights[unit];
  const subtree = Float64Array.from(self);
  const touched = new Uint8Array(stacks.count);
  for (let stack = stacks.count - 1; stack > 0; stack--) {
    if (self[stack] !== 0) touched[stack] = 1;
    const parent = stacks.parent[stack]!;
    subtree[parent]! += subtree[stack]!;
    if (touched[stack]) touched[parent] = 1;
  }
  const files = new Map<number, Map<number, HotLine>>();
  const lineOf = (frame: number): HotLine | null => {
    const file = frames.file[frame]!;
    if (file === 0) return null;
    let lines = files.get(file);
    if (!lines) files.set(file, (lines = new Map()));
    const line = frames.line[frame]!;
    let hot = lines.get(line);
    if (!hot) lines.set(line, (hot = { line, frame, own: 0, total: 0 }));
    return hot;
  };
  for (let stack = 1; stack < stacks.count; stack++) {
    if (self[stack] !== 0) {
      const hot = lineOf(stacks.site[stack]!);
      if (hot) hot.own += self[stack]!;
    }
    if (touched[stack] && !above(stacks, stack)) {
      const hot = lineOf(stacks.frame[stack]!);
      if (hot) hot.total += subtree[stack]!;
    }
  }
  const weight = (it: { own: number; total: number }) => Math.abs(it[share]);
  return [...files]
    .map(([file, lines]): HotFile => {
      const sorted = [...lines.values()].filter((it) => it.own !== 0 || it.total !== 0).sort((x, y) => weight(y) - weight(x) || x.line - y.line);
      return { file, lines: sorted, own: sorted.reduce((sum, it) => sum + it.own, 0), total: sorted.reduce((most, it) => (Math.abs(it.total) > Math.abs(most) ? it.total : most), 0) };
    })
    .filter((it) => weight(it) > 0)
    .sort((x, y) => weight(y) - weight(x) || x.file - y.file);
}

/** Whether the line of a stack's frame is on the stack above it, too: recursion, which must not be counted twice. */
function above(stacks: Stacks, stack: number): boolean {
  const { file, line } = stacks.frames;
  const frame = stacks.frame[stack]!;
  for (let at = stacks.parent[stack]!; at !== 0; at = stacks.parent[at]!) {
    const other = stacks.frame[at]!;
    if (line[other] === line[frame] && file[other] === file[frame]) return true;
  }
  return false;
}

/** Lines of a file as far as they are in the report; or why there are none. */
export interface Text {
  lines: Map<number, string>;
  missing: string | null;
  searched: string[];
}

/** Frames that are asked for at most. */
const MOST_FRAMES = 100;

/** The text around the hot lines of a file. */
export async function textOf(data: ProcessData, hot: HotLine[], signal: AbortSignal): Promise<Text> {
  const text: Text = { lines: new Map(), missing: null, searched: [] };
  for (const { line, frame } of hot.slice(0, MOST_FRAMES)) {
    if (text.lines.has(line)) continue;
    const view = await data.source(frame, signal);
    if (view.missing !== null) {
      text.missing ??= view.missing;
      text.searched = [...new Set([...text.searched, ...view.searched])];
    }
    view.lines.forEach((it, k) => text.lines.set(view.first + k, it));
  }
  return text;
}
