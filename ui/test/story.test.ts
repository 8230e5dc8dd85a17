// Stories: read as Rust tells them, and whatever bytes come, an error with a sentence.

import assert from 'node:assert/strict';
import test from 'node:test';
import { unfold } from '../src/data/coded/unfold.ts';
import type { Columns } from '../src/data/columns.ts';
import { finish } from '../src/data/inpage/slices.ts';
import { Random } from '../src/data/synthetic/random.ts';

interface Story {
  hex: string;
  meta: Record<string, number>;
  columns: Record<string, number[]>;
}

/** By table, as the tests of crates/heaptape-report/src/page/coded/ have them. */
const STORIES: Record<string, Story> = {
  blocks: {
    hex:
      '003ffffffd68b3e000027f1540fffffffbf7fd54ce1846cfe05d2577000975b0ce43c8742c29ce30623a7a7dd24cdf08eed66343cfe344492d1fb119' +
      '2b3f7ec78fa0e249b32ee8e257a2eb6a52e106776402e35e56c585419fcaf5258b753325d2115a845314d4f361b8038b89d7a833a91c183cb39be376' +
      '2a44c1b5ff7319fdde6c5c03abefd6509b0e61df18c96ef1dd2ef7aabc2792a748e9b1c90000',
    meta: { blocks: 21, inherited: 2, freed: 6, stacks: 10, threads: 301 },
    columns: {
      born: [4294967295, 4294967295, 0, 1, 3, 4, 5, 7, 8, 9, 1012, 1014, 1015, 1016, 1018, 1019, 1020, 1021, 1022, 1023, 1024],
      life: [1014, 3, 6, 1011, 7, 0, 0, 1010, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
      stack: [0, 0, 1, 2, 3, 1, 2, 3, 1, 2, 2, 3, 1, 2, 3, 1, 1, 1, 1, 1, 1],
      freed_stack: [0, 9, 9, 0, 9, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
      usable: [0, 0, 32, 0, 0, 35, 0, 0, 38, 0, 0, 0, 41, 0, 0, 0, 0, 0, 0, 0, 0],
      thread: [0, 0, 0, 1, 0, 1, 0, 1, 0, 1, 1, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0],
      freed_thread: [300, 1, 1, 1, 1, 1, 0, 1, 0, 1, 1, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0],
      api: [0, 0, 7, 8, 9, 10, 11, 12, 13, 14, 8, 15, 16, 0, 1, 3, 3, 3, 3, 3, 3],
      flags: [0, 5, 20, 0, 35, 0, 0, 50, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
      leak: [0, 0, 1, 2, 3, 1, 2, 3, 1, 2, 2, 3, 1, 2, 3, 1, 1, 1, 1, 1, 1],
      size_lo: [40, 40, 24, 25, 26, 27, 28, 29, 30, 31, 25, 32, 33, 34, 35, 20, 20, 20, 20, 20, 20],
      addr_lo: [0, 48, 4096, 4176, 4416, 4816, 5376, 6096, 6976, 8016, 4176, 9216, 10576, 12096, 13776, 2097152, 2096320, 2095488, 2094656, 2093824, 2092992],
      addr_hi: [32512, 32512, 21845, 21845, 21845, 21845, 21845, 21845, 21845, 21845, 21845, 21845, 21845, 21845, 21845, 21845, 21845, 21845, 21845, 21845, 21845],
    },
  },
  stacks: {
    hex: '000f95b4514eacff2d440300441847fcbd08d43e728e84000000',
    meta: { stacks: 21 },
    columns: {
      back: [0, 1, 1, 1, 2, 3, 1, 2, 3, 1, 2, 10, 1, 1, 2, 12, 1, 2, 3, 5, 1],
      frame: [0, 1, 2, 3, 4, 5, 3, 4, 5, 3, 4, 9, 3, 7, 4, 2, 3, 4, 5, 300, 6],
    },
  },
  times: {
    hex: '003ef9b45c6bf4f9bc8141e7aacb45e1771e413a87502d941158092c000000',
    meta: { changes: 9, unit_ns: 1000 },
    columns: {
      position: [1, 65, 129, 193, 194, 258, 322, 4000000, 4000064],
      time_lo: [1000, 3000, 6000, 8000, 705040704, 705042704, 705045704, 705047704, 640942080],
      time_hi: [0, 0, 0, 0, 1, 1, 1, 1, 1862645],
    },
  },
};

const bytesOf = ({ hex }: Story): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'));
const read = (name: string, story: Uint8Array, meta: Record<string, unknown>): Columns => finish(unfold(name, { meta, columns: { story } }));

/** What reading says, which must be a sentence. */
function sentence(name: string, story: Uint8Array, meta: Record<string, unknown>): string {
  try {
    read(name, story, meta);
  } catch (error) {
    assert.ok(error instanceof Error && !(error instanceof TypeError), String(error));
    return error.message;
  }
  return assert.fail('it was read');
}

for (const [name, story] of Object.entries(STORIES)) {
  test(`the story of ${name} is read as Rust told it`, () => {
    const { columns } = read(name, bytesOf(story), story.meta);
    assert.deepEqual(Object.fromEntries(Object.entries(columns).map(([name, values]) => [name, [...values]])), story.columns);
  });

  test(`damage to the story of ${name} is an error with a sentence`, () => {
    const bytes = bytesOf(story);
    for (let at = 5; at < bytes.length - 4; at++) {
      assert.match(sentence(name, bytes.subarray(0, at), story.meta), /^its story is (damaged|cut off)$/);
      const changed = bytes.slice();
      changed[at]! ^= 1 + (at % 255);
      assert.match(sentence(name, changed, story.meta), /^its story is (damaged|cut off)$/);
    }
  });
}

test('a table without a story stays as it is', () => {
  const table = { meta: {}, columns: { born: new Uint32Array(3) } };
  assert.equal(finish(unfold('blocks', table)), table);
});

test('whatever the bytes, there is an end', () => {
  for (let seed = 1; seed <= 300; seed++) {
    const random = new Random(seed);
    const story = Uint8Array.from({ length: random.below(300) }, () => random.below(256));
    const blocks = { blocks: random.below(5000), inherited: random.below(5000), freed: random.below(5000), stacks: random.below(50), threads: random.below(3) };
    for (const [name, meta] of Object.entries({ blocks, stacks: { stacks: 2 + random.below(5000) }, times: { changes: 1 + random.below(5000), unit_ns: random.below(5000) } }))
      assert.match(sentence(name, story, meta), /^its story is (damaged|cut off)$/);
  }
});

test('what is said beside a story must be numbers', () => {
  const { blocks, times } = STORIES as { blocks: Story; times: Story };
  assert.match(sentence('blocks', bytesOf(blocks), { ...blocks.meta, blocks: 2 ** 40 }), /^the story has no number of blocks$/);
  assert.match(sentence('blocks', bytesOf(blocks), { ...blocks.meta, stacks: 'x' }), /^the story has no number of stacks$/);
  assert.match(sentence('times', bytesOf(times), { changes: 9 }), /^the story has no number of unit_ns$/);
  assert.match(sentence('frames', bytesOf(times), {}), /^it has a story that nobody reads$/);
});
