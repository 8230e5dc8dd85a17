// A capped process: what is measured at lines of the grid is what the uncapped one says there.

import assert from 'node:assert/strict';
import test from 'node:test';
import { Grid } from '../src/data/inpage/grid.ts';
import type { Measure, Metric } from '../src/data/types.ts';
import { randomProcess } from './process.ts';

test('a position is rounded down to a line', () => {
  for (const [cells, events] of [[1, 5], [4, 10], [7, 7], [8, 3], [512, 643811], [3, 0]] as const) {
    const grid = new Grid(cells, events);
    const lines = Array.from({ length: cells + 1 }, (_, k) => Math.floor((k * events) / cells));
    const step = Math.max(1, Math.floor(events / 3000));
    for (let p = 0; p <= events; p += step) assert.equal(grid.rounded(p), Math.max(...lines.filter((it) => it <= p)), `${p} of ${events} in ${cells}`);
    assert.equal(grid.rounded(events), events);
  }
});

test('sums at lines, and of what is live at the peak, are those of the blocks', async () => {
  for (let seed = 1; seed <= 200; seed++) {
    const cells = 1 + (seed % 9);
    const [whole, capped] = [randomProcess(seed), randomProcess(seed, false, cells)];
    const { random, events } = capped;
    const grid = new Grid(cells, events);
    const peak = capped.process.info.peak.position;
    for (const metric of ['live', 'kept', 'leaked', 'alloc', 'freed', 'temp', 'diff'] as Metric[]) {
      const [t, x, y] = [random.chance(0.3) ? peak : random.below(events + 1), random.below(events + 1), random.below(events + 1)];
      const measure: Measure = { metric, t, a: Math.min(x, y), b: Math.max(x, y), q: random.chance(0.3) ? 'fn:ns' : '' };
      const rounded = { ...measure, t: metric === 'live' && t === peak ? t : grid.rounded(t), a: grid.rounded(measure.a), b: grid.rounded(measure.b) };
      assert.deepEqual(await capped.process.weigh(measure), await whole.process.weigh(rounded), `seed ${seed} ${metric}`);
      assert.deepEqual(await capped.process.total(measure), await whole.process.total(rounded), `seed ${seed} ${metric}`);
    }
    const { position, ...weight } = await capped.process.peak(1, events);
    if (events > 1) assert.deepEqual({ at: position, ...weight }, await whole.process.total({ metric: 'live', t: position, a: 0, b: 0, q: '' }));
  }
});

test('a filter of single blocks is refused', async () => {
  const { process } = randomProcess(1, false, 4);
  await assert.rejects(process.weigh({ metric: 'alloc', t: 0, a: 0, b: 9, q: 'size:>1' }), /does not hold every block/);
});
