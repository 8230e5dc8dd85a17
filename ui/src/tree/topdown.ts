// Backtraces merged from the outside in: frames of one function under one parent are one node.
//
// Folded frames have no node: their weight is their caller's. Recursion stays as it is: a function under itself is a
// node under a node, and sums count each byte once, in the node where its backtrace ends.

import type { Stacks } from '../data/types.ts';
import { ALL, NO_STACK, ONLY_FOLDED, type Shape, type Sums } from './shape.ts';

const [ROOT, NONE, FOLDED] = [0, 1, 2];

export class TopDown implements Shape {
  count = 0;
  /** Of each node; a parent has a smaller number than its children. */
  readonly parents: Int32Array;
  readonly fns: Int32Array;
  /** Stack → the node that has its own weight; -1: outside this tree. */
  readonly of: Int32Array;
  private readonly frames: Uint32Array;
  private readonly origins: Uint32Array;
  private readonly mixed: Uint8Array;
  private readonly slots: Int32Array;
  private kids: Grouped | undefined;
  private ends: Grouped | undefined;
  private first: Uint8Array | undefined;

  /** Empty, with room for `most` nodes. */
  private constructor(stacks: number, most: number) {
    this.parents = new Int32Array(most);
    this.fns = new Int32Array(most);
    this.frames = new Uint32Array(most);
    this.origins = new Uint32Array(most);
    this.mixed = new Uint8Array(most);
    this.of = new Int32Array(stacks).fill(-1);
    this.slots = new Int32Array(2 ** Math.ceil(Math.log2(2 * most + 2))).fill(-1);
  }

  /** `folded`: 1 for each frame that shall have no node. */
  static merge(stacks: Stacks, folded?: Uint8Array): TopDown {
    const tree = new TopDown(stacks.count, stacks.count + 3);
    tree.add(-1, ALL, 0, 0);
    tree.add(ROOT, NO_STACK, 0, 0);
    tree.add(ROOT, ONLY_FOLDED, 0, 0);
    const { parent, frame, frames } = stacks;
    tree.of[0] = ROOT;
    for (let stack = 1; stack < stacks.count; stack++) {
      const above = tree.of[parent[stack]!]!;
      const own = frame[stack]!;
      tree.of[stack] = folded?.[own] ? above : tree.child(above, frames.fn[own]!, own, stack);
    }
    // The root has no weight of its own: what would be there is shown as what it is.
    for (let stack = 1; stack < stacks.count; stack++) if (tree.of[stack] === ROOT) tree.of[stack] = FOLDED;
    tree.of[0] = NONE;
    return tree;
  }

  /** What a function calls: what is under its outermost nodes, merged. Its root is the function. */
  callees(fn: number): TopDown {
    const tree = new TopDown(this.of.length, this.count + 1);
    const to = new Int32Array(this.count).fill(-1);
    for (let node = 1; node < this.count; node++) {
      const above = to[this.parents[node]!]!;
      if (above >= 0) to[node] = tree.child(above, this.fns[node]!, this.frames[node]!, this.origins[node]!);
      else if (this.fns[node] === fn) {
        if (tree.count === 0) tree.add(-1, fn, this.frames[node]!, this.origins[node]!);
        to[node] = ROOT;
      }
    }
    if (tree.count === 0) tree.add(-1, fn, 0, 0);
    for (let stack = 0; stack < this.of.length; stack++) if (this.of[stack]! >= 0) tree.of[stack] = to[this.of[stack]!]!;
    return tree;
  }

  /** The nodes of functions that fit, without those under others that fit: their totals count each byte once. */
  outermost(fits: (fn: number) => boolean): number[] {
    const inside = new Uint8Array(this.count);
    const nodes = [];
    for (let node = 1; node < this.count; node++) {
      if (inside[this.parents[node]!]) inside[node] = 1;
      else if (fits(this.fns[node]!)) {
        inside[node] = 1;
        nodes.push(node);
      }
    }
    return nodes;
  }

  /** 1 for each node that has no other node of its function above it. */
  firstOfFunction(): Uint8Array {
    if (this.first) return this.first;
    const first = (this.first = new Uint8Array(this.count));
    // How often each function is on the way to the node that is looked at.
    const above = new Map<number, number>();
    const todo = Array.from(this.children(0));
    while (todo.length > 0) {
      const node = todo.pop()!;
      const fn = this.fns[Math.abs(node)]!;
      const times = above.get(fn) ?? 0;
      if (node < 0) {
        above.set(fn, times - 1);
        continue;
      }
      if (times === 0) first[node] = 1;
      above.set(fn, times + 1);
      todo.push(-node);
      for (const child of this.children(node)) todo.push(child);
    }
    return first;
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
    return this.mixed[node] === 1;
  }
  stack(node: number): number {
    return this.origins[node]!;
  }

