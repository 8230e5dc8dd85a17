// The page Layout (ui.md 4.7) on the developer's page: `node dev.mjs` first. Statements about it: golden, map, smooth.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { developersPage, launch, open, param } from './harness.mjs';

const HEAP = 0x559f6b7cf000;
const GUTTER = 114;

let browser;
/** The same process as on the page, here. */
let data;
before(async () => {
  browser = await launch();
  const entry = fileURLToPath(new URL('../src/data/synthetic/synthetic.ts', import.meta.url));
  const { outputFiles } = await build({ entryPoints: [entry], bundle: true, write: false, format: 'esm', platform: 'node' });
  const { syntheticSource } = await import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString('base64')}`);
  data = await syntheticSource({ blocks: 30_000, seed: 1, crash: true }).open(0);
});
after(() => browser.close());

/** Opens the page at a hash, and waits until the picture and the layout are those of T. */
async function show(hash = '', more = {}) {
  const opened = await open(browser, developersPage, { hash: `#/layout?v=1${hash}`, ...more });
  await settled(opened.page);
  return opened;
}

async function settled(page) {
  await page.waitForFunction(() => {
    const busy = document.querySelector('[data-testid=layout-fragmentation]');
    return busy !== null && !document.querySelector('[data-testid=layout-sentence][aria-busy=true]');
  });
  // The picture is drawn in the frame after its answer.
  await page.evaluate(() => new Promise((done) => setTimeout(() => requestAnimationFrame(() => requestAnimationFrame(done)), 60)));
}

const map = (page) => page.getByTestId('layout-map');

/** What the picture is made of, as the page says. */
async function geometry(page) {
  const box = await map(page).boundingBox();
  const say = async (name) => Number(await map(page).getAttribute(name));
  return { box, width: box.width - GUTTER, top: await say('data-top'), rowBytes: await say('data-row-bytes'), rowPx: await say('data-row-px') };
}

/** Footprints of the blocks live at a position, by address, without the page's or the engine's own code for it. */
async function footprints(t) {
  const { rows } = await data.live(t, 0, 2 ** 53, 1e7);
  const blocks = Array.from({ length: rows.count }, (_, k) => {
    const start = rows.addr[k];
    return { id: rows.id[k], start, own: start + Math.max(rows.size[k], rows.usable[k]), site: data.stacks.site[rows.stack[k]] };
  });
  return blocks.map((it, k) => {
    const next = blocks[k + 1]?.start ?? Infinity;
    return { ...it, end: next - it.own < 32 && next > it.own ? next : it.own };
  });
}

test('a drag over the map lists the blocks of its addresses', async () => {
  const t = data.info.event_count >> 1;
  const { page, close } = await show(`&t=${t}&map-region=${HEAP.toString(16)}&map-zoom=13`);
  const { box, width, rowBytes } = await geometry(page);
  await page.mouse.move(box.x + GUTTER + 50.5, box.y + 30);
  await page.mouse.down();
  await page.mouse.move(box.x + GUTTER + 200.5, box.y + 31, { steps: 4 });
  await page.mouse.up();
  await page.waitForFunction(() => window.__ht.state.startsWith('#/blocks'));
  const [, lo, hi] = /^addr:(0x[0-9a-f]+)\.\.(0x[0-9a-f]+)$/.exec(await param(page, 'q'));
  const px = rowBytes / width;
  assert.ok(Math.abs(Number(lo) - (HEAP + 50 * px)) <= 2 * px && Math.abs(Number(hi) - (HEAP + 201 * px)) <= 2 * px, `${lo}..${hi}`);
  await close();
});

test('the box goes to an address, a block and a function, and says where there is none', async () => {
  const t = data.info.event_count >> 1;
  const blocks = await footprints(t);
  const { page, faults, close } = await show(`&t=${t}`);
  const box = page.getByTestId('layout-goto');
  const go = async (text) => {
    await box.fill(text);
    await box.press('Enter');
    await page.waitForTimeout(250);
  };
  const wanted = blocks[blocks.length >> 1];
  await go(`0x${wanted.start.toString(16)}`);
  const seen = await geometry(page);
  assert.ok(seen.top <= wanted.start && wanted.start < seen.top + (seen.box.height / seen.rowPx) * seen.rowBytes);
  await go(`#${wanted.id}`);
  assert.equal(await param(page, 'sel'), `block:${wanted.id}`);
  await go('leak_context');
  assert.match(await param(page, 'sel'), /^site:\d+$/);
  await go('0x10');
  assert.match(await page.locator('.goto-said').textContent(), /No block was seen near 0x10/);
  await go('#99999999');
  assert.match(await page.locator('.goto-said').textContent(), /There is no block/);
  await go('no such function');
  assert.match(await page.locator('.goto-said').textContent(), /No call site is called/);
  assert.deepEqual(faults(), []);
  await close();
});

