// Every page for everyone (statements 12 and 20 of ui.md 4.15): by keys alone, with little sight, without green, in both themes,
// on a large and a small display.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { fixture, launch, open, param, state } from './harness.mjs';

const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const PAGES = ['summary', 'flame', 'tables', 'layout', 'blocks', 'histograms', 'leaks', 'diff', 'source', 'about'];

let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

test('statement 12: by keys alone to Flame, into the largest child of the root, to its source and back, in 15 presses', async () => {
  const { page, faults, close } = await open(browser, fixture('F1'));
  let presses = 0;
  const press = async (key, until) => {
    presses++;
    await page.keyboard.press(key);
    await page.waitForFunction(until, null, { timeout: 5000 });
    assert.ok(await focusIsSeen(page), `after ${key}`);
  };
  const live = () => page.getByTestId('flame-canvas-live').textContent();
  await press('2', () => document.activeElement?.classList.contains('flame-canvas'));
  await press('ArrowDown', () => document.querySelector('[data-testid=flame-canvas-live]').textContent !== '');
  if (!/level 1, child 1 of/.test(await live())) await press('ArrowDown', () => /level 1/.test(document.querySelector('[data-testid=flame-canvas-live]').textContent));
  const largest = (await live()).split(',')[0];
  assert.match(await live(), /level 1, child 1 of \d+$/);
  await press('Enter', () => window.__ht.state.includes('z='));
  assert.match(await page.getByTestId('flame-crumbs').textContent(), new RegExp(largest.replace(/[^\w]/g, '.')));
  await press('s', () => window.__ht.state.startsWith('#/source'));
  assert.match(await state(page), /sel=/);
  await page.getByTestId('listing').waitFor();
  assert.ok(await focusIsSeen(page));
  presses++;
  // As the browser's key for Back does: without a window there is none.
  await page.goBack();
  await page.waitForFunction(() => window.__ht.state.startsWith('#/flame') && document.activeElement?.classList.contains('flame-canvas'));
  assert.notEqual(await param(page, 'z'), null, 'it is zoomed as before');
  await press('Backspace', () => !window.__ht.state.includes('z='));
  assert.ok(presses <= 15, `${presses} presses`);
  assert.deepEqual(faults(), []);
  await close();
});

/** Whether what has the keyboard is marked: by an outline of its own, or where the page has it, by none. */
function focusIsSeen(page) {
  return page.evaluate(() => {
    const element = document.activeElement;
    if (!element || element === document.body) return true;
    const seen = (it) => {
      const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(it);
      return (outlineStyle !== 'none' && parseFloat(outlineWidth) >= 1) || boxShadow !== 'none';
    };
    return seen(element);
  });
}