  children(node: number): Uint32Array {
    this.kids ??= grouped(this.parents, 1, this.count, this.count);
    return within(this.kids, node);
  }

  /** Stacks whose own weight is this node's. */
  ending(node: number): Uint32Array {
    this.ends ??= grouped(this.of, 0, this.of.length, this.count);
    return within(this.ends, node);
  }

  sums(values: Float64Array): TopDownSums {
    return new TopDownSums(this, values);
  }

  private add(parent: number, fn: number, frame: number, stack: number): number {
    const node = this.count++;
    this.parents[node] = parent;
    this.fns[node] = fn;
    this.frames[node] = frame;
    this.origins[node] = stack;
    return node;
  }

  /** The child of a function, made where there is none yet: a table of hashes without chains. */
  private child(parent: number, fn: number, frame: number, stack: number): number {
    const mask = this.slots.length - 1;
    let slot = (Math.imul(parent, 0x9e3779b1) ^ Math.imul(fn, 0x85ebca6b)) >>> 0;
    slot = (slot ^ (slot >>> 15)) & mask;
    for (; ; slot = (slot + 1) & mask) {
      const node = this.slots[slot]!;
      if (node < 0) return (this.slots[slot] = this.add(parent, fn, frame, stack));
      if (this.parents[node] !== parent || this.fns[node] !== fn) continue;
      if (this.frames[node] !== frame) this.mixed[node] = 1;
      return node;
    }
  }
}

/** Sums over a tree. Nothing is summed before it is asked for: while T moves, most weights are shown of one node only. */
class TopDownSums implements Sums {
  private readonly tree: TopDown;
  private readonly values: Float64Array;
  private known: { totals?: Float64Array; selfs?: Float64Array; all?: number } = {};

  constructor(tree: TopDown, values: Float64Array) {
    this.tree = tree;
    this.values = values;
  }

  get totals(): Float64Array {
    return (this.known.totals ??= this.sumUp());
  }

  get selfs(): Float64Array {
    return (this.known.selfs ??= this.own());
  }

  total(node: number): number {
    if (node !== ROOT || this.known.totals) return this.totals[node]!;
    return (this.known.all ??= this.sum());
  }

  self(node: number): number {
    return this.tree.ending(node).reduce((sum, stack) => sum + this.values[stack]!, 0);
  }

  private sum(): number {
    let sum = 0;
    const { of } = this.tree;
    for (let stack = 0; stack < of.length; stack++) if (of[stack]! >= 0) sum += this.values[stack]!;
    return sum;
  }

  private own(): Float64Array {
    const { tree, values } = this;
    const own = new Float64Array(tree.count);
    for (let stack = 0; stack < tree.of.length; stack++) {
      const value = values[stack]!;
      // At one moment most stacks have nothing: a look at each is cheap, a place in the tree is far away.
      if (value === 0) continue;
      const node = tree.of[stack]!;
      if (node >= 0) own[node]! += value;
    }
    return own;
  }

  private sumUp(): Float64Array {
    const { parents, count } = this.tree;
    const totals = this.own();
    // Children have larger numbers than their parents.
    for (let node = count - 1; node > 0; node--) if (totals[node] !== 0) totals[parents[node]!]! += totals[node]!;
    return totals;
  }
}

/** Numbers by their key: those of key `k` stand from `starts[k]` to `starts[k + 1]`. */
interface Grouped {
  starts: Uint32Array;
  items: Uint32Array;
}

function within({ starts, items }: Grouped, key: number): Uint32Array {
  return items.subarray(starts[key]!, starts[key + 1]!);
}

/** The numbers of `from` up to `to` by their keys, in order. Keys below zero are left out. */
function grouped(keys: Int32Array, from: number, to: number, most: number): Grouped {
  const starts = new Uint32Array(most + 2);
  for (let it = from; it < to; it++) if (keys[it]! >= 0) starts[keys[it]! + 2]!++;
  for (let key = 2; key < starts.length; key++) starts[key]! += starts[key - 1]!;
  const items = new Uint32Array(starts.at(-1)!);
  for (let it = from; it < to; it++) if (keys[it]! >= 0) items[starts[keys[it]! + 1]!++] = it;
  return { starts, items };
}