test('without a mouse: arrows move, + and − zoom, Enter selects, y shows a table, and all is said', async () => {
  const t = data.info.event_count >> 1;
  const { page, close } = await show(`&t=${t}&map-region=${HEAP.toString(16)}&map-zoom=11`);
  await map(page).focus();
  const said = async () => (await page.waitForTimeout(150), page.getByTestId('layout-live').textContent());
  await page.keyboard.press('ArrowRight');
  const first = await said();
  assert.match(first, /^Block \d+ at 0x[0-9a-f]+, \d/);
  await page.keyboard.press('ArrowRight');
  assert.notEqual(await said(), first);
  assert.equal(await param(page, 't'), String(t), 'the arrows are the map’s');
  const id = /^Block (\d+)/.exec(await said())[1];
  await page.keyboard.press('Enter');
  await page.waitForTimeout(100);
  assert.equal(await param(page, 'sel'), `block:${id}`);
  await page.keyboard.press('+');
  assert.equal(await param(page, 'map-zoom'), '10');
  await page.keyboard.press('-');
  await page.keyboard.press('-');
  assert.equal(await param(page, 'map-zoom'), '12');
  await page.keyboard.press('y');
  await page.getByTestId('layout-blocks').getByRole('row').nth(5).waitFor();
  assert.ok(await page.getByTestId('layout-blocks').getByRole('row').count() > 5);
  await page.keyboard.press('y');
  assert.equal(await page.getByTestId('layout-blocks').count(), 0);
  await close();
});

test('the filter and “only one site” leave colour to what they keep', async () => {
  const hues = async (hash) => {
    const { page, faults, close } = await show(`&t=${data.info.peak.position}&map-region=${HEAP.toString(16)}${hash}`, { theme: 'dark' });
    await page.waitForTimeout(300);
    const found = await page.evaluate((gutter) => {
      const canvas = document.querySelector('[data-testid=layout-map] canvas');
      const pixels = canvas.getContext('2d').getImageData(Math.ceil(gutter * devicePixelRatio), 20, canvas.width, canvas.height - 20).data;
      const hues = new Set();
      for (let at = 0; at < pixels.length; at += 4) {
        const [r, g, b] = pixels.subarray(at, at + 3);
        const [most, least] = [Math.max(r, g, b), Math.min(r, g, b)];
        if (most - least < 60) continue;
        const hue = most === r ? (g - b) / (most - least) + 6 : most === g ? (b - r) / (most - least) + 2 : (r - g) / (most - least) + 4;
        hues.add(Math.round(hue * 2) % 12);
      }
      return [...hues];
    }, GUTTER);
    const said = await page.getByTestId('layout-filtered').allTextContents();
    assert.deepEqual(faults(), []);
    await close();
    return { found, said };
  };
  const all = await hues('');
  assert.ok(all.found.length >= 4, String(all.found));
  assert.deepEqual(all.said, []);
  const { rows } = await data.live(data.info.peak.position, 0, 2 ** 53, 1e7);
  const sites = Array.from(rows.stack, (stack) => data.stacks.site[stack]);
  const frames = data.stacks.frames;
  const leak = frames.short.findIndex((name) => frames.strings[name] === 'demo::leak_context');
  const one = await hues(`&map-only=${leak}`);
  assert.equal(one.found.length, 1, String(one.found));
  const filtered = await hues('&q=fn:leak_context');
  assert.deepEqual(filtered.found, one.found);
  assert.match(filtered.said[0], new RegExp(`^${sites.filter((site) => site === leak).length} blocks that the filter keeps`));
  const none = await hues('&q=fn:no_such_function');
  assert.deepEqual(none.found, []);
});

test('Back undoes a zoom; the wheel is one step of it', async () => {
  const { page, close } = await show('');
  const { box, rowBytes } = await geometry(page);
  await page.mouse.move(box.x + 300, box.y + 60);
  await page.mouse.wheel(0, -100);
  await page.mouse.wheel(0, -100);
  await page.waitForTimeout(600);
  assert.equal((await geometry(page)).rowBytes, rowBytes / 4);
  await page.goBack();
  await page.waitForTimeout(200);
  assert.equal((await geometry(page)).rowBytes, rowBytes);
  await close();
});

test('time × address: a click sets T and selects the block that is there then', async () => {
  const { page, faults, close } = await show('&map=time');
  await page.waitForTimeout(500);
  const box = await page.getByTestId('layout-time').boundingBox();
  const before = await param(page, 't');
  let hit = false;
  for (const [x, y] of [[0.55, 0.5], [0.6, 0.3], [0.7, 0.2], [0.5, 0.8]]) {
    await page.mouse.click(box.x + GUTTER + (box.width - GUTTER) * x, box.y + box.height * y);
    await page.waitForTimeout(200);
    const sel = await param(page, 'sel');
    if (sel === null) continue;
    hit = true;
    const t = Number((await param(page, 't')) ?? data.info.peak.position);
    assert.ok((await footprints(t)).some(({ id }) => `block:${id}` === sel), 'it is live at the new T');
    break;
  }
  assert.ok(hit);
  assert.notEqual(await param(page, 't'), before);
  assert.deepEqual(faults(), []);
  await close();
});

