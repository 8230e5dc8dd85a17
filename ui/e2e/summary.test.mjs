// The page Summary: what it says beside the figures, which `shell` and `golden` hold.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { fixture, launch, open, ready } from './harness.mjs';
import { overviewOf } from './tables.mjs';

let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

test('where nothing stands out, what was looked for is a list that waits to be opened', async () => {
  const path = fixture('F6');
  const { findings, checked } = overviewOf(path).processes[0];
  assert.deepEqual(findings, []);
  const { page, faults, close } = await open(browser, path, { hash: '#/summary?p=0' });
  const section = page.getByTestId('findings');
  assert.match(await section.locator('summary').textContent(), new RegExp(`^Nothing stands out\\. ${checked.length} things looked for$`));
  assert.equal(await section.locator('li').first().isVisible(), false);
  await section.locator('summary').click();
  assert.deepEqual(await section.locator('li').allTextContents(), checked);
  assert.deepEqual(faults(), []);
  await close();
});

test('the process with most memory is named where it is not the one that is shown, and leads there', async () => {
  const path = fixture('F6');
  const { processes } = overviewOf(path);
  const largest = processes.reduce((most, it) => (it.peak.bytes > most.peak.bytes ? it : most));
  assert.ok(largest.id !== 0 && largest.peak.bytes >= 2 * processes[0].peak.bytes);
  const { page, close } = await open(browser, path, { hash: '#/summary?p=0' });
  assert.match(await page.getByTestId('largest').textContent(), new RegExp(`^Of ${processes.length} processes this is #0\\. The largest is #${largest.id} ls, .* at its peak\\.$`));
  await page.getByTestId('largest').getByRole('button').click();
  await page.waitForFunction((id) => window.__ht.data.info.id === id, largest.id);
  await ready(page);
  await page.getByTestId('largest').waitFor({ state: 'detached' });
  await close();
});

test('frames without a name are told of the process that is shown alone', async () => {
  const path = fixture('F6');
  const { processes } = overviewOf(path);
  for (const { id, unnamed_frames, summary } of processes.filter((it) => it.included)) {
    assert.equal(unnamed_frames.unnamed, summary.unresolved.unresolved);
    const { page, close } = await open(browser, path, { hash: `#/summary?p=${id}` });
    const notices = await page.getByTestId('notices').locator('li').allTextContents();
    assert.equal(notices.some((it) => it.trim().startsWith(unnamed_frames.notice ?? '\0')), unnamed_frames.notice !== null);
    await close();
  }
});

test('a pool that a library keeps by design is called so, here and among the leaks', async () => {
  const path = fixture('F1');
  const { summary } = overviewOf(path).processes[0];
  assert.ok(summary.never_freed.sites.some((it) => it.known_pool === 'emergency pool'));
  const { page, close } = await open(browser, path, { hash: '#/summary' });
  const row = page.getByTestId('ranking-leaked').locator('li', { hasText: 'emergency pool' });
  await row.waitFor();
  assert.match(await row.textContent(), /by design/);
  await page.evaluate(() => void (location.hash = '#/leaks'));
  await page.getByTestId('leak-sites').locator('.table-row', { hasText: 'emergency pool' }).waitFor();
  await close();
});

test('most resident memory is what the kernel counted, where samples missed it', async () => {
  const path = fixture('F1');
  const { highest_bytes, peak } = overviewOf(path).processes[0].summary.residence;
  const { page, close } = await open(browser, path, { hash: '#/summary' });
  const title = await page.getByTestId('headline').locator('.figure', { hasText: 'Most RSS' }).getAttribute('title');
  const most = Math.max(highest_bytes ?? 0, peak.rss_bytes).toLocaleString('en-US');
  assert.ok(title.includes(`\n${most} B; in `), title);
  await close();
});
