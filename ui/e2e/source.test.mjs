// The page of source: the figures of lines add up to what is measured, the text is that of the file, names are text.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { developersPage, fixture, launch, open, param, sentence } from './harness.mjs';

let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

const number = (text) => Number(text.replaceAll(',', ''));
const demo = new URL('../../targets/demo.cpp', import.meta.url);

test('call sites add up to the blocks of the sentence, and the text is that of the file', async () => {
  const { page, faults, close } = await open(browser, fixture('F1'), { hash: '#/source?v=1&m=alloc&u=blocks' });
  await page.getByTestId('listing').waitFor();
  const rows = await page.getByTestId('hot-lines').locator('.table-row').evaluateAll((all) => all.map((row) => [row.children[0].textContent, row.children[2].querySelector('.num')?.textContent ?? '']));
  const files = rows.filter(([, line]) => line === '').map(([value]) => number(value));
  const lines = rows.filter(([, line]) => line !== '').map(([value]) => number(value));
  const all = number((await sentence(page)).match(/([\d,]+) blocks/)[1]);
  const sum = (of) => of.reduce((x, y) => x + y, 0);
  // What has no source (the runtime's own pool) is in no file.
  assert.ok(sum(files) <= all && sum(files) >= all - 2, `${sum(files)} of ${all}`);
  assert.equal(sum(lines), files[0], 'the lines of the open file are all of it');
  const shown = await page.getByTestId('listing').locator('.code-line').evaluateAll((all) => all.map((it) => [Number(it.dataset.line), it.querySelector('.code-text').textContent]));
  const text = readFileSync(demo, 'utf8').split('\n');
  assert.ok(shown.length > 10);
  for (const [line, code] of shown) assert.equal(code, text[line - 1], `line ${line}`);
  assert.deepEqual(faults(), []);
  await close();
});

test('what is selected elsewhere is what is shown; a press on a figure selects its line', async () => {
  const { page, close } = await open(browser, fixture('F1'), { hash: '#/leaks' });
  await page.getByTestId('leak-sites').locator('.table-row', { hasText: 'leak_ctx' }).click();
  await page.keyboard.press('s');
  const current = page.getByTestId('listing').locator('.code-current');
  await current.waitFor();
  assert.match(await current.textContent(), /malloc\(sizeof\(Context\)\)/);
  const pill = page.getByTestId('listing').locator('.pill').first();
  const line = await pill.locator('xpath=..').getAttribute('data-line');
  await pill.click();
  await page.waitForFunction((wanted) => document.querySelector('.code-current')?.dataset.line === wanted, line);
  await close();
});

test('with callees a line weighs what passes through it, recursion once', async () => {
  const { page, close } = await open(browser, developersPage, { hash: '#/source?v=1&m=alloc&u=blocks&ss=total' });
  await page.getByTestId('hot-lines').locator('.table-row').first().waitFor();
  const all = number((await sentence(page)).match(/([\d,]+) blocks/)[1]);
  const values = await page.getByTestId('hot-lines').locator('.table-row').evaluateAll((rows) => rows.map((row) => row.children[0].textContent));
  assert.ok(values.map(number).every((it) => it <= all));
  assert.ok(number(values[0]) > all / 2, 'main');
  await close();
});

test('a file that is not there: where it was looked for, and how to say where it is', async () => {
  const { page, faults, close } = await open(browser, developersPage, { hash: '#/source' });
  const rows = page.getByTestId('hot-lines').locator('.table-row');
  await rows.filter({ hasText: 'cache.hpp' }).click();
  const missing = page.getByTestId('source-missing');
  await missing.waitFor();
  assert.match(await missing.textContent(), /cache\.hpp.*--source-map .*=.*demo\.tape/s);
  assert.match(await param(page, 'sel'), /^site:\d+$/);
  assert.deepEqual(faults(), []);
  await close();
});
