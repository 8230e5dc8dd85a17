// `heaptape ui --diff` in a browser: the page Diff asks the server for both recordings, and shows what the report of the same
// two tapes holds.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { fixture, launch, ready } from './harness.mjs';
import { overviewOf, tableOf } from './tables.mjs';

const heaptape = process.env.HEAPTAPE ?? fileURLToPath(new URL('../../target/release/heaptape', import.meta.url));
const tape = (name) => fixture('F9').replace('F9.html', name);

let browser;
let server;
let address;
before(async () => {
  browser = await launch();
  server = spawn(heaptape, ['ui', tape('F9.tape'), '--diff', tape('F9-other.tape')], { stdio: ['ignore', 'pipe', 'inherit'] });
  for await (const line of createInterface({ input: server.stdout })) {
    address = line.trim();
    break;
  }
});
after(async () => {
  server.kill();
  await browser.close();
});

/** Opens a page of the server; what goes wrong on it is kept. */
async function served(hash) {
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
  const faults = [];
  page.on('console', (message) => message.type() === 'error' && faults.push(message.text()));
  page.on('pageerror', (error) => faults.push(error.stack));
  page.on('request', (request) => request.url().startsWith(address) || faults.push(request.url()));
  await page.goto(address + hash);
  await ready(page);
  return { page, faults };
}

const blocks = (letter) => tableOf(fixture('F9'), `${letter}0-blocks`);
const shown = (count) => count.toLocaleString('en-US');

test('a served page compares two recordings, by site, function, backtrace and as a flame graph', async () => {
  const more = blocks('q').stack.length - blocks('p').stack.length;
  assert.ok(more > 0);
  const { page, faults } = await served('#/diff?v=1&m=alloc&u=blocks');
  await page.getByText('A, F9.tape').waitFor();
  for (const by of ['call site', 'function', 'backtrace', 'flame graph']) {
    await page.getByTestId('diff-by').getByRole('button', { name: by }).click();
    await page.waitForFunction((it) => document.querySelector('[data-testid=diff-total]')?.textContent === it, `+${shown(more)}`);
  }
  assert.deepEqual(faults, []);
  await page.close();
});

test('the filter, and the metrics of the end, count for both served recordings', async () => {
  const { page, faults } = await served('#/diff?v=1&m=alloc&u=blocks&q=size:%3E%3D4Ki');
  const large = (letter) => blocks(letter).size_lo.filter((size) => size >= 4096).length;
  await page.waitForFunction((it) => document.querySelector('[data-testid=diff-total]')?.textContent === it, `+${shown(large('q') - large('p'))}`);
  const never = (letter) => blocks(letter).died.filter((died) => died === 0xffffffff).length;
  await page.evaluate(() => void (location.hash = '#/diff?v=1&m=leaked&u=blocks'));
  await page.waitForFunction((it) => document.querySelector('[data-testid=diff-total]')?.textContent === it, `+${shown(never('q') - never('p'))}`);
  assert.deepEqual(faults, []);
  await page.close();
});

test('the served strip tells call sites apart as the report does', async () => {
  const { page, faults } = await served('#/summary?v=1&tall=1');
  await page.getByTestId('strip-sites').locator('button').first().waitFor();
  const sums = await page.evaluate(async () => {
    const { data } = window.__ht;
    const { start_ns, end_ns } = data.info;
    const middle = start_ns + (end_ns - start_ns) / 2;
    const { sites, bytes, points } = await data.series(middle, end_ns, 5, 1000);
    const at = (k) => sites.reduce((sum, _, row) => sum + bytes[row * points + k], 0);
    const live = async (ns) => (await data.total({ metric: 'live', t: data.times.at(ns), a: 0, b: 0, q: '' })).bytes;
    return [[at(0), await live(middle)], [at(4), await live(end_ns)]];
  });
  for (const [sum, live] of sums) assert.equal(sum, live);
  assert.ok(sums[0][1] !== sums[1][1] && overviewOf(fixture('F9')).processes[0].at_exit.bytes === sums[1][1]);
  assert.deepEqual(faults, []);
  await page.close();
});
