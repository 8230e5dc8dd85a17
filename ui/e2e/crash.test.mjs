// The page of a crash: statement 18 of the interface's specification, and what else it promises. What it must say is what
// `heaptape crash --json` says of the tape, and what Rust wrote into the report: F4, a use after free.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { fixture, launch, open, param, state } from './harness.mjs';
import { overviewOf, timesOf, variantOf } from './tables.mjs';

let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

/** What `heaptape crash --json` says of F4's tape. */
const golden = () => JSON.parse(readFileSync(fixture('F4').replace('.html', '.crash.json'), 'utf8')).results[0].crashes[0];
const crashOf = (path) => overviewOf(path).processes[0].crash.crashes[0];

/** Keeps what is copied. */
const KEEP_COPIES = () => {
  window.__copied = [];
  Object.defineProperty(navigator, 'clipboard', { value: { writeText: async (text) => void window.__copied.push(text) } });
};

const same = (x, y) => assert.equal(x.trim().toLowerCase(), y.trim().toLowerCase());

test('of a process that crashed, T begins at the crash; of one that was killed, at its last event', async () => {
  const path = fixture('F4');
  const [process] = overviewOf(path).processes;
  const crashed = process.crash.crashes.at(-1).time_ns;
  const times = timesOf(path);
  const opened = await open(browser, path);
  const t = await opened.page.evaluate(() => window.__ht.data.times.of(Number(document.querySelector('[data-testid=strip-plot]').getAttribute('aria-valuenow'))));
  assert.ok(t <= crashed && times(process.peak.position) < t, `${t}`);
  assert.equal(Number(await opened.page.getByTestId('strip-plot').getAttribute('aria-valuenow')), process.event_count, 'nothing happened after it');
  assert.equal(await param(opened.page, 't'), null, 'a link need not say so');
  await opened.close();
  const killed = variantOf(path, 'F4-killed-first', ({ processes: [it] }) => {
    it.crash = { crashes: [], death: { signal: 9, core: false, out_of_memory: false, reason: '', rss_bytes: null, rss_time_ns: null, last_events: [] } };
  });
  const { page, close } = await open(browser, killed);
  assert.equal(Number(await page.getByTestId('strip-plot').getAttribute('aria-valuenow')), process.event_count);
  await close();
});

