// The flame graph and the difference in a browser.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { developersPage, launch, open, param, sentence } from './harness.mjs';

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

const METRICS = ['live', 'peak', 'kept', 'leaked', 'alloc', 'freed', 'temp', 'diff'];

/** The text of an element, once it is there. */
const text = (page, id) => page.getByTestId(id).first().textContent();

/** Presses the menu's item and gives what the browser was made to save. */
async function saved(page, label) {
  await page.getByTestId('flame-export').click();
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('menuitem', { name: label }).click()]);
  return readFileSync(await download.path());
}

/** The exact bytes and blocks that the sentence's tooltip says. */
async function exact(page) {
  await sentence(page);
  const title = await page.getByTestId('sentence').getAttribute('title');
  const [, bytes, blocks] = /^(−?[\d,]+) B in (−?[\d,]+) blocks/.exec(title);
  const number = (it) => Number(it.replaceAll(',', '').replace('−', '-'));
  return { bytes: number(bytes), blocks: number(blocks) };
}

test('the root is the figure in the sentence, for every metric and unit', async () => {
  const { page, faults, close } = await open(browser, developersPage, { hash: '#/flame' });
  for (const metric of METRICS) {
    for (const unit of ['bytes', 'blocks']) {
      await page.evaluate((hash) => void (location.hash = hash), `#/flame?m=${metric}&u=${unit}&a=700ms&b=1300ms`);
      await page.waitForFunction((wanted) => window.__ht.state.includes(wanted), metric === 'live' ? 'a=' : `m=${metric}`);
      const said = await sentence(page);
      const figure = said.match(/: (?:about )?(−?[\d.,]+(?: [KMGT]?i?B)?)/)[1];
      await page.waitForFunction((wanted) => document.querySelector('[data-testid=flame-info] b')?.textContent.replace('+', '') === wanted, figure);
    }
  }
  assert.deepEqual(faults(), []);
  await close();
});

test('a search counts each byte once, and n goes from match to match (statement 11)', async () => {
  const { page, faults, close } = await open(browser, developersPage, { hash: '#/flame?m=alloc&fold=none' });
  const folded = (await saved(page, 'Folded stacks (text)')).toString().trim().split('\n');
  // Written out stack by stack, without trees: main is above nearly all, its callees are in it.
  for (const pattern of ['main', 'demo::', 'Worker|operator', 'sqlite', 'no such function']) {
    const fits = new RegExp(pattern, 'iu');
    const wanted = folded.filter((line) => fits.test(line.slice(0, line.lastIndexOf(' ')))).reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
    await page.getByTestId('flame-search').fill(pattern);
    const found = page.getByTestId('flame-found');
    await page.waitForFunction((bytes) => Number(document.querySelector('[data-testid=flame-found]')?.dataset.bytes) === bytes, wanted);
    assert.equal((await found.textContent()) === 'no frame fits', wanted === 0);
  }
  await page.getByTestId('flame-search').fill('open_session|parse');
  await page.getByTestId('flame-search').press('Escape');
  assert.equal(await param(page, 'find'), null);
  await page.getByTestId('flame-search').fill('sqlite3_exec|build_key');
  await page.waitForFunction(() => Number(document.querySelector('[data-testid=flame-found]')?.dataset.bytes) > 0);
  await page.getByTestId('flame-canvas').focus();
  const heard = [];
  for (let k = 0; k < 4; k++) {
    const before = await text(page, 'flame-canvas-live');
    await page.keyboard.press('n');
    await page.waitForFunction((it) => document.querySelector('[data-testid=flame-canvas-live]').textContent !== it, before);
    heard.push((await text(page, 'flame-canvas-live')).split(',')[0]);
  }
  assert.equal(new Set(heard).size, 2, heard.join());
  assert.equal(heard[0], heard[2]);
  // What is no regular expression is marked, and the last one stays.
  await page.getByTestId('flame-search').fill('sqlite(');
  assert.equal(await page.getByTestId('flame-search').getAttribute('aria-invalid'), 'true');
  assert.equal(await param(page, 'find'), 'sqlite3_exec|build_key');
  assert.deepEqual(faults(), []);
  await close();
});

