// Groups of backtraces, two recordings in one tree, and tables as text.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Frames, Stacks } from '../src/data/types.ts';
import { markdown, tsv } from '../src/pages/tables/columns.ts';
import { groups } from '../src/pages/tables/groups.ts';
import { folded, speedscope } from '../src/tree/export.ts';
import { foldedFrames, programModule } from '../src/tree/fold.ts';
import { carry, matchStacks } from '../src/tree/match.ts';
import { compile, fitting } from '../src/tree/search.ts';
import { NO_STACK } from '../src/tree/shape.ts';
import { TopDown } from '../src/tree/topdown.ts';
import { view } from '../src/tree/view.ts';

type Row = [name: string, file: string, line: number, module: string, flags?: number];

/** Frames of rows; functions are told apart by name, file and module. */
function frames(rows: Row[]): Frames {
  const strings = ['', ...new Set(rows.flatMap(([name, file, , module]) => [name, file, module]).filter((it) => it !== ''))];
  const fns = [...new Set(rows.map(([name, file, , module]) => `${name} ${file} ${module}`))];
  const pick = (value: (row: Row) => number) => Uint32Array.from(rows, value);
  const name = pick(([it]) => strings.indexOf(it));
  return {
    count: rows.length, strings, name, short: name, file: pick(([, it]) => strings.indexOf(it)), line: pick(([, , it]) => it),
    module: pick(([, , , it]) => strings.indexOf(it)), fn: pick(([a, b, , c]) => fns.indexOf(`${a} ${b} ${c}`)),
    flags: Uint8Array.from(rows, ([, , , , flags]) => flags ?? 2),
  };
}

/** `[parent, frame, site]` of stacks 1, 2, …; the site is the frame where not given. */
function stacks(table: Frames, rows: [number, number, number?][]): Stacks {
  return {
    count: rows.length + 1, frames: table, parent: Uint32Array.from([0, ...rows.map(([it]) => it)]),
    frame: Uint32Array.from([0, ...rows.map(([, it]) => it)]), site: Uint32Array.from([0, ...rows.map(([, frame, site]) => site ?? frame)]),
  };
}

const PROGRAM = frames([
  ['main', 'main.c', 3, '/bin/demo'], ['main', 'main.c', 8, '/bin/demo'], ['parse', 'parse.c', 20, '/bin/demo'],
  ['operator new', '', 0, '/lib/libstdc++.so', 6], ['inflate', '', 0, '/lib/libz.so'],
]);
/** main:3 > parse > new; main:8 > inflate. */
const TREE = stacks(PROGRAM, [[0, 0], [1, 2], [2, 3, 2], [0, 1], [4, 4]]);
const VALUES = Float64Array.of(5, 0, 0, 100, 7, 30);

function sums(by: 'site' | 'function' | 'file' | 'module' | 'stack'): Record<string, number> {
  const found = groups(by, TREE, TopDown.merge(TREE));
  const values = found.sum(VALUES);
  return Object.fromEntries(Array.from(found.keys, (key, row) => [found.name(key), values[row]!] as const).filter(([, sum]) => sum !== 0));
}

test('groups hold each byte once, those of functions once in each function', () => {
  assert.deepEqual(sums('site'), { '(no backtrace)': 5, parse: 100, main: 7, inflate: 30 });
  assert.deepEqual(sums('file'), { '(no backtrace)': 5, 'parse.c': 100, 'main.c': 7, '(file unknown)': 30 });
  assert.deepEqual(sums('module'), { '(no backtrace)': 5, demo: 107, 'libz.so': 30 });
  assert.deepEqual(sums('stack'), { '(no backtrace)': 5, 'parse ← main': 100, main: 7, 'inflate ← main': 30 });
  assert.deepEqual(sums('function'), { '(no backtrace)': 5, main: 137, parse: 100, 'operator new': 100, inflate: 30 });
  assert.ok(groups('site', TREE, TopDown.merge(TREE)).keys.includes(NO_STACK));
});

