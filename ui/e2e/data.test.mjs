// What the page computes: the figures of Rust (statements 5 and 6 of ui.md 4.15), in time (statement 3), and what it says where
// it cannot.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { fixture, launch, open } from './harness.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

test('all figures of the page are those of Rust', () => {
  const said = execFileSync('node', [here('../golden.mjs'), fixture('F1'), fixture('F1').replace('.html', '.golden.json')], { encoding: 'utf8' });
  assert.match(said, /^[4-9]\d\d compared, 0 differ$/m);
});

test('2 million blocks are ready in 1.5 s, and something is seen in 0.3 s', async () => {
  const [painted, ready] = [[], []];
  for (let k = 0; k < 5; k++) {
    const { page, faults, close } = await open(browser, fixture('F2'));
    painted.push(await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0].startTime));
    ready.push(await page.evaluate(() => window.__ht.perf.ready_ms));
    assert.deepEqual(faults(), []);
    await close();
  }
  const median = (values) => values.sort((x, y) => x - y)[2];
  assert.ok(median(painted) <= 300, `first paint: ${painted}`);
  assert.ok(median(ready) <= 1500, `ready: ${ready}`);
});

/** Opens a page that must fail: what it says, and whether what needs no script can still be read. */
async function failure(path, spoil) {
  const context = await browser.newContext({ offline: true });
  const page = await context.newPage();
  if (spoil) await page.addInitScript(spoil);
  await page.goto(pathToFileURL(path).href);
  const said = await page.locator('.failure').textContent({ timeout: 30_000 });
  const still = await page.locator('#static h1').isVisible();
  await context.close();
  return { said, still };
}

test('a browser that cannot inflate is told of, and the summary stays', async () => {
  const { said, still } = await failure(fixture('F1'), () => delete globalThis.DecompressionStream);
  assert.match(said, /this browser lacks DecompressionStream; Chrome 103, Firefox 113 and Safari 16.4 have it/);
  assert.ok(still);
});

test('a damaged table is named, and the summary stays', async () => {
  const damaged = here('../dist/fixtures/damaged.html');
  writeFileSync(damaged, readFileSync(fixture('F1'), 'utf8').replace(/(id="p0-blocks">.{400}).{8}/, '$1AAAAAAAA'));
  const { said, still } = await failure(damaged);
  assert.match(said, /the table blocks of process 0 cannot be read/);
  assert.ok(still);
});
