// The page of histograms: bars and cells add up to what is measured, and a press on one filters to just what it said.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { developersPage, fixture, launch, open, param, sentence } from './harness.mjs';
import { tableOf } from './tables.mjs';

let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

const settled = (page) => page.waitForFunction(() => document.querySelector('[data-testid=histograms]:not(.stale)'));
const blocksIn = (text) => Number(text.match(/([\d,]+) blocks?/)[1].replaceAll(',', ''));
const bars = (page, name) => page.getByTestId(name).locator('.bars-bar');
const labels = (of) => of.evaluateAll((all) => all.map((it) => it.getAttribute('aria-label')));
/** The blocks of the sentence. */
const said = async (page) => blocksIn(await sentence(page));

test('the bars of sizes are those of all blocks of the report', async () => {
  const path = fixture('F1');
  const { size_lo } = tableOf(path, 'p0-blocks');
  const bins = new Map();
  for (const size of size_lo) {
    const bin = size <= 1 ? 0 : Math.ceil(Math.log2(size));
    bins.set(bin, (bins.get(bin) ?? 0) + 1);
  }
  const { page, faults, close } = await open(browser, path, { hash: '#/histograms?v=1&m=alloc' });
  await settled(page);
  const shown = (await labels(bars(page, 'sizes'))).map(blocksIn);
  const [from, to] = [Math.min(...bins.keys()), Math.max(...bins.keys())];
  assert.deepEqual(shown, Array.from({ length: to - from + 1 }, (_, k) => bins.get(from + k) ?? 0));
  assert.deepEqual(faults(), []);
  await close();
});

test('a press on a bar filters all pages to just its blocks; another press takes the filter away', async () => {
  const { page, faults, close } = await open(browser, developersPage, { hash: '#/histograms?v=1&m=alloc' });
  await settled(page);
  for (const name of ['sizes', 'lifetimes']) {
    const all = await said(page);
    const told = (await labels(bars(page, name))).map(blocksIn);
    const most = told.indexOf(Math.max(...told));
    await bars(page, name).nth(most).click();
    await page.waitForFunction(() => new URLSearchParams(window.__ht.state.split('?')[1]).get('q') !== null);
    await settled(page);
    assert.equal(await said(page), told[most], `${name}: ${await param(page, 'q')}`);
    const chosen = page.getByTestId(name).locator('.bars-bar[aria-pressed=true]');
    assert.equal(await chosen.count(), 1);
    await chosen.click();
    await page.waitForFunction(() => new URLSearchParams(window.__ht.state.split('?')[1]).get('q') === null);
    await settled(page);
    assert.equal(await said(page), all);
  }
  assert.deepEqual(faults(), []);
  await close();
});

test('a cell of size and lifetime filters to its blocks; those never freed are told beside', async () => {
  const { page, close } = await open(browser, developersPage, { hash: '#/histograms?v=1&m=alloc' });
  await settled(page);
  const cells = await labels(page.getByTestId('heat').locator('.heat-cell'));
  const counts = cells.map(blocksIn);
  const never = blocksIn(await page.locator('.chart', { hasText: 'Lifetimes' }).first().locator('header').textContent());
  assert.equal(counts.reduce((sum, it) => sum + it, 0) + never, await said(page));
  const most = counts.indexOf(Math.max(...counts));
  await page.getByTestId('heat').locator('.heat-cell').nth(most).click();
  await page.waitForFunction(() => new URLSearchParams(window.__ht.state.split('?')[1]).get('q') !== null);
  assert.equal(await said(page), counts[most]);
  await close();
});

test('a press on an exact size filters to it', async () => {
  const { page, close } = await open(browser, developersPage, { hash: '#/histograms?v=1&m=alloc' });
  await settled(page);
  const row = page.getByTestId('exact').locator('tbody tr').first();
  const blocks = Number((await row.locator('td').nth(1).textContent()).replaceAll(',', ''));
  await row.getByRole('button').click();
  await page.waitForFunction(() => new URLSearchParams(window.__ht.state.split('?')[1]).get('q') !== null);
  assert.equal(await said(page), blocks);
  await close();
});

test('y shows tables with the same numbers; keys go through the bars', async () => {
  const { page, close } = await open(browser, developersPage, { hash: '#/histograms?v=1&m=alloc' });
  await settled(page);
  const told = (await labels(bars(page, 'sizes'))).map(blocksIn);
  await bars(page, 'sizes').first().focus();
  await page.keyboard.press('End');
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute('aria-label')), (await labels(bars(page, 'sizes'))).at(-1));
  await page.keyboard.press('y');
  const rows = await page.getByRole('region', { name: 'Size', exact: true }).locator('tbody tr').evaluateAll((all) => all.map((row) => Number(row.children[1].textContent.replaceAll(',', ''))));
  assert.deepEqual(rows, told);
  await close();
});
