// Filters: what is read, what is told of wrong words, what blocks pass, what is offered.

import assert from 'node:assert/strict';
import test from 'node:test';
import { complete } from '../src/data/complete.ts';
import { parseBytes, parseFilter, parseTime, Pattern } from '../src/data/filter.ts';
import { syntheticSource } from '../src/data/synthetic/synthetic.ts';
import { NEVER, type Measure } from '../src/data/types.ts';
import { extentOf, forProcesses, NAMES, STACKS, type Block, type Made } from './process.ts';

test('sizes and times', () => {
  const sizes = { '64': 64, '64Ki': 65536, '64K': 65536, '64KiB': 65536, '1.5M': 1572864, '2g': 2 ** 31, '0': 0, '1T': 2 ** 40, x: null, '': null, '1Q': null, '-1': null };
  for (const [text, value] of Object.entries(sizes)) assert.equal(parseBytes(text), value, text);
  const times = { '0.5s': 5e8, '0.5': 5e8, '20ms': 2e7, '17us': 17000, '17µs': 17000, '9ns': 9, '0.521013s': 521013000, '1h': null, ms: null, constructor: null };
  for (const [text, value] of Object.entries(times)) assert.equal(parseTime(text), value, text);
});

test('a pattern is sought anywhere, with stars, and with case only where it has capitals', () => {
  const cases: [string, string, boolean][] = [
    ['parse', 'demo::Parse(int)', true], ['Parse', 'demo::parse', false], ['src/*.cpp', '/home/src/x/a.cpp', true], ['src/*.cpp', 'a.cpp', false],
    ['a*b*c', 'xaybzc', true], ['a*b*c', 'abab', false], ['*', '', true], ['(.+)', 'f(.+)', true],
  ];
  for (const [pattern, text, matches] of cases) assert.equal(new Pattern(pattern).matches(text), matches, `${pattern} in ${text}`);
  // A pattern of a link cannot keep the page busy.
  assert.equal(new Pattern(`${'a*'.repeat(50)}b`).matches('a'.repeat(100_000)), false);
});

test('all words of the specification are read', () => {
  const text = 'fn:parse file:src/*.cpp mod:libfoo size:>=64Ki life:<1ms age:>1s thread:2 born:0.2s..0.4s alive:0.5s leaked realloc>3 addr:0x5555..';
  const { tokens, wrong } = parseFilter(text);
  assert.deepEqual(wrong, []);
  assert.deepEqual(tokens.map(({ from, to }) => text.slice(from, to)), text.split(' '));
  const names = parseFilter('std::vector operator< "two words" fn:"operator new" -mod:libc #12');
  assert.deepEqual(names.wrong, []);
  assert.deepEqual(names.tokens.map(({ test }) => (test.kind === 'text' ? `${test.field} ${test.pattern.text}` : test.kind)),
    ['any std::vector', 'any operator<', 'any two words', 'fn operator new', 'mod libc', 'id']);
  assert.deepEqual(names.tokens.map(({ not }) => not), [false, false, false, false, true, false]);
});

test('a wrong word is told of with its place, and the others count', () => {
  const text = '  fn:main size:big  lif:<1ms born:0.4..0.2 ""';
  const { tokens, wrong } = parseFilter(text);
  assert.equal(tokens.length, 1);
  assert.deepEqual(wrong.map(({ from, to }) => text.slice(from, to)), ['size:big', 'lif:<1ms', 'born:0.4..0.2', '""']);
  assert.match(wrong[0]!.message, /size: cannot be “big”; write it as in size:>=64Ki, size:16..64/);
  assert.match(wrong[1]!.message, /there is no lif: — known are fn, file/);
});

test('any text is read without an exception', () =>
  forProcesses(300, ({ random }) => {
    const pieces = ['fn', ':', '"', ' ', '-', '<', '>=', '..', '0x', 'size', 'é', '*', '1', 'Ki', '\u202e', '#', 'leaked', '\0', '😀'];
    const text = Array.from({ length: random.below(12) }, () => random.pick(pieces)).join('');
    const { tokens, wrong } = parseFilter(text);
    for (const { from, to } of [...tokens, ...wrong]) assert.ok(0 <= from && from < to && to <= text.length);
  }));

/** How many reallocs led to each block, told event by event: a realloc's new block goes on from what its thread released last. */
function reallocs({ blocks, events }: Made): Map<Block, number> {
  const depth = new Map<Block, number>(blocks.map((it) => [it, 0]));
  const released = new Map<number, number>();
  const release = (it: Block) => (it.flags & 8) !== 0 && released.set(it.thread, depth.get(it)! + 1);
  const begin = (it: Block) => (it.flags & 2) !== 0 && depth.set(it, released.get(it.thread) ?? 1);
  blocks.filter((it) => it.inherited).forEach(begin);
  for (let rank = 0; rank < events; rank++) {
    blocks.filter((it) => it.died === rank).forEach(release);
    blocks.filter((it) => !it.inherited && it.born === rank).forEach(begin);
  }
  return depth;
}