test('folding gives what is folded to its caller', () => {
  const program = programModule(TREE, { name: 'other', argv: [] });
  assert.equal(PROGRAM.strings[program], '/bin/demo');
  const own = (fold: 'wrappers' | 'libraries', hidden: number[] = []) => {
    const top = TopDown.merge(TREE, foldedFrames(TREE, fold, program, new Set(hidden)));
    return folded(view(top, { bytes: VALUES, blocks: VALUES, signed: false }, 'bytes'), TREE).trim().split('\n').sort();
  };
  assert.deepEqual(own('wrappers'), ['(no backtrace) 5', 'main 7', 'main;inflate 30', 'main;parse 100']);
  assert.deepEqual(own('libraries'), ['(no backtrace) 5', 'main 37', 'main;parse 100']);
  assert.deepEqual(own('libraries', [PROGRAM.fn[2]!]), ['(no backtrace) 5', 'main 137']);
});

test('speedscope gets each backtrace with its weight', () => {
  const whole = view(TopDown.merge(TREE), { bytes: VALUES, blocks: VALUES, signed: false }, 'bytes');
  const file = JSON.parse(speedscope(whole, TREE, 'Bytes'));
  const [profile] = file.profiles;
  const named = profile.samples.map((sample: number[], k: number) => `${sample.map((it) => file.shared.frames[it].name).join('>')} ${profile.weights[k]}`);
  assert.deepEqual(named.sort(), ['(no backtrace) 5', 'main 7', 'main>inflate 30', 'main>parse>operator new 100']);
  assert.equal(profile.endValue, 142);
});

test('recordings match by function, file and line, whatever their modules', () => {
  // The same program from another folder; parse has moved by a line, and there is something new.
  const table = frames([
    ['inflate', '', 0, '/usr/lib/libz.so'], ['main', 'main.c', 8, '/opt/demo'], ['parse', 'parse.c', 21, '/opt/demo'], ['main', 'main.c', 3, '/opt/demo'],
    ['fresh', 'fresh.c', 1, '/opt/demo'],
  ]);
  const other = stacks(table, [[0, 1], [1, 0], [0, 3], [3, 2], [1, 4]]);
  const matched = matchStacks(TREE, other);
  // main:8, main:8 > inflate and main:3 are the same.
  assert.deepEqual(Array.from(matched.of.subarray(0, 4)), [0, 4, 5, 1]);
  assert.ok(matched.of[4]! >= TREE.count && matched.of[5]! >= TREE.count);
  const carried = carry(matched, Float64Array.of(1, 2, 3, 4, 5, 6));
  assert.equal(carried.reduce((sum, it) => sum + it, 0), 21);
  assert.deepEqual(Array.from(carried.subarray(0, TREE.count)), [1, 4, 0, 0, 2, 3]);
  // In trees, which merge lines, parse is one function on both sides.
  const top = TopDown.merge(matched.stacks);
  const nodes = [...top.fns.keys()].slice(1).filter((node) => matched.stacks.frames.strings[matched.stacks.frames.name[top.frame(node)]!] === 'parse');
  assert.equal(new Set(nodes.filter((node) => top.fn(node) >= 0).map((node) => top.fn(node))).size, 1);
});

test('a recording matches itself wholly', () => {
  const matched = matchStacks(TREE, TREE);
  assert.deepEqual(Array.from(matched.of), Array.from({ length: TREE.count }, (_, k) => k));
  assert.equal(matched.stacks.count, TREE.count);
});

test('a search fits whole names, and says what is no expression', () => {
  assert.equal(compile('('), null);
  const fits = fitting(TREE, compile('^OPERATOR|flate')!);
  assert.deepEqual([...PROGRAM.fn].map((fn) => fits[fn]), [0, 0, 0, 1, 1]);
});

test('tables as text keep their cells', () => {
  assert.equal(tsv(['a', 'b'], [['x\ty\nz', 1]]), 'a\tb\nx y z\t1\n');
  assert.equal(markdown(['a', 'b'], [false, true], [['x|<b>', 1]]), '| a | b |\n| --- | ---: |\n| x\\|\\<b\\> | 1 |\n');
});
