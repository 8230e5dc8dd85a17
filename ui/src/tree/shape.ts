// What all trees of backtraces have in common, whichever way they are turned: who is under whom, and sums over it.
//
// A shape does not depend on weights; it is built once, and sums of other weights are taken over it while T moves. A
// shape may grow as its nodes are asked for their children, but a node keeps its number.

/** Functions are numbered by `Frames.fn`; numbers below zero are nodes that are no function. */
export const ALL = -1;
/** What holds the weight of blocks without a backtrace. */
export const NO_STACK = -2;
/** What holds the weight of backtraces all of whose frames are folded away. */
export const ONLY_FOLDED = -3;
/** Thread k is `THREAD - k`. */
export const THREAD = -16;

export interface Shape {
  /** -1 of the root, which is node 0. */
  parent(node: number): number;
  /** `Frames.fn`, or one of the numbers above. */
  fn(node: number): number;
  /** A frame of the function; meaningless where `fn` is below zero. */
  frame(node: number): number;
  /** Whether frames of several lines are in this node. */
  lines(node: number): boolean;
  /** A backtrace that leads to this node: to its frame as the last one, or through it. 0: none. */
  stack(node: number): number;
  /** In no order. */
  children(node: number): ArrayLike<number>;
  /** Sums a value of each stack. */
  sums(self: Float64Array): Sums;
}

export interface Sums {
  /** Of the node and all below it. */
  total(node: number): number;
  /** Of the node alone. */
  self(node: number): number;
}

/** The functions from the root's child down to a node. */
export function path(shape: Shape, node: number): number[] {
  const fns: number[] = [];
  for (let at = node; at > 0; at = shape.parent(at)) fns.push(shape.fn(at));
  return fns.reverse();
}

/** The node that a path leads to, as far as there is one. */
export function follow(shape: Shape, fns: readonly number[]): number {
  let node = 0;
  for (const fn of fns) {
    const next = Array.from(shape.children(node)).find((child) => shape.fn(child) === fn);
    if (next === undefined) return node;
    node = next;
  }
  return node;
}

export function depth(shape: Shape, node: number): number {
  let steps = 0;
  for (let at = node; at > 0; at = shape.parent(at)) steps++;
  return steps;
}
