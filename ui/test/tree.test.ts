// The trees of backtraces against a slow oracle that looks at every backtrace frame by frame.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Frames, Stacks } from '../src/data/types.ts';
import { boxAt, boxes, Order } from '../src/pages/flame/boxes.ts';
import { BottomUp } from '../src/tree/bottomup.ts';
import { Forest } from '../src/tree/forest.ts';
import { follow, NO_STACK, ONLY_FOLDED, path, THREAD, type Shape, type Sums } from '../src/tree/shape.ts';
import { TopDown } from '../src/tree/topdown.ts';
import { byFunction, matching, view } from '../src/tree/view.ts';

/** Frame f is function f % fns. */
function frames(count: number, fns: number): Frames {
  const zeros = () => new Uint32Array(count);
  const strings = ['', ...Array.from({ length: fns }, (_, k) => `f${k}`)];
  const fn = zeros().map((_, k) => k % fns);
  return {
    count, fn, name: fn.map((k) => k + 1), short: fn.map((k) => k + 1), file: zeros(), line: zeros(), module: zeros(),
    flags: new Uint8Array(count), strings,
  };
}

/** `[parent, frame]` of stacks 1, 2, … */
function stacksOf(rows: [number, number][], table: Frames): Stacks {
  const parent = Uint32Array.from([0, ...rows.map(([p]) => p)]);
  const frame = Uint32Array.from([0, ...rows.map(([, f]) => f)]);
  return { count: parent.length, parent, frame, site: frame, frames: table };
}

function random(seed: number): () => number {
  let state = seed;
  return () => ((state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff) / 0x7fffffff);
}

function randomStacks(seed: number) {
  const next = random(seed);
  const table = frames(12, 5);
  const rows: [number, number][] = [];
  for (let k = 1; k < 60; k++) rows.push([Math.floor(next() * k), Math.floor(next() * 12)]);
  const stacks = stacksOf(rows, table);
  const values = new Float64Array(stacks.count).map(() => (next() < 0.4 ? 0 : Math.floor(next() * 100)));
  const folded = new Uint8Array(12).map(() => (next() < 0.2 ? 1 : 0));
  return { stacks, values, folded };
}

/** The functions of a backtrace, outermost first. */
function fnsOf(stacks: Stacks, stack: number, folded: Uint8Array): number[] {
  const fns = [];
  for (let at = stack; at > 0; at = stacks.parent[at]!) if (!folded[stacks.frame[at]!]) fns.push(stacks.frames.fn[stacks.frame[at]!]!);
  if (fns.length > 0) return fns.reverse();
  return [stack === 0 ? NO_STACK : ONLY_FOLDED];
}

/** Path → total of all that begins with it. */
function prefixes(paths: number[][], values: ArrayLike<number>): Map<string, number> {
  const sums = new Map<string, number>();
  paths.forEach((fns, k) => {
    for (let length = 0; length <= fns.length; length++) {
      const key = fns.slice(0, length).join();
      sums.set(key, (sums.get(key) ?? 0) + values[k]!);
    }
  });
  return sums;
}

function totals(shape: Shape, sums: Sums): Map<string, number> {
  const all = new Map<string, number>();
  const todo = [0];
  while (todo.length > 0) {
    const node = todo.pop()!;
    all.set(path(shape, node).join(), sums.total(node));
    let below = sums.self(node);
    for (const child of Array.from(shape.children(node))) {
      assert.equal(shape.parent(child), node);
      below += sums.total(child);
      todo.push(child);
    }
    assert.equal(below, sums.total(node), 'own weight and that of the children are all of it');
  }
  return all;
}

function same(found: Map<string, number>, wanted: Map<string, number>): void {
  const filled = (map: Map<string, number>) => [...map].filter(([, sum]) => sum !== 0).sort(([x], [y]) => (x < y ? -1 : 1));
  assert.deepEqual(filled(found), filled(wanted));
}

test('trees agree with a look at every backtrace', () => {
  for (let seed = 1; seed <= 200; seed++) {
    const { stacks, values, folded } = randomStacks(seed);
    const paths = Array.from(values, (_, stack) => fnsOf(stacks, stack, folded));
    const top = TopDown.merge(stacks, folded);
    same(totals(top, top.sums(values)), prefixes(paths, values));
    const bottom = BottomUp.of(top);
    same(totals(bottom, bottom.sums(values)), prefixes(paths.map((fns) => fns.toReversed()), values));

    for (let fn = 0; fn < 5; fn++) {
      const through = paths.flatMap((fns, k) => (fns.includes(fn) ? [{ fns, at: fns.indexOf(fn), value: values[k]! }] : []));
      const worth = through.map((it) => it.value);
      const callees = top.callees(fn);
      same(totals(callees, callees.sums(values)), prefixes(through.map(({ fns, at }) => fns.slice(at + 1)), worth));
      const callers = BottomUp.callers(top, fn);
      same(totals(callers, callers.sums(values)), prefixes(through.map(({ fns, at }) => fns.slice(0, at).reverse()), worth));
      const inclusive = worth.reduce((sum, it) => sum + it, 0);
      assert.equal(byFunction(top, values).get(fn)?.total ?? 0, inclusive);
      const found = matching(top, { bytes: values, blocks: values, signed: false }, (it) => it === fn);
      assert.equal(found.bytes, inclusive);
    }
  }
});

