// The difference of two recordings: F9, a program run twice, the second time for longer. What must be shown is summed up here
// from the tables of both.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { fixture, launch, open, param } from './harness.mjs';
import { overviewOf, sitesOf, tableOf } from './tables.mjs';

let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

/** Blocks ever allocated by call site, `function file:line` each. */
function allocated(path, letter) {
  const table = (name) => tableOf(path, `${letter}0-${name}`);
  const [frames, stacks, blocks] = ['frames', 'stacks', 'blocks'].map(table);
  const strings = Buffer.from(table('strings').bytes).toString().split('\0');
  const name = (frame) => `${strings[frames.short[frame]]} ${strings[frames.file[frame]]}:${frames.line[frame]} ${strings[frames.module[frame]]}`;
  const sites = sitesOf(stacks, frames);
  const sums = new Map();
  for (const stack of blocks.stack) {
    const site = name(sites[stack]);
    sums.set(site, (sums.get(site) ?? 0) + 1);
  }
  return sums;
}

const shown = (count) => count.toLocaleString('en-US');

test('two recordings are compared by call site, function and backtrace', async () => {
  const path = fixture('F9');
  assert.equal(overviewOf(path).has_other, true);
  assert.equal(overviewOf(path, 'other-overview').tape, 'F9-other.tape');
  const [one, other] = [allocated(path, 'p'), allocated(path, 'q')];
  const total = (sums) => [...sums.values()].reduce((sum, it) => sum + it, 0);
  const more = total(other) - total(one);
  assert.ok(more > 0, 'it ran for longer');

  const { page, faults, close } = await open(browser, path, { hash: '#/diff?v=1&m=alloc&u=blocks' });
  await page.getByTestId('diff-table').waitFor();
  assert.equal(await page.getByTestId('diff-total').textContent(), `+${shown(more)}`);
  const changes = [...new Set([...one.keys(), ...other.keys()])].map((site) => ({ site, a: one.get(site) ?? 0, b: other.get(site) ?? 0 }));
  const [largest] = changes.sort((x, y) => Math.abs(y.b - y.a) - Math.abs(x.b - x.a));
  const first = await page.getByTestId('diff-table').locator('[role=row]', { hasText: largest.site.split(' ')[0] }).first().textContent();
  for (const number of [shown(largest.a), shown(largest.b), `+${shown(largest.b - largest.a)}`]) assert.ok(first.includes(number), `${number} is not in ${first}`);
  assert.match(await page.getByTestId('diff-unmatched').textContent(), /^Matched by function, file and line/);

  await page.getByTestId('diff-between').getByRole('button', { name: 'two moments' }).click();
  await page.getByRole('button', { name: 'A = T' }).waitFor();
  assert.equal(await param(page, 'between'), 'moments');
  await page.getByTestId('diff-between').getByRole('button', { name: 'two recordings' }).click();
  await page.getByText('A, F9.tape').waitFor();
  for (const by of ['function', 'backtrace', 'flame graph']) {
    await page.getByTestId('diff-by').getByRole('button', { name: by }).click();
    assert.equal(await page.getByTestId('diff-total').textContent(), `+${shown(more)}`, by);
  }
  assert.deepEqual(faults(), []);
  await close();
});

test('a filter counts for both recordings', async () => {
  const path = fixture('F9');
  const { page, close } = await open(browser, path, { hash: '#/diff?v=1&m=alloc&u=blocks&q=size:%3E%3D4Ki' });
  await page.getByTestId('diff-table').waitFor();
  const large = (letter) => tableOf(path, `${letter}0-blocks`).size_lo.filter((size) => size >= 4096).length;
  const [a, b] = [large('p'), large('q')];
  assert.ok(a > 0 && b > a, `${a} and ${b}`);
  assert.equal(await page.getByTestId('diff-total').textContent(), `+${shown(b - a)}`);
  await close();
});

test('without a second recording two moments are compared, whatever the link says', async () => {
  const { page, faults, close } = await open(browser, fixture('F1'), { hash: '#/diff?v=1&between=recordings' });
  await page.getByTestId('diff-table').waitFor();
  await page.getByRole('button', { name: 'A = T' }).waitFor();
  assert.equal(await page.getByTestId('diff-between').count(), 0);
  assert.deepEqual(faults(), []);
  await close();
});
