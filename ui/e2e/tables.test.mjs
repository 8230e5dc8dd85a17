// The tables in a browser.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { developersPage, launch, open, param, sentence } from './harness.mjs';

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

/** What the page copies, instead of the clipboard's. */
const clipboard = () => {
  window.__copied = '';
  Object.defineProperty(navigator, 'clipboard', { value: { writeText: async (text) => void (window.__copied = text) } });
};

async function openTables(hash, more = {}) {
  const opened = await open(browser, developersPage, { hash, ...more });
  await opened.page.evaluate(clipboard);
  return opened;
}

/** The table as it is copied: rows of cells, and the heading. */
async function copied(page) {
  // All columns are there once the totals are.
  await page.waitForFunction(() => !document.querySelector('.table-totals')?.textContent.includes('…'));
  await page.waitForTimeout(100);
  await page.getByTestId('tables-tsv').click();
  const text = await page.evaluate(() => window.__copied);
  const [head, ...rows] = text.trimEnd().split('\n').map((line) => line.split('\t'));
  return { head, rows };
}

async function exactBytes(page) {
  await sentence(page);
  return Number(/^([\d,]+) B/.exec(await page.getByTestId('sentence').getAttribute('title'))[1].replaceAll(',', ''));
}

test('rows of groups that share nothing add up to the sentence', async () => {
  for (const metric of ['live', 'peak', 'kept', 'leaked', 'alloc', 'freed', 'temp']) {
    const { page, faults, close } = await openTables(`#/tables?m=${metric}&a=400ms&b=1500ms`);
    const all = await exactBytes(page);
    for (const by of ['site', 'file', 'module', 'thread', 'size', 'stack']) {
      await page.evaluate((hash) => void (location.hash = hash), `#/tables?m=${metric}&rows=${by}&a=400ms&b=1500ms`);
      await page.waitForFunction((wanted) => wanted === 'site' || window.__ht.state.includes(`rows=${wanted}`), by);
      const { rows } = await copied(page);
      assert.equal(rows.reduce((sum, row) => sum + Number(row[1]), 0), all, `${metric} by ${by}`);
    }
    assert.deepEqual(faults(), []);
    await close();
  }
});

test('functions hold all that is on their backtraces, once', async () => {
  const { page, close } = await openTables('#/tables?m=alloc&rows=function&fold=none');
  const all = await exactBytes(page);
  const { head, rows } = await copied(page);
  const [total, self] = [1, head.findIndex((it) => it.startsWith('self'))];
  assert.equal(rows.reduce((sum, row) => sum + Number(row[self]), 0), all);
  assert.ok(rows.every((row) => Number(row[total]) <= all && Number(row[self]) <= Number(row[total])));
  await close();
});

test('the metric is the first column and the order, until another heading is pressed', async () => {
  const { page, close } = await openTables('#/tables?m=leaked');
  const sorted = (rows, column) => rows.every((row, k) => k === 0 || Number(rows[k - 1][column]) >= Number(row[column]));
  let { head, rows } = await copied(page);
  assert.equal(head[1], 'never freed (bytes)');
  assert.ok(sorted(rows, 1));
  await page.getByRole('columnheader', { name: 'allocations' }).getByRole('button').click();
  assert.equal(await param(page, 'sort'), 'calls');
  ({ head, rows } = await copied(page));
  const calls = head.indexOf('allocations');
  assert.ok(sorted(rows, calls));
  await page.getByRole('columnheader', { name: 'allocations' }).getByRole('button').click();
  ({ rows } = await copied(page));
  assert.ok(sorted(rows.toReversed(), calls));
  await close();
});

test('columns are chosen, and the choice is in the link', async () => {
  const { page, close } = await openTables('#/tables');
  await page.getByTestId('tables-columns').click();
  await page.getByRole('checkbox', { name: 'kept' }).check();
  await page.getByRole('checkbox', { name: 'mean size' }).uncheck();
  await page.getByRole('columnheader', { name: 'kept' }).waitFor();
  assert.equal(await page.getByRole('columnheader', { name: 'mean size' }).count(), 0);
  assert.match(await param(page, 'cols'), /kept/);
  await close();
});

test('a search keeps the rows that fit', async () => {
  const { page, close } = await openTables('#/tables?m=alloc');
  await page.getByTestId('tables-search').fill('session\\.cpp');
  await page.waitForFunction(() => document.querySelector('[data-testid=tables-count]')?.textContent === '3 rows');
  const { rows } = await copied(page);
  assert.ok(rows.length === 3 && rows.every((row) => row[0].includes('session.cpp')));
  await close();
});

test('no number is cut, in both themes, wide and narrow', async () => {
  for (const [theme, width, height] of [['light', 1440, 900], ['dark', 1024, 640]]) {
    for (const rows of ['site', 'function', 'size', 'top', 'bottom', 'callers']) {
      const { page, faults, close } = await openTables(`#/tables?rows=${rows}&m=alloc`, { theme, width, height });
      await page.locator('.table-row').first().waitFor();
      const cut = await page.evaluate(() => [...document.querySelectorAll('.numeric')].filter((it) => it.scrollWidth > it.clientWidth + 1).map((it) => it.textContent));
      assert.deepEqual(cut, [], `${rows} at ${width}`);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(wide <= 0, `${rows} at ${width}: the page is ${wide} px too wide`);
      assert.deepEqual(faults(), []);
      await close();
    }
  }
});