test('a function that calls itself counts once', () => {
  // main > f > f > g, with 10 in the inner f and 5 in g.
  const stacks = stacksOf([[0, 0], [1, 1], [2, 1], [3, 2]], frames(3, 3));
  const values = Float64Array.of(0, 0, 0, 10, 5);
  const top = TopDown.merge(stacks);
  assert.deepEqual(byFunction(top, values).get(1), { total: 15, self: 10 });
  assert.deepEqual(matching(top, { bytes: values, blocks: values, signed: false }, (fn) => fn === 1), { bytes: 15, blocks: 15, nodes: 2, fns: 1 });
});

test('frames of several lines are one function, and say so', () => {
  const stacks = stacksOf([[0, 0], [1, 1], [1, 3]], frames(4, 2));
  const top = TopDown.merge(stacks);
  const main = top.children(0).find((node) => top.fn(node) === 0)!;
  assert.equal(top.children(main).length, 1);
  assert.equal(top.lines(top.children(main)[0]!), true);
  assert.equal(top.lines(main), false);
});

test('what has no backtrace, and what is all folded, is shown as that', () => {
  const stacks = stacksOf([[0, 0], [1, 1]], frames(2, 2));
  const top = TopDown.merge(stacks, Uint8Array.of(1, 1));
  const sums = top.sums(Float64Array.of(7, 1, 2));
  const shown = Array.from(top.children(0), (node) => [top.fn(node), sums.total(node)]);
  assert.deepEqual(shown, [[NO_STACK, 7], [ONLY_FOLDED, 3]]);
});

test('threads have trees of their own under one root', () => {
  const stacks = stacksOf([[0, 0], [1, 1]], frames(2, 2));
  const forest = new Forest(TopDown.merge(stacks), 2);
  const sums = forest.sums(Float64Array.of(0, 1, 2, 0, 0, 40));
  assert.equal(sums.total(0), 43);
  const node = follow(forest, [THREAD - 1, 0, 1]);
  assert.deepEqual(path(forest, node), [THREAD - 1, 0, 1]);
  assert.equal(sums.total(node), 40);
  assert.equal(sums.self(follow(forest, [THREAD, 0])), 1);
});

test('boxes fill their parent, and small ones stand together', () => {
  const rows: [number, number][] = [[0, 0], ...Array.from({ length: 100 }, (_, k) => [1, k + 1] as [number, number])];
  const stacks = stacksOf(rows, frames(101, 101));
  const values = new Float64Array(stacks.count).map((_, stack) => (stack < 2 ? 0 : stack === 2 ? 9010 : 10));
  const whole = view(TopDown.merge(stacks), { bytes: values, blocks: values, signed: false }, 'bytes');
  const drawn = boxes(whole, 0, 400, new Order(null));
  assert.deepEqual(drawn.map((row) => row.length), [1, 1, 2]);
  const [large, small] = drawn[2]!;
  assert.equal(small!.small!.length, 99);
  assert.ok(Math.abs(large!.width + small!.width - 400) < 1e-6);
  assert.equal(boxAt(drawn, 2, 399.9), small);
  assert.equal(boxAt(drawn, 3, 1), undefined);
});

test('an order stays while sizes change', () => {
  const stacks = stacksOf([[0, 0], [0, 1]], frames(2, 2));
  const top = TopDown.merge(stacks);
  const at = (...values: number[]) => view(top, { bytes: Float64Array.from(values), blocks: Float64Array.from(values), signed: false }, 'bytes');
  const order = new Order(null);
  const fns = (drawn: ReturnType<typeof at>) => boxes(drawn, 0, 100, order)[1]!.map((box) => top.fn(box.node));
  assert.deepEqual(fns(at(0, 2, 1)), [0, 1]);
  assert.deepEqual(fns(at(0, 1, 2)), [0, 1]);
});

test('widths of a difference are what changed, either way', () => {
  const stacks = stacksOf([[0, 0], [1, 1], [1, 2]], frames(3, 3));
  const changes = Float64Array.of(0, 0, 30, -10);
  const diff = view(TopDown.merge(stacks), { bytes: changes, blocks: changes, signed: true }, 'bytes');
  assert.equal(diff.width.total(0), 40);
  assert.equal(diff.bytes.total(0), 20);
});
