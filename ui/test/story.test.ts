// Stories: read as Rust tells them, and whatever bytes come, an error with a sentence.

import assert from 'node:assert/strict';
import test from 'node:test';
import { unfold } from '../src/data/coded/unfold.ts';
import type { Columns } from '../src/data/columns.ts';
import { finish } from '../src/data/inpage/slices.ts';
import { Random } from '../src/data/synthetic/random.ts';

/** As crates/heaptape-report/src/page/coded/tests.rs has them. */
const STORY =
  '003ffffffd68b3e000027f1540fffffffbf7fd54ce1846cfe202b79800130aa13d58c4684fef107568971f7d4fbfcc42983859ba104f83c0f68de13c' +
  '7e41dfef8934f4a019b37264f44a1f0278c596f4d6ebd8956d4dd896cefc161bfebaae1e99040ac30c5ebca7d12821472aefc652a54e03a66e6086fb' +
  'dea6fc23de8a243faa365547b226871e40000000';
const EXTENT = { blocks: 15, inherited: 2, freed: 6, stacks: 10, threads: 301 };
const BLOCKS: Record<string, number[]> = {
  born: [4294967295, 4294967295, 0, 1, 3, 4, 5, 7, 8, 9, 1012, 1014, 1015, 1016, 1018],
  life: [1014, 3, 6, 1011, 7, 0, 0, 1010, 0, 0, 0, 0, 0, 0, 0],
  stack: [0, 0, 1, 2, 3, 1, 2, 3, 1, 2, 2, 3, 1, 2, 3],
  freed_stack: [0, 9, 9, 0, 9, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0],
  usable: [0, 0, 32, 0, 0, 35, 0, 0, 38, 0, 0, 0, 41, 0, 0],
  thread: [0, 0, 0, 1, 0, 1, 0, 1, 0, 1, 1, 0, 1, 0, 1],
  freed_thread: [300, 1, 1, 1, 1, 1, 0, 1, 0, 1, 1, 0, 1, 0, 1],
  api: [0, 0, 7, 8, 9, 10, 11, 12, 13, 14, 8, 15, 16, 0, 1],
  flags: [0, 5, 20, 0, 35, 0, 0, 50, 0, 0, 0, 0, 0, 0, 0],
  leak: [0, 0, 1, 2, 3, 1, 2, 3, 1, 2, 2, 3, 1, 2, 3],
  size_lo: [40, 40, 24, 25, 26, 27, 28, 29, 30, 31, 25, 32, 33, 34, 35],
  addr_lo: [0, 48, 4096, 4176, 4416, 4816, 5376, 6096, 6976, 8016, 4176, 9216, 10576, 12096, 13776],
  addr_hi: [32512, 32512, 21845, 21845, 21845, 21845, 21845, 21845, 21845, 21845, 21845, 21845, 21845, 21845, 21845],
};

const bytes = () => Uint8Array.from(Buffer.from(STORY, 'hex'));
const read = (story: Uint8Array, meta: Record<string, unknown> = EXTENT): Columns => finish(unfold({ meta, columns: { story } }));

test('a story is read as Rust told it', () => {
  const { columns } = read(bytes());
  assert.deepEqual(Object.fromEntries(Object.entries(columns).map(([name, values]) => [name, [...values]])), BLOCKS);
});

test('a table without a story stays as it is', () => {
  const table = { meta: {}, columns: { born: new Uint32Array(3) } };
  assert.equal(finish(unfold(table)), table);
});

/** What reading says, which must be a sentence. */
function sentence(story: Uint8Array, meta: Record<string, unknown> = EXTENT): string {
  try {
    read(story, meta);
  } catch (error) {
    assert.ok(error instanceof Error && !(error instanceof TypeError), String(error));
    return error.message;
  }
  return assert.fail('it was read');
}

test('damage is an error with a sentence', () => {
  const length = bytes().length;
  for (let at = 5; at < length - 4; at++) {
    assert.match(sentence(bytes().subarray(0, at)), /^its story is (damaged|cut off)$/);
    const changed = bytes();
    changed[at]! ^= 1 + (at % 255);
    assert.match(sentence(changed), /^its story is (damaged|cut off)$/);
  }
});

test('whatever the bytes, there is an end', () => {
  for (let seed = 1; seed <= 300; seed++) {
    const random = new Random(seed);
    const story = Uint8Array.from({ length: random.below(300) }, () => random.below(256));
    const meta = { blocks: random.below(5000), inherited: random.below(5000), freed: random.below(5000), stacks: random.below(50), threads: random.below(3) };
    assert.match(sentence(story, meta), /^its story is (damaged|cut off)$/);
  }
  assert.match(sentence(bytes(), { ...EXTENT, blocks: 2 ** 40 }), /^the story has no number of blocks$/);
  assert.match(sentence(bytes(), { ...EXTENT, stacks: 'x' }), /^the story has no number of stacks$/);
});