test('time × address has the colours of the rows but for age, and follows the filter', async () => {
  const { page, faults, close } = await show('&map=time');
  const picture = () => page.getByTestId('layout-time').locator('canvas').first().evaluate((canvas) => canvas.toDataURL());
  const another = async (than) => {
    await page.waitForFunction((was) => document.querySelector('[data-testid=layout-time] canvas').toDataURL() !== was, than);
    return picture();
  };
  // Which sites have colours comes later than the map itself; the legend is drawn after both.
  await page.waitForFunction(() => {
    const canvas = document.querySelector('[data-testid=layout-time] canvas');
    const empty = Object.assign(document.createElement('canvas'), { width: canvas.width, height: canvas.height });
    return canvas.toDataURL() !== empty.toDataURL() && document.querySelectorAll('.layout-swatch').length > 5;
  });
  const seen = [await picture()];
  for (const by of ['size', 'lifetime', 'thread', 'leak']) {
    await page.getByTestId(`layout-colour-${by}`).click();
    seen.push(await another(seen.at(-1)));
  }
  assert.equal(new Set(seen).size, seen.length);
  assert.equal(await page.getByTestId('layout-colour-age').count(), 0);
  // Of a link that names it, call sites have the colours.
  await page.evaluate(() => void (location.hash = '#/layout?v=1&map=time&map-colour=age'));
  await page.waitForFunction((was) => document.querySelector('[data-testid=layout-time] canvas').toDataURL() === was, seen[0]);
  assert.equal(await page.getByTestId('layout-colour-site').getAttribute('aria-pressed'), 'true');
  const line = page.getByTestId('layout-time-line');
  await page.evaluate(() => void (location.hash = '#/layout?v=1&map=time&q=size%3A%3E%3D1Ki'));
  const some = await another(seen[0]);
  assert.match(await page.getByTestId('layout-filtered').textContent(), /others are grey/);
  await page.evaluate(() => void (location.hash = '#/layout?v=1&map=time&q=fn%3Anowhere'));
  await another(some);
  await page.waitForFunction((it) => it.textContent.includes('keeps no block that is in sight'), await line.elementHandle());
  const box = await page.getByTestId('layout-time').boundingBox();
  await page.mouse.move(box.x + GUTTER + (box.width - GUTTER) * 0.6, box.y + 4);
  await page.waitForFunction((it) => /used by blocks that the filter does not keep$/.test(it.textContent), await line.elementHandle());
  assert.deepEqual(faults(), []);
  await close();
});

test('where there is little room, colours are a list, over time too (there it had not been measured)', async () => {
  const { page, faults, close } = await show('&map=time', { width: 1024, height: 640 });
  await page.locator('select[data-testid=layout-colour]').selectOption('lifetime');
  await page.waitForFunction(() => document.querySelector('.layout-legend').textContent.includes('never freed'));
  assert.equal(await param(page, 'map-colour'), 'lifetime');
  assert.deepEqual(faults(), []);
  await close();
});

test('nothing is live at T: the page says so and shows the way', async () => {
  const { page, close } = await show('&t=0');
  assert.match(await page.locator('.layout-empty').textContent(), /Nothing is live at T/);
  await page.getByTestId('layout').getByRole('button', { name: 'T to the peak' }).click();
  await page.waitForFunction(() => !document.querySelector('.layout-empty'));
  await close();
});

test('no number is cut, nothing scrolls sideways, and axe finds nothing serious', { timeout: 120_000 }, async () => {
  const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
  for (const theme of ['light', 'dark']) {
    for (const [width, height] of [[1440, 900], [1024, 640]]) {
      const { page, faults, close } = await show('', { theme, width, height });
      await page.evaluate(axe);
      for (const hash of ['', '&map=pages', '&map=time', '&map-table=1', '&ma=2000&mb=9000&map-changes=1']) {
        await page.evaluate((it) => void (location.hash = it), `#/layout?v=1${hash}`);
        await page.waitForTimeout(150);
        await settled(page);
        const where = `${theme} ${width} ${hash}`;
        const cut = await page.evaluate(() =>
          [...document.querySelectorAll('.layout-page .numeric, .layout-page .fact, .layout-page .zoom-text')]
            .filter((it) => it.scrollWidth > it.clientWidth + 1 && getComputedStyle(it).display !== 'inline')
            .map((it) => it.textContent),
        );
        assert.deepEqual(cut, [], where);
        assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), where);
        const found = await page.evaluate(() => window.axe.run('.layout-page', { resultTypes: ['violations'] }));
        const serious = found.violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
        assert.deepEqual(serious.map(({ id, nodes }) => [id, nodes[0].html]), [], where);
        assert.deepEqual(faults(), [], where);
      }
      await close();
    }
  }
});