for (const theme of ['light', 'dark']) {
  test(`statement 20: axe finds nothing serious, and no number is cut or odd, on any page: ${theme}`, { timeout: 180_000 }, async () => {
    for (const [name, pages] of [['F1', PAGES], ['F4', ['crash']], ['F7', ['blocks']]]) {
      // The page's own policy lets no other script in.
      const { page, faults, close } = await open(browser, fixture(name), { hash: `#/${pages[0]}`, theme, bypassCSP: true });
      await page.addScriptTag({ path: axe });
      for (const id of pages) {
        await page.getByTestId(`tab-${id}`).click();
        for (const [width, height] of [[1440, 900], [1024, 640]]) {
          await page.setViewportSize({ width, height });
          await quiet(page);
          const where = `${name} ${id}, ${theme}, ${width} px`;
          const { violations } = await page.evaluate(() => window.axe.run({ resultTypes: ['violations'] }));
          const grave = violations.filter((it) => it.impact === 'serious' || it.impact === 'critical');
          assert.deepEqual(grave.map((it) => [it.id, it.nodes.map((node) => node.html.slice(0, 160))]), [], where);
          assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${where}: too wide`);
          const { cut, odd, numbers } = await texts(page);
          assert.deepEqual({ cut, odd }, { cut: [], odd: [] }, where);
          assert.ok(numbers > 0, `${where} has numbers`);
        }
      }
      assert.deepEqual(faults(), []);
      await close();
    }
  });
}

for (const theme of ['light', 'dark']) {
  test(`with colours that the system forces, data keep theirs and can be told from what is around them: ${theme}`, async () => {
    const { page, faults, close } = await open(browser, fixture('F1'), { hash: '#/layout', theme, forcedColors: 'active' });
    await quiet(page);
    const [canvas, text] = await page.evaluate(() => {
      const probe = document.body.appendChild(document.createElement('i'));
      return ['Canvas', 'CanvasText'].map((it) => (probe.style.setProperty('background', it), getComputedStyle(probe).backgroundColor.match(/\d+/g).map(Number)));
    });
    assert.ok(contrast(canvas, text) > 7, 'the colours are forced');
    const painted = () => page.evaluate(() => {
      const map = document.querySelector('.layout-maps canvas');
      const { data } = map.getContext('2d').getImageData(0, 0, map.width, map.height);
      const found = new Map();
      for (let at = 0; at < data.length; at += 4) {
        const key = data[at + 3] === 255 ? `${data[at]},${data[at + 1]},${data[at + 2]}` : '';
        found.set(key, (found.get(key) ?? 0) + 1);
      }
      found.delete('');
      return [...found].sort((x, y) => y[1] - x[1]).map(([key]) => key.split(',').map(Number));
    });
    const swatches = await page.locator('.layout-swatch i:not(.hole)').evaluateAll((all) => all.map((it) => getComputedStyle(it).backgroundColor.match(/[\d.]+/g).map(Number)));
    assert.ok(swatches.filter((it) => contrast(it.slice(0, 3), canvas) >= 1.3).length === swatches.length, `the legend is ${swatches.join(' | ')} on ${canvas}`);
    assert.ok((await painted()).some((it) => it.every((part, k) => Math.abs(part - swatches[0][k]) <= 3)), 'the colours of the legend are those of the map');
    // In the end most of it are holes.
    await page.keyboard.press('End');
    await quiet(page);
    const [hole] = await painted();
    assert.ok(contrast(hole, canvas) >= 1.15 && contrast(hole, text) >= 3, `holes are ${hole} on ${canvas}`);
    // Names are painted by halves: the whole, over them, must not be seen.
    assert.equal(await page.evaluate(() => getComputedStyle(document.querySelector('.name-text')).color), 'rgba(0, 0, 0, 0)');
    // What is chosen is marked without a background.
    await page.getByTestId('tab-tables').click();
    await page.locator('.table-row').first().click();
    await page.waitForFunction(() => document.querySelector('.table-row[aria-selected=true]'));
    assert.equal(await page.locator('.table-row[aria-selected=true]').first().evaluate((it) => getComputedStyle(it).outlineStyle), 'solid');
    // The system decides the theme.
    assert.ok(await page.getByTestId('theme').isDisabled());
    await page.keyboard.press('d');
    assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), theme);
    assert.deepEqual(faults(), []);
    await close();
  });
}

/** The ratio of WCAG. */
function contrast(one, other) {
  const luminance = (rgb) => rgb.map(linear).reduce((sum, it, k) => sum + it * [0.2126, 0.7152, 0.0722][k], 0);
  const [x, y] = [luminance(one.slice(0, 3)), luminance(other.slice(0, 3))];
  return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
}

test('who asked for less motion gets none', async () => {
  const { page, faults, close } = await open(browser, fixture('F1'), { reducedMotion: 'reduce' });
  const play = page.getByRole('button', { name: /^Play/ });
  assert.ok(await play.isDisabled());
  assert.match(await play.getAttribute('title'), /less motion/);
  await page.locator('.bar > span').first().waitFor();
  const moving = await page.evaluate(() => document.getAnimations().length + [...document.querySelectorAll('*')].filter((it) => getComputedStyle(it).transitionDuration !== '0s').length);
  assert.equal(moving, 0);
  await page.keyboard.press('Home');
  const before = await state(page);
  await page.keyboard.press(' ');
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  assert.equal(await state(page), before);
  assert.deepEqual(faults(), []);
  await close();
  const usual = await open(browser, fixture('F1'));
  assert.ok(await usual.page.getByRole('button', { name: /^Play/ }).isEnabled());
  await usual.close();
});

/** Waits until nothing is asked for any more. */
async function quiet(page) {
  await page.waitForFunction(() => !document.querySelector('.stale, [aria-busy=true], .sentence-pending'));
  await page.waitForTimeout(150);
}

/** Numbers whose cell is too narrow for them, and bytes that are not written as bytes are. */
function texts(page) {
  return page.evaluate(() => {
    const walker = document.createTreeWalker(document.getElementById('app'), NodeFilter.SHOW_TEXT);
    const found = { cut: [], odd: [], numbers: 0 };
    while (walker.nextNode()) {
      const text = walker.currentNode.textContent.trim();
      if (/^[\u2212+]?[\d.,\u202f]+\s*([KMGTP]i?)?B$/i.test(text) && !/^[\u2212+]?\d[\d.,]* (B|KiB|MiB|GiB|TiB)$/.test(text)) found.odd.push(text);
      if (!/^[\u2212+]?\d/.test(text)) continue;
      found.numbers++;
      // The cell: the nearest element with a box of its own.
      let cell = walker.currentNode.parentElement;
      while (cell && getComputedStyle(cell).display === 'inline') cell = cell.parentElement;
      // Names may be cut, also those that begin with a digit.
      if (cell && !cell.closest('.name, svg, select, pre, .code-text') && cell.clientWidth > 1 && getComputedStyle(cell).overflowX !== 'visible' && !/auto|scroll/.test(getComputedStyle(cell).overflowX) && cell.scrollWidth > cell.clientWidth + 1) found.cut.push(text);
      const numeric = walker.currentNode.parentElement.closest('td, dd, .numeric, .num');
      if (numeric && getComputedStyle(numeric).display !== 'inline' && numeric.clientWidth > 1 && !walker.currentNode.parentElement.closest('.name') && numeric.scrollWidth > numeric.clientWidth + 1) found.cut.push(text);
    }
    return found;
  });
}

/** Legends whose colours stand beside each other: where they are, and how to see them. */
const LEGENDS = {
  'blocks by site': ['#/layout', '.layout-swatch i'],
  'by size': ['#/layout?map-colour=size', '.layout-swatch i'],
  'by age': ['#/layout?map-colour=age', '.layout-swatch i'],
  'by lifetime': ['#/layout?map-colour=lifetime', '.layout-swatch i'],
  'by thread': ['#/layout?map-colour=thread', '.layout-swatch i'],
  'by leak': ['#/layout?map-colour=leak', '.layout-swatch i'],
  'pages': ['#/layout?map=pages', '.layout-swatch i'],
  'changes': ['#/layout?ma=1000&mb=200000&map-changes=1', '.layout-swatch i'],
  'flame': ['#/flame', '.flame-legend i'],
  'difference': ['#/diff?by=flame&a=1000&b=200000', '.flame-legend i'],
};

for (const theme of ['light', 'dark']) {
  test(`statement 20: colours beside each other in legends differ for those who do not see green: ${theme}`, async () => {
    const { page, close } = await open(browser, fixture('F1'), { theme });
    for (const [name, [hash, swatches]] of Object.entries(LEGENDS)) {
      await page.evaluate((it) => void (location.hash = it), hash);
      await page.waitForFunction((it) => document.querySelectorAll(it).length > 1, swatches);
      await quiet(page);
      const colours = await page.locator(swatches).evaluateAll((all) => all.map((it) => getComputedStyle(it).backgroundColor.match(/[\d.]+/g).slice(0, 3).map(Number)));
      assert.ok(colours.length > 1, name);
      for (let k = 1; k < colours.length; k++) {
        const differ = difference(deuteranopic(colours[k - 1]), deuteranopic(colours[k]));
        assert.ok(differ >= 10, `${name}, ${theme}: ${colours[k - 1]} and ${colours[k]} differ by ${differ.toFixed(1)}`);
      }
    }
    await close();
  });
}

const linear = (value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);

/** What a deuteranope sees of a colour, linear RGB: Machado, Oliveira and Fernandes (2009), severity 1. */
function deuteranopic(rgb) {
  const [r, g, b] = rgb.map(linear);
  const seen = [0.367322 * r + 0.860646 * g - 0.227968 * b, 0.280085 * r + 0.672501 * g + 0.047413 * b, -0.01182 * r + 0.04294 * g + 0.968881 * b];
  return seen.map((it) => Math.max(0, Math.min(1, it)));
}

/** ΔE*ab of two colours, linear RGB. */
function difference(one, other) {
  const lab = ([r, g, b]) => {
    const f = (t) => (t > (6 / 29) ** 3 ? Math.cbrt(t) : t / (3 * (6 / 29) ** 2) + 4 / 29);
    const x = f((0.4124564 * r + 0.3575761 * g + 0.1804375 * b) / 0.95047);
    const y = f(0.2126729 * r + 0.7151522 * g + 0.072175 * b);
    const z = f((0.0193339 * r + 0.119192 * g + 0.9503041 * b) / 1.08883);
    return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
  };
  const [p, q] = [lab(one), lab(other)];
  return Math.hypot(...p.map((value, k) => value - q[k]));
}
