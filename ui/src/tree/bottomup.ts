// Backtraces turned over: under each function its callers. A whole one begins with the functions whose own weight it is;
// that of one function begins with it and holds all that is under it.
//
// Such a tree can have as many nodes as all backtraces have frames, so it grows where it is looked at.

import { ALL, type Shape, type Sums } from './shape.ts';
import type { TopDown } from './topdown.ts';

export class BottomUp implements Shape {
  private readonly parents = [-1];
  private readonly fns: number[];
  private readonly frames: number[];
  private readonly mixed = [false];
  private readonly kids: (number[] | undefined)[] = [undefined];
  /** Of each node: the nodes of the base whose weight it holds, and for each the one to go on with (0: no more). */
  private readonly sources: Int32Array[];
  private readonly nexts: Int32Array[];
  private readonly base: TopDown;
  /** Whether a source gives all that is under it, or its own weight alone. */
  private readonly whole: boolean;

  private constructor(base: TopDown, fn: number, frame: number, sources: Int32Array, nexts: Int32Array, whole: boolean) {
    this.base = base;
    this.fns = [fn];
    this.frames = [frame];
    this.sources = [sources];
    this.nexts = [nexts];
    this.whole = whole;
  }

  static of(base: TopDown): BottomUp {
    const ends = new Uint8Array(base.count);
    for (const node of base.of) if (node > 0) ends[node] = 1;
    const sources = Int32Array.from(Array.from(ends.keys()).filter((node) => ends[node]));
    return new BottomUp(base, ALL, 0, sources, sources, false);
  }

  /** Who calls a function: from its outermost frame of each backtrace. Its root is the function. */
  static callers(base: TopDown, fn: number): BottomUp {
    const sources = Int32Array.from(base.outermost((it) => it === fn));
    const frame = sources.length > 0 ? base.frame(sources[0]!) : 0;
    return new BottomUp(base, fn, frame, sources, sources.map((node) => base.parents[node]!), true);
  }

  parent(node: number): number {
    return this.parents[node]!;
  }
  fn(node: number): number {
    return this.fns[node]!;
  }
  frame(node: number): number {
    return this.frames[node]!;
  }
  lines(node: number): boolean {
    return this.mixed[node]!;
  }
  stack(node: number): number {
    const source = this.sources[node]![0];
    return source === undefined ? 0 : this.base.stack(source);
  }

  children(node: number): number[] {
    return (this.kids[node] ??= this.grow(node));
  }

  sums(values: Float64Array): Sums {
    const { totals, selfs } = this.base.sums(values);
    const weights = this.whole ? totals : selfs;
    const known = new Map<number, number>();
    const total = (node: number) => {
      let sum = known.get(node);
      if (sum !== undefined) return sum;
      sum = 0;
      for (const source of this.sources[node]!) sum += weights[source]!;
      known.set(node, sum);
      return sum;
    };
    const self = (node: number) => {
      let sum = 0;
      this.nexts[node]!.forEach((next, k) => next === 0 && (sum += weights[this.sources[node]![k]!]!));
      return sum;
    };
    return { total, self };
  }

  /** Sorts what a node holds by the function that comes next. */
  private grow(node: number): number[] {
    const { base } = this;
    const sources = this.sources[node]!;
    const nexts = this.nexts[node]!;
    const sizes = new Map<number, number>();
    for (const next of nexts) if (next > 0) sizes.set(base.fns[next]!, (sizes.get(base.fns[next]!) ?? 0) + 1);
    const child = new Map<number, number>();
    const filled = new Map<number, number>();
    for (const [fn, size] of sizes) {
      child.set(fn, this.parents.length);
      filled.set(fn, 0);
      this.parents.push(node);
      this.fns.push(fn);
      this.frames.push(-1);
      this.mixed.push(false);
      this.kids.push(undefined);
      this.sources.push(new Int32Array(size));
      this.nexts.push(new Int32Array(size));
    }
    for (let k = 0; k < nexts.length; k++) {
      const next = nexts[k]!;
      if (next === 0) continue;
      const fn = base.fns[next]!;
      const to = child.get(fn)!;
      const at = filled.get(fn)!;
      filled.set(fn, at + 1);
      this.sources[to]![at] = sources[k]!;
      this.nexts[to]![at] = base.parents[next]!;
      this.see(to, base.frame(next), base.lines(next));
    }
    return [...child.values()];
  }

  private see(node: number, frame: number, lines: boolean): void {
    if (this.frames[node] === -1) this.frames[node] = frame;
    else if (this.frames[node] !== frame) this.mixed[node] = true;
    if (lines) this.mixed[node] = true;
  }
}
