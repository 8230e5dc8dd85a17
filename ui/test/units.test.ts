// Figures as text: round ones are written short, and no share says more than is true.

import assert from 'node:assert/strict';
import test from 'node:test';
import { slopeOf } from '../src/pages/leaks/model.ts';
import { counted, percent, roundBytes, roundDuration, ticked } from '../src/ui/units.ts';

test('scales lose zeros that say nothing, and only these', () => {
  const written = [4096, 1024, 1536, 1.25 * 2 ** 20, 24 * 2 ** 20, 100 * 1024, 512, 1000].map(roundBytes);
  assert.deepEqual(written, ['4 KiB', '1 KiB', '1.5 KiB', '1.25 MiB', '24 MiB', '100 KiB', '512 B', '1000 B']);
  assert.equal(roundDuration(1000), '1 µs');
});

test('what is not all is not 100 %, what is not nothing is not 0 %', () => {
  assert.deepEqual([percent(99_999, 100_000), percent(1, 1), percent(1, 100_000), percent(0, 1), percent(0, 0)], ['>99.9 %', '100 %', '<0.1 %', '0 %', '–']);
});

test('a time of no tick is shorter than one', () => {
  assert.deepEqual([ticked(0, 1000), ticked(2000, 1000)], ['< 1 µs', '2.00 µs']);
});

test('one block is no blocks', () => {
  assert.deepEqual([0, 1, 1200].map((it) => counted(it, 'block')), ['0 blocks', '1 block', '1,200 blocks']);
});

test('blocks that came once and stayed are no growth, whenever they came', () => {
  for (let at = 0; at <= 120; at++) assert.equal(slopeOf(Float64Array.from({ length: 121 }, (_, k) => (k >= at ? 4096 : 0)), 10), 0, `from ${at} on`);
  assert.equal(slopeOf(Float64Array.from({ length: 121 }, (_, k) => k * 100), 12), 1000);
});
