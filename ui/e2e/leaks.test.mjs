// The page of leaks, against what `heaptape leaks --json` says in the report and what the blocks' table holds.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { developersPage, fixture, launch, open, param } from './harness.mjs';
import { overviewOf, tableOf, variantOf } from './tables.mjs';

const NEVER = 0xffffffff;
let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

const exact = (title) => Number(title.match(/[\d,]+/)[0].replaceAll(',', ''));

/** Rows of the table of call sites: exact bytes, blocks, lost bytes, site. */
async function sites(page) {
  await page.waitForFunction(() => document.querySelector('[data-testid=leak-sites] .table-row') && !document.querySelector('.leaks-table.stale'));
  const rows = await page.getByTestId('leak-sites').locator('.table-row').evaluateAll((rows) => rows.map((row) => [...row.children].map((cell) => [cell.textContent, cell.querySelector('[title]')?.title ?? ''])));
  return rows.map((cells) => ({ bytes: exact(cells[0][1]), blocks: exact(cells[1][0]), lost: cells[2][1] === '' ? null : exact(cells[2][1]), site: cells[3][0], growth: cells[4][0], growing: cells[5][0] }));
}

test('the classes are those of the search, and the call sites hold just the blocks never freed', async () => {
  const path = fixture('F1');
  const { leaks } = overviewOf(path).processes[0];
  const { page, faults, close } = await open(browser, path, { hash: '#/leaks' });
  const cards = await page.getByTestId('leak-classes').locator('li').evaluateAll((cards) => cards.map((card) => [card.querySelector('b').title, card.querySelectorAll('.num')[1].textContent]));
  assert.deepEqual(cards.map(([bytes, blocks]) => ({ bytes: exact(bytes), blocks: exact(blocks) })), ['definite', 'indirect', 'possible', 'reachable', 'suppressed'].map((it) => leaks.summary[it]));
  assert.ok(leaks.summary.definite.blocks > 0);
  const rows = await sites(page);
  const { size_lo, died } = tableOf(path, 'p0-blocks');
  const never = size_lo.filter((_, i) => died[i] === NEVER);
  assert.equal(rows.reduce((sum, it) => sum + it.bytes, 0), never.reduce((sum, it) => sum + it, 0));
  assert.equal(rows.reduce((sum, it) => sum + it.blocks, 0), never.length);
  assert.deepEqual(rows.map((it) => it.bytes), rows.map((it) => it.bytes).sort((x, y) => y - x));
  assert.deepEqual(faults(), []);
  await close();
});

test('what a call site lost is what the search called lost', async () => {
  const path = fixture('F1');
  const { definite, indirect, possible } = overviewOf(path).processes[0].leaks.summary;
  const { page, close } = await open(browser, path, { hash: '#/leaks' });
  const rows = await sites(page);
  assert.equal(rows.reduce((sum, it) => sum + (it.lost ?? 0), 0), definite.bytes + indirect.bytes + possible.bytes);
  assert.ok(rows.find((it) => it.site.includes('leak_ctx')).lost > 0);
  await close();
});

test('what grows all run is called so; the sort by growth is one', async () => {
  const { page, close } = await open(browser, fixture('F1'), { hash: '#/leaks?v=1&ls=slope' });
  const rows = await sites(page);
  assert.ok(rows.length > 1);
  assert.match(rows[0].site, /leak_ctx/);
  assert.match(rows[0].growing, /growing$/);
  const bytes = (text) => {
    const match = /^(−?)([\d.]+) (B|KiB|MiB)$/.exec(text);
    return match ? (match[1] ? -1 : 1) * Number(match[2]) * 1024 ** ['B', 'KiB', 'MiB'].indexOf(match[3]) : -Infinity;
  };
  const slopes = rows.map((it) => bytes(it.growth));
  assert.deepEqual(slopes, [...slopes].sort((x, y) => y - x));
  await close();
});

test('range and filter narrow the call sites', async () => {
  const path = fixture('F1');
  const { born, died, size_lo } = tableOf(path, 'p0-blocks');
  const b = Math.floor(overviewOf(path).processes[0].event_count / 2);
  const expected = size_lo.filter((_, i) => died[i] === NEVER && born[i] < b);
  const { page, close } = await open(browser, path, { hash: `#/leaks?v=1&b=${b}` });
  const rows = await sites(page);
  assert.equal(rows.reduce((sum, it) => sum + it.blocks, 0), expected.length);
  await page.locator('#filter').fill('fn:leak_ctx');
  await page.locator('#filter').press('Enter');
  await page.waitForFunction(() => document.querySelectorAll('[data-testid=leak-sites] .table-row').length === 1);
  assert.match((await sites(page))[0].site, /leak_ctx/);
  await close();
});

/** The names of the frames of each record, innermost first. */
function backtracesOf(path, records) {
  const [frames, stacks, { bytes }] = ['frames', 'stacks', 'strings'].map((name) => tableOf(path, `p0-${name}`));
  const strings = Buffer.from(bytes).toString().split('\0');
  return records.map(({ stack }) => {
    const names = [];
    for (let at = stack; at !== 0; at = stacks.parent[at]) names.push(strings[frames.short[stacks.frame[at]]]);
    return names;
  });
}