test('statement 18: a report of a crash opens on it; verdict, offset, block and all three stacks are those of Rust', async () => {
  const path = fixture('F4');
  const crash = golden();
  const [block] = crash.blocks;
  const { page, faults, close } = await open(browser, path);
  assert.match(await state(page), /^#\/crash/);
  same(await page.getByTestId('verdict').textContent(), `${crash.verdict.what}${crash.verdict.confidence}`);
  same(await page.getByTestId('reason').textContent(), crash.verdict.reason);
  assert.equal(crash.verdict.kind, 'use_after_free');
  await page.getByTestId('cross').waitFor();
  assert.equal(await page.getByTestId('cross').textContent(), `#${block.block} + ${block.offset}`);
  const stacks = { crash: crash.threads.find((it) => it.crashed).backtrace, alloc: block.allocated.backtrace, free: block.freed.backtrace };
  for (const [name, backtrace] of Object.entries(stacks)) {
    assert.ok(backtrace.length > 1);
    const shown = await page.getByTestId(`stack-${name}`).locator('.backtrace li > .name').allTextContents();
    assert.deepEqual(shown, backtrace.map((it) => it.short), name);
  }
  assert.deepEqual(faults(), []);
  await close();
});

test('each stack of a crash shows its source, and leads there: where it crashed nothing was allocated', async () => {
  const path = fixture('F4');
  const { page, faults, close } = await open(browser, path);
  for (const name of ['crash', 'alloc', 'free']) {
    const current = page.getByTestId(`stack-${name}`).locator('.snippet .code-current');
    await current.first().waitFor();
  }
  const [place] = crashOf(path).threads.find((it) => it.crashed).backtrace;
  await page.getByTestId('stack-crash').locator('button.backtrace-place').first().click();
  assert.match(await state(page), /^#\/source/);
  await page.getByText(place.file.replace(/.*\//, '')).first().waitFor();
  assert.deepEqual(faults(), []);
  await close();
});

test('statement 18: the copy as text has all three stacks', async () => {
  const path = fixture('F4');
  const crash = golden();
  const { page, close } = await open(browser, path);
  await page.evaluate(KEEP_COPIES);
  await page.getByTestId('copy-crash').click();
  const [text] = await page.evaluate(() => window.__copied);
  for (const part of [crash.verdict.what, crash.verdict.reason, crash.address, `#${crash.blocks[0].block}`]) assert.ok(text.includes(part), part);
  const lines = text.split('\n').map((line) => line.trim());
  const from = (title) => lines.findIndex((line) => line.startsWith(title));
  const sections = [
    ['crashed in', crash.threads.find((it) => it.crashed).backtrace], ['allocated by', crash.blocks[0].allocated.backtrace], ['freed by', crash.blocks[0].freed.backtrace],
  ];
  for (const [title, backtrace] of sections) {
    const begin = from(title);
    assert.ok(begin > 0, title);
    assert.deepEqual(lines.slice(begin + 1, begin + 1 + backtrace.length).map((line) => line.split('  ')[0]), backtrace.map((it) => it.function), title);
  }
  await close();
});

test('statement 18: a report without a crash has no such page', async () => {
  const { page, close } = await open(browser, fixture('F1'));
  assert.equal(await page.getByTestId('tab-crash').count(), 0);
  assert.match(await state(page), /^#\/summary/);
  await close();
});

test('from the crash to the block, to the map at that time, to the events of its page', async () => {
  const path = fixture('F4');
  const crash = crashOf(path);
  const { block, address } = crash.blocks[0];
  const { page, faults, close } = await open(browser, path);
  await page.getByTestId('page-events').locator('summary').click();
  await page.getByTestId('page-events').locator('tbody tr').first().waitFor();
  const lo = Math.floor(Number(crash.address) / 4096) * 4096;
  const rows = await page.getByTestId('page-events').locator('tbody tr').evaluateAll((rows) => rows.map((row) => [...row.children].map((cell) => cell.textContent)));
  assert.ok(rows.length <= 50);
  assert.deepEqual(rows.filter((row) => row[2] === `#${block}`).map((row) => row[1]), ['alloc', 'free'], 'the block came and went');
  assert.ok(rows.every((row) => Number(row[4]) < lo + 4096));
  await page.getByTestId('history').click();
  assert.match(await state(page), /^#\/blocks/);
  assert.equal(await param(page, 'sel'), `block:${block}`);
  assert.ok((await page.getByTestId('detail').textContent()).includes(address));
  await page.goBack();
  await page.getByRole('button', { name: 'Map at the crash' }).click();
  assert.match(await state(page), /^#\/layout/);
  const time = timesOf(path);
  const { event_count } = overviewOf(path).processes[0];
  const t = Number((await param(page, 't')) ?? event_count);
  assert.ok(time(t) <= crash.time_ns && (t === event_count || time(t + 1) > crash.time_ns));
  assert.deepEqual(faults(), []);
  await close();
});

test('an address that is no heap address: it says so, and shows the nearest mapping', async () => {
  const path = variantOf(fixture('F4'), 'F4-wild', ({ processes }) => {
    const crash = processes[0].crash.crashes[0];
    crash.blocks = [];
    crash.address = '0x123456789000';
    crash.verdict = { kind: 'wild', confidence: 'likely', what: 'wild address', reason: 'Nothing is mapped at 0x123456789000.' };
    crash.mappings = [{ start: '0x5642ba507000', end: '0x5642ba508000', access: 'r--p', name: '/opt/<b>demo</b>', holds: false }];
  });
  const { page, faults, close } = await open(browser, path);
  const text = await page.getByTestId('crash').textContent();
  assert.ok(text.includes('0x123456789000 is no heap address'));
  assert.ok(text.includes('/opt/<b>demo</b>'), 'names are text');
  assert.equal(await page.getByTestId('stack-alloc').count(), 0);
  assert.equal(await page.getByTestId('page-events').count(), 0);
  assert.deepEqual(faults(), []);
  await close();
});

test('an overflow: the cross is behind the block, in a hole', async () => {
  const path = variantOf(fixture('F4'), 'F4-overflow', ({ processes }) => {
    const crash = processes[0].crash.crashes[0];
    const block = crash.blocks[0];
    Object.assign(block, { relation: 'before', freed: null, freed_ago_ns: null, size: 100, offset: 116 });
    crash.blocks = [block];
    crash.address = `0x${(Number(block.address) + 116).toString(16)}`;
    crash.verdict = { kind: 'overflow', confidence: 'likely', what: 'overflow, 16 bytes past the end', reason: 'No other live block lies between.' };
  });
  const { page, close } = await open(browser, path);
  const box = async (of) => of.boundingBox();
  const main = await box(page.getByTestId('picture').locator('.brick-main rect').first());
  const cross = await box(page.locator('.brick-cross-mark'));
  assert.ok(cross.x + cross.width / 2 > main.x + main.width, 'behind its end');
  assert.match(await page.getByTestId('stack-free').textContent(), /not freed/);
  await close();
});

test('a process that was killed without a crash: by what, and with how much memory', async () => {
  const path = variantOf(fixture('F4'), 'F4-killed', ({ processes }) => {
    processes[0].crash = {
      crashes: [],
      death: { signal: 9, core: false, out_of_memory: true, reason: 'Its cgroup ran out of memory.', rss_bytes: 123456789, rss_time_ns: 100_000_000, cgroup: null, last_events: [] },
    };
  });
  const { page, faults, close } = await open(browser, path);
  assert.match(await page.getByTestId('verdict').textContent(), /Killed by SIGKILL.*out of memory/);
  assert.match(await page.getByTestId('crash').textContent(), /118 MiB/);
  assert.deepEqual(faults(), []);
  await close();
});
