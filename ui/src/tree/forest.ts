// One tree for each thread, under one root: all of one shape, each with weights of its own.

import { ALL, THREAD, type Shape, type Sums } from './shape.ts';

export class Forest implements Shape {
  private readonly shape: Shape;
  private readonly trees: number;

  constructor(shape: Shape, trees: number) {
    this.shape = shape;
    this.trees = trees;
  }

  private take(node: number): { inner: number; tree: number } {
    return { inner: Math.floor((node - 1) / this.trees), tree: (node - 1) % this.trees };
  }
  private put(inner: number, tree: number): number {
    return 1 + inner * this.trees + tree;
  }

  parent(node: number): number {
    if (node === 0) return -1;
    const { inner, tree } = this.take(node);
    return inner === 0 ? 0 : this.put(this.shape.parent(inner), tree);
  }
  fn(node: number): number {
    if (node === 0) return ALL;
    const { inner, tree } = this.take(node);
    return inner === 0 ? THREAD - tree : this.shape.fn(inner);
  }
  frame(node: number): number {
    return node === 0 ? 0 : this.shape.frame(this.take(node).inner);
  }
  lines(node: number): boolean {
    return node !== 0 && this.shape.lines(this.take(node).inner);
  }
  stack(node: number): number {
    return node === 0 ? 0 : this.shape.stack(this.take(node).inner);
  }
  children(node: number): ArrayLike<number> {
    if (node === 0) return Array.from({ length: this.trees }, (_, tree) => this.put(0, tree));
    const { inner, tree } = this.take(node);
    return Array.from(this.shape.children(inner), (child) => this.put(child, tree));
  }

  /** `values`: those of the first tree's stacks, then those of the second's, … */
  sums(values: Float64Array): Sums {
    const each = values.length / this.trees;
    const sums = Array.from({ length: this.trees }, (_, k) => this.shape.sums(values.subarray(k * each, (k + 1) * each)));
    const all = sums.reduce((sum, it) => sum + it.total(0), 0);
    return {
      total: (node) => (node === 0 ? all : sums[this.take(node).tree]!.total(this.take(node).inner)),
      self: (node) => (node === 0 ? 0 : sums[this.take(node).tree]!.self(this.take(node).inner)),
    };
  }
}