test('a record: its kind, its backtrace, what keeps it, a suppression to paste', async () => {
  const path = fixture('F1');
  const { records } = overviewOf(path).processes[0].leaks;
  const { page, faults, close } = await open(browser, path, { hash: '#/leaks?v=1&lv=found' });
  const rows = page.getByTestId('leak-records').locator('.table-row');
  assert.equal(await rows.count(), records.length);
  const backtraces = backtracesOf(path, records);
  const at = backtraces.findIndex((names) => names.includes('leak_ctx'));
  await rows.nth(at).click();
  const detail = page.getByTestId('leak-record');
  assert.match(await detail.locator('h2').textContent(), /definite/);
  assert.deepEqual(await detail.locator('.backtrace li > .name').allTextContents(), backtraces[at]);
  assert.match(await detail.locator('pre').textContent(), /^leak:.*leak_ctx/);
  await detail.getByRole('button', { name: `#${records[at].block.block}`, exact: true }).click();
  assert.equal(await param(page, 'sel'), `block:${records[at].block.block}`);
  assert.deepEqual(faults(), []);
  await close();
});

test('the way that keeps a block is told from outside to the pointer, with what each block retains', async () => {
  const path = variantOf(fixture('F1'), 'F1-path', ({ processes }) => {
    processes[0].leaks.records.unshift({
      kind: 'reachable', bytes: 64, blocks: 1, indirect: { bytes: 0, blocks: 0 }, function: 'malloc', stack: 1,
      block: { block: 3, address: '0x5579b280d1b0', size: 64, retained: 64 },
      path: [
        { in: 'root', what: 'variable', name: 'registry<int>', module: 'demo', tid: 0, address: '0x5579a70710f0' },
        { in: 'block', block: 2, address: '0x5579b28cbce0', size: 24, retained: 5280, offset: 8, site: 'keep' },
        { in: 'more', blocks: 17 },
      ],
    });
  });
  const { page, close } = await open(browser, path, { hash: '#/leaks?v=1&lv=found' });
  const steps = await page.getByTestId('leak-path').locator('li').allTextContents();
  assert.match(steps[0], /^the variable registry<int> in demo 0x5579a70710f0$/);
  assert.match(steps[1], /^#2, 24 B, pointer at \+8, keeps 5\.16 KiB keep$/);
  assert.match(steps[2], /^17 more blocks$/);
  assert.match(steps[3], /^this block, 64 B$/);
  await close();
});

test('without a search the page says that never freed is all that is known', async () => {
  const path = variantOf(fixture('F1'), 'F1-unsearched', ({ processes }) => (processes[0].leaks = null));
  const { page, faults, close } = await open(browser, path, { hash: '#/leaks' });
  assert.match(await page.getByTestId('no-search').textContent(), /Never freed.*heaptape run --leaks/s);
  assert.equal(await page.getByTestId('leak-classes').count(), 0);
  assert.ok((await sites(page)).length > 0);
  assert.deepEqual(faults(), []);
  await close();
});

test('records that are left out are counted, and what they hold', async () => {
  const path = variantOf(fixture('F1'), 'F1-many', ({ processes }) => {
    const { leaks } = processes[0];
    const [record] = leaks.records;
    leaks.records = Array.from({ length: 100 }, () => record);
    leaks.hidden = { records: 37, bytes: 12_595, blocks: 1040 };
  });
  const { page, close } = await open(browser, path, { hash: '#/leaks?v=1&lv=found' });
  const line = page.getByTestId('leaks-hidden');
  assert.equal(await line.textContent(), 'The worst 100 of 137 records; the other 37 have 12.3 KiB in 1,040 blocks');
  assert.ok(await line.evaluate((it) => it.getBoundingClientRect().bottom <= innerHeight && it.parentElement.scrollWidth <= it.parentElement.clientWidth), 'it is seen');
  await close();
  const all = await open(browser, fixture('F1'), { hash: '#/leaks?v=1&lv=found' });
  await all.page.getByTestId('leak-records').waitFor();
  assert.equal(await all.page.getByTestId('leaks-hidden').count(), 0);
  await all.close();
});

test('suppressions: each with what it hides', async () => {
  const path = variantOf(fixture('F1'), 'F1-suppressed', ({ processes }) => {
    processes[0].leaks.suppressions = [{ name: 'leak:<i>libfoo', file: 'lsan.supp', line: 3, bytes: 4096, blocks: 12 }];
  });
  const { page, close } = await open(browser, path, { hash: '#/leaks' });
  await page.getByTestId('suppressions').locator('summary').click();
  const cells = await page.getByTestId('suppressions').locator('tbody td').allTextContents();
  assert.deepEqual(cells, ['leak:<i>libfoo', 'lsan.supp:3', '12', '4.00 KiB']);
  await close();
});

test('a synthetic process with all classes', async () => {
  const { page, faults, close } = await open(browser, developersPage, { hash: '#/leaks' });
  assert.ok((await sites(page)).some((it) => it.lost > 0));
  assert.deepEqual(faults(), []);
  await close();
});