test('keyboard only: to Flame, into the largest child of the root, to its source and back (statement 12)', async () => {
  const { page, faults, close } = await open(browser, developersPage, { hash: '#/summary' });
  let presses = 0;
  const press = async (key) => {
    presses++;
    await page.keyboard.press(key);
    await page.waitForTimeout(250);
  };
  await press('2');
  await page.getByTestId('flame-canvas').waitFor();
  await page.waitForFunction(() => document.activeElement?.classList.contains('flame-canvas'));
  await press('ArrowDown');
  assert.match(await text(page, 'flame-canvas-live'), /^main, [\d.]+ [KM]iB, [\d.]+ %, level 1, child 1 of \d+$/);
  await press('Enter');
  assert.match(await text(page, 'flame-crumbs'), /main/);
  await press('s');
  assert.match(await page.evaluate(() => window.__ht.state), /^#\/source\?.*sel=/);
  // Back, as the browser's key does it: headless browsers have none.
  presses++;
  await page.goBack();
  assert.match(await page.evaluate(() => window.__ht.state), /^#\/flame/);
  assert.match(await text(page, 'flame-crumbs'), /main/);
  await page.waitForFunction(() => document.activeElement?.classList.contains('flame-canvas'));
  await press('Backspace');
  assert.equal(await param(page, 'z'), null);
  assert.ok(presses <= 15);
  assert.deepEqual(faults(), []);
  await close();
});

test('a drag on the strip changes the graph without any other click (statement 8)', async () => {
  const { page, close } = await open(browser, developersPage, { hash: '#/flame?m=alloc' });
  await page.getByTestId('flame-canvas').waitFor();
  const before = await text(page, 'flame-info');
  const strip = await page.getByTestId('strip-plot').boundingBox();
  await page.mouse.move(strip.x + 0.4 * strip.width, strip.y + 40);
  await page.mouse.down();
  await page.mouse.move(strip.x + 0.6 * strip.width, strip.y + 40, { steps: 5 });
  await page.mouse.up();
  const said = await sentence(page);
  const figure = said.match(/: ([\d.,]+ [KMGT]?i?B)/)[1];
  await page.waitForFunction((wanted) => document.querySelector('[data-testid=flame-info] b')?.textContent === wanted, figure);
  assert.notEqual(await text(page, 'flame-info'), before);
  await close();
});

test('pointer: click selects, double-click zooms, a right click opens a menu that leads to the sandwich', async () => {
  const { page, faults, close } = await open(browser, developersPage, { hash: '#/flame?m=alloc&u=blocks' });
  const canvas = page.getByTestId('flame-canvas');
  await canvas.click({ position: { x: 200, y: 33 } });
  assert.match(await param(page, 'sel'), /^stack:\d+$/);
  await canvas.dblclick({ position: { x: 200, y: 55 } });
  assert.match(await text(page, 'flame-crumbs'), /allmain.+/);
  await page.goBack();
  assert.equal(await param(page, 'z'), null);
  await canvas.click({ position: { x: 200, y: 33 }, button: 'right' });
  await page.getByRole('menuitem', { name: 'Callers and callees' }).click();
  await page.getByTestId('sandwich').waitFor();
  assert.match(await text(page, 'flame-info'), /^main/);
  await page.getByTestId('flame-turn').getByText('top-down').click();
  await canvas.click({ position: { x: 200, y: 33 }, button: 'right' });
  await page.getByRole('menuitem', { name: 'Fold this function into its callers' }).click();
  assert.match(await param(page, 'hide'), /^\d+$/);
  await canvas.hover({ position: { x: 200, y: 33 } });
  assert.doesNotMatch(await text(page, 'flame-info'), /^main/);
  assert.deepEqual(faults(), []);
  await close();
});

test('y shows the same frames as a tree of rows', async () => {
  const { page, faults, close } = await open(browser, developersPage, { hash: '#/flame?m=alloc' });
  await page.getByTestId('flame-canvas').focus();
  await page.keyboard.press('y');
  const table = page.getByRole('treegrid');
  await table.waitFor();
  const said = await sentence(page);
  assert.ok((await table.locator('.table-totals').textContent()).includes(said.match(/: ([\d.]+ [KM]iB)/)[1]));
  const rows = table.locator('.table-row');
  const first = await rows.count();
  await table.focus();
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('ArrowUp');
  await page.keyboard.press('ArrowLeft');
  await page.waitForFunction((count) => document.querySelectorAll('.table-row').length < count, first);
  await page.keyboard.press('ArrowRight');
  await page.waitForFunction((count) => document.querySelectorAll('.table-row').length === count, first);
  assert.deepEqual(faults(), []);
  await close();
});

test('threads have trees of their own that add up', async () => {
  const { page, faults, close } = await open(browser, developersPage, { hash: '#/flame?m=alloc&threads=1&table=1' });
  const table = page.getByRole('treegrid');
  await table.waitFor();
  await page.waitForFunction(() => document.querySelector('.table-row')?.textContent.includes('thread '));
  const { bytes } = await exact(page);
  const names = await table.locator('.table-row[aria-level="1"]').allTextContents();
  assert.ok(names.length >= 2 && names.every((it) => it.includes('thread ')), names.join('\n'));
  assert.ok(bytes > 0);
  assert.deepEqual(faults(), []);
  await close();
});

test('files hold all of it: speedscope, pprof, and a picture in which names are text', async () => {
  const { page, faults, close } = await open(browser, developersPage, { hash: '#/flame?m=alloc' });
  const { bytes, blocks } = await exact(page);
  const speedscope = JSON.parse(await saved(page, 'speedscope (JSON)'));
  const [profile] = speedscope.profiles;
  assert.equal(profile.weights.reduce((sum, it) => sum + it, 0), bytes);
  assert.equal(profile.endValue, bytes);
  assert.ok(profile.samples.flat().every((frame) => typeof speedscope.shared.frames[frame].name === 'string'));
  const picture = (await saved(page, 'Picture of this view (SVG)')).toString();
  const parsed = await page.evaluate((source) => {
    const drawn = new DOMParser().parseFromString(source, 'image/svg+xml');
    return { wrong: drawn.querySelector('parsererror')?.textContent ?? '', names: [...new Set([...drawn.querySelectorAll('*')].map((it) => it.localName))].sort() };
  }, picture);
  assert.deepEqual(parsed, { wrong: '', names: ['g', 'rect', 'svg', 'text', 'title'] });
  const { gunzipSync } = await import('node:zlib');
  assert.deepEqual(pprofSums(gunzipSync(await saved(page, 'pprof (gzip)'))), [blocks, bytes]);
  assert.deepEqual(faults(), []);
  await close();
});

/** The sums of the values of a profile's samples (field 2; in it field 2, packed). */
function pprofSums(bytes) {
  const fields = function* (from, to) {
    let at = from;
    const varint = () => {
      let [value, scale] = [0, 1];
      for (; ; scale *= 128) {
        const byte = bytes[at++];
        value += (byte & 127) * scale;
        if (byte < 128) return value;
      }
    };
    while (at < to) {
      const key = varint();
      if (key % 8 === 0) yield { field: key >> 3, value: varint() };
      else {
        const length = varint();
        yield { field: key >> 3, from: at, to: at + length, varint, read: (many) => { const end = at; at = many.from; const all = []; while (at < many.to) all.push(varint()); at = end; return all; } };
        at += length;
      }
    }
  };
  const sums = [0, 0];
  for (const sample of fields(0, bytes.length)) {
    if (sample.field !== 2) continue;
    for (const part of fields(sample.from, sample.to)) {
      if (part.field !== 2) continue;
      part.read(part).forEach((value, k) => (sums[k] += value));
    }
  }
  return sums;
}

test('the difference is that of the sentence, in rows and in the graph', async () => {
  const { page, faults, close } = await open(browser, developersPage, { hash: '#/diff?m=diff&a=700ms&b=1300ms' });
  await page.getByTestId('diff-table').waitFor();
  const said = await sentence(page);
  const figure = said.match(/: (−?[\d.]+ [KM]iB)/)[1];
  assert.equal((await text(page, 'diff-total')).replace('+', ''), figure);
  assert.ok((await page.locator('.table-totals').textContent()).replace('+', '').includes(figure));
  await page.getByTestId('diff-by').getByText('flame graph').click();
  await page.getByTestId('flame-canvas').waitFor();
  assert.equal((await page.locator('[data-testid=flame-info] b').textContent()).replace('+', ''), figure);
  // A mark that is set while the page is shown is an end of the range.
  await page.keyboard.press('Home');
  await page.keyboard.press('a');
  await page.waitForFunction(() => !new URLSearchParams(window.__ht.state.split('?')[1]).has('a'));
  assert.deepEqual(faults(), []);
  await close();
});

test('two recordings are compared by function, file and line', async () => {
  const { page, faults, close } = await open(browser, developersPage, { query: '?second=2', hash: '#/diff?between=recordings' });
  await page.getByTestId('diff-table').waitFor();
  assert.match(await text(page, 'diff-unmatched'), /^Matched by function, file and line of each frame\. Only in A: \d+ backtraces? \(.+\); only in B: \d+ backtraces? \(.+\)\.$/);
  await close();
  // A recording differs in nothing from itself.
  const same = await open(browser, developersPage, { query: '?second=1', hash: '#/diff?between=recordings' });
  await same.page.getByTestId('diff-table').waitFor();
  assert.equal(await text(same.page, 'diff-total'), '0 B');
  assert.match(await text(same.page, 'diff-unmatched'), /Only in A: 0 backtraces \(0 B\); only in B: 0 backtraces \(0 B\)/);
  assert.deepEqual([...faults(), ...same.faults()], []);
  await same.close();
});

test('axe finds nothing serious on these pages', async () => {
  const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
  for (const theme of ['light', 'dark']) {
    const { page, close } = await open(browser, developersPage, { hash: '#/flame', theme });
    await page.evaluate(axe);
    for (const [hash, width] of [['#/flame', 1440], ['#/flame?turn=sandwich', 1024], ['#/flame?table=1', 1024], ['#/tables', 1440], ['#/tables?rows=callers', 1024], ['#/diff', 1440], ['#/diff?by=flame&a=1000ms', 1024]]) {
      await page.setViewportSize({ width, height: 800 });
      await page.evaluate((it) => void (location.hash = it), hash);
      await page.waitForTimeout(400);
      const { violations } = await page.evaluate(() => window.axe.run(document.querySelector('main') ?? document));
      const bad = violations.filter((it) => it.impact === 'serious' || it.impact === 'critical');
      assert.deepEqual(bad.map((it) => `${hash} ${theme}: ${it.id}: ${it.nodes.map((node) => node.html.slice(0, 120)).slice(0, 3).join(' | ')}`), []);
    }
    await close();
  }
});

test('who has scrolled down stays there while T moves', async () => {
  const { page, close } = await open(browser, developersPage, { hash: '#/flame?fold=none&m=live', width: 1024, height: 560 });
  const at = () => page.evaluate(() => document.querySelector('.flame-window').scrollTop);
  const down = await page.evaluate(() => {
    const window = document.querySelector('.flame-window');
    window.scrollTop = window.scrollHeight;
    return window.scrollTop;
  });
  assert.ok(down > 22, 'the graph is higher than its window');
  const before = await sentence(page);
  const box = await page.getByTestId('strip-plot').boundingBox();
  await page.mouse.click(box.x + box.width * 0.7, box.y + box.height / 2);
  await page.waitForFunction((before) => {
    const line = document.querySelector('[data-testid=sentence]');
    return line.textContent.trim() !== before && !line.textContent.endsWith('…') && !line.querySelector('.sentence-pending');
  }, before);
  const high = await page.evaluate(() => document.querySelector('.flame-window').scrollHeight - document.querySelector('.flame-window').clientHeight);
  assert.equal(await at(), Math.min(down, high));
  await close();
});

test('the modules that fill most of the graph have colours of their own, the one that fills most the first', async () => {
  const { page, close } = await open(browser, developersPage, { hash: '#/flame' });
  const wanted = await page.evaluate(async () => {
    const { stacks, info } = window.__ht.data;
    const area = new Map();
    for (const metric of ['peak', 'leaked']) {
      const { bytes } = await window.__ht.data.weigh({ metric, t: 0, a: 0, b: info.event_count, q: '' });
      for (let stack = 1; stack < stacks.count; stack++)
        for (let at = stack; at > 0; at = stacks.parent[at]) {
          const module = stacks.frames.module[stacks.frame[at]];
          area.set(module, (area.get(module) ?? 0) + bytes[stack]);
        }
    }
    const ranked = [...area].filter(([, it]) => it > 0).sort((x, y) => y[1] - x[1] || x[0] - y[0]);
    return ranked.slice(0, 7).map(([module]) => stacks.frames.strings[module].replace(/.*\//, ''));
  });
  assert.ok(wanted.length > 2);
  await page.waitForFunction((most) => document.querySelectorAll('.flame-legend bdi').length === most, wanted.length);
  assert.deepEqual(await page.locator('.flame-legend bdi').allTextContents(), wanted);
  await close();
});
