// What the page computes, outside of it: layouts, histograms and filters, too, are those of Rust; and what the page says
// where it cannot compute.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { fixture, launch } from './harness.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

test('all figures of the page are those of Rust', () => {
  const said = execFileSync('node', [here('../golden.mjs'), fixture('F1'), fixture('F1').replace('.html', '.golden.json')], { encoding: 'utf8' });
  assert.match(said, /^[4-9]\d\d compared, 0 differ$/m);
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
  assert.match(said, /this browser lacks DecompressionStream\("deflate-raw"\); Chrome 103, Firefox 113 and Safari 16.4 have it/);
  assert.ok(still);
});

test('a damaged table is named, and the summary stays', async () => {
  const damaged = here('../dist/fixtures/damaged.html');
  writeFileSync(damaged, readFileSync(fixture('F1'), 'utf8').replace(/(id="p0-blocks">[^]{400})[^]{8}/, '$1AAAAAAAA'));
  const { said, still } = await failure(damaged);
  assert.match(said, /the table blocks of process 0 cannot be read/);
  assert.ok(still);
});