/** Each word with what it means, said without the code that is tested. */
function meaning(made: Made, at: number): [string, (it: Block) => boolean][] {
  const time = (p: number) => (p === 0 ? 500 : made.clock[p - 1]!);
  const begun = (it: Block) => time(it.inherited ? 0 : it.born + 1);
  const path = (stack: number): number[] => (stack === 0 ? [] : [stack, ...path(STACKS.parent[stack]!)]);
  const frames = (it: Block) => path(it.stack).map((stack) => STACKS.frame[stack]!);
  const depth = reallocs(made);
  return [
    ['realloc:>1', (it) => depth.get(it)! > 1],
    ['realloc<2', (it) => depth.get(it)! < 2],
    ['fn:ns::g', (it) => frames(it).some((frame) => frame === 2 || frame === 5)],
    ['file:a.cpp', (it) => frames(it).some((frame) => frame === 1 || frame === 2)],
    ['mod:LIBz', () => false],
    ['mod:libz', (it) => frames(it).some((frame) => frame === 3 || frame === 4)],
    ['site:h', (it) => STACKS.site[it.stack] === 4],
    ['b.cpp', (it) => frames(it).some((frame) => frame === 4 || frame === 5)],
    ['size:>24', (it) => it.size > 24],
    ['size:1..25', (it) => it.size >= 1 && it.size <= 25],
    ['-size:<=1K', (it) => it.size > 1024],
    ['usable:0', (it) => it.usable === 0],
    ['life:<9us', (it) => it.died !== NEVER && time(it.died + 1) - begun(it) < 9000],
    ['age:>=9us', (it) => (it.inherited || it.born < at) && time(at) - begun(it) >= 9000],
    ['born:..30us', (it) => !it.inherited && begun(it) <= 30000],
    ['freed:>30us', (it) => it.died !== NEVER && time(it.died + 1) > 30000],
    ['alive:20us', (it) => { const p = made.clock.filter((t) => t <= 20000).length; return (it.inherited || it.born < p) && p <= it.died; }],
    ['thread:71', (it) => it.thread === 1],
    ['thread:2', (it) => it.thread === 1],
    ['thread:main', (it) => it.thread === 0],
    ['addr:0x10000..0x10800', (it) => it.addr >= 0x10000 && it.addr <= 0x10800],
    ['addr:0x10810', (it) => it.addr === 0x10810 || (it.addr <= 0x10810 && 0x10810 < it.addr + extentOf(it))],
    ['id:2', (it) => it.id === 2],
    ['leaked', (it) => it.died === NEVER],
    ['temp', (it) => (it.flags & 1) !== 0],
    ['-inherited', (it) => !it.inherited],
    ['realloc', (it) => (it.flags & 2) !== 0],
    ['leak:definite,possible', (it) => it.leak === 1 || it.leak === 3],
    ['api:malloc', () => true],
    ['api:calloc', () => false],
  ];
}

test('blocks pass that all words hold of', () =>
  forProcesses(150, async (made) => {
    const { process, blocks, events, random } = made;
    const at = random.below(events + 1);
    const measure: Measure = { metric: 'live', t: at, a: 0, b: events, q: '' };
    const all = meaning(made, at);
    assert.ok(NAMES.length > 0);
    for (const [word, holds] of all) {
      const [other, otherHolds] = random.pick(all);
      const wanted = blocks.filter((it) => (it.inherited || it.born < at) && at <= it.died && holds(it) && otherHolds(it));
      const { rows } = await process.blocks({ ...measure, q: `${word} ${other}`, sort: 'id', descending: false, offset: 0, limit: 100 });
      assert.deepEqual([...rows.id], wanted.map((it) => it.id), `${word} ${other} at ${at}`);
    }
  }));

test('a filter that is wrong is refused, not ignored', async () => {
  await forProcesses(1, async ({ process }) => {
    await assert.rejects(process.total({ metric: 'live', t: 0, a: 0, b: 0, q: 'size:big' }), /size: cannot be/);
  });
});

test('what may be written is offered, and what is offered can be read', async () => {
  const source = syntheticSource({ blocks: 500, contents: false });
  const { stacks, info } = await source.open(0);
  const offers = (text: string) => complete(text, text.length, stacks, info, source.overview);
  assert.deepEqual(offers('fn:x -si').offers.map(({ text }) => text), ['site:', 'size:']);
  assert.deepEqual([offers('fn:x -si').from, offers('fn:x -si').to], [6, 8]);
  for (const begun of ['fn:', 'fn:par', 'site:', 'file:ses', 'mod:', 'thread:', 'leak:', 'api:', '']) {
    const { offers: found } = offers(begun);
    assert.ok(found.length > 0, begun);
    for (const { text } of found.filter((it) => !it.text.endsWith(':'))) assert.deepEqual(parseFilter(text).wrong, [], text);
  }
  const [best] = offers('fn:decode').offers;
  const { b, a } = { a: 0, b: info.event_count };
  const process = await source.open(0);
  assert.ok((await process.total({ metric: 'alloc', t: 0, a, b, q: best!.text })).blocks > 0, best!.text);
});
