// The map's pixels are the blocks (statements 14 and 15 of ui.md 4.15): F1, and F8, in which one small block is left in 16 MiB.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { fixture, launch, open, param } from './harness.mjs';
import { GUTTER } from './picture.mjs';
import { overviewOf, tableOf } from './tables.mjs';

const NEVER = 0xffffffff;
/** Height of the line above the first row. */
const HEAD = 20;
const INHERITED = 4;

let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

const map = (page) => page.getByTestId('layout-map');

async function settled(page) {
  await page.waitForFunction(() => document.querySelector('[data-testid=layout-fragmentation]') && document.querySelector('[data-testid=layout-sentence][aria-busy=false]'));
  // The picture is drawn in the frame after its answer.
  await page.evaluate(() => new Promise((done) => setTimeout(() => requestAnimationFrame(() => requestAnimationFrame(done)), 100)));
}

/** What the picture is made of, as the page says. */
async function geometry(page) {
  const box = await map(page).boundingBox();
  const say = async (name) => Number(await map(page).getAttribute(name));
  return { box, width: box.width - GUTTER, top: await say('data-top'), rowBytes: await say('data-row-bytes'), rowPx: await say('data-row-px') };
}

/** Footprints of the blocks live at a position, by address, from the file: `[start, own end, end with padding]`. */
function footprints(path, t) {
  const { born, died, addr_lo, addr_hi, size_lo, usable, flags } = tableOf(path, 'p0-blocks');
  const blocks = [];
  for (let k = 0; k < born.length; k++) {
    if ((born[k] < t || (flags[k] & INHERITED) !== 0) && (died[k] === NEVER || died[k] >= t)) {
      const start = addr_hi[k] * 2 ** 32 + addr_lo[k];
      blocks.push({ id: k + 1, start, own: start + Math.max(size_lo[k], usable[k]) });
    }
  }
  blocks.sort((x, y) => x.start - y.start);
  return blocks.map((it, k) => {
    const next = blocks[k + 1]?.start ?? Infinity;
    return { ...it, end: next - it.own < 32 && next > it.own ? next : it.own };
  });
}

test('statement 14: a click selects the block that holds the bytes of the pixel, 200 points at three zooms', { timeout: 120_000 }, async () => {
  const path = fixture('F1');
  const t = overviewOf(path).processes[0].event_count >> 1;
  const blocks = footprints(path, t);
  const heap = blocks[0].start;
  let state = 7;
  const random = (below) => ((state = (Math.imul(state, 1103515245) + 12345) >>> 0) / 2 ** 32) * below;
  const middle = blocks[blocks.length >> 1].start;
  // With a selection the inspector is open all the time, and the map keeps its width.
  const selected = `block:${blocks.at(-1).id}`;
  for (const zoom of ['', `&map-zoom=13&map-top=${middle.toString(16)}`, `&map-zoom=9&map-top=${middle.toString(16)}`]) {
    const { page, faults, close } = await open(browser, path, { hash: `#/layout?v=1&t=${t}&map-region=${heap.toString(16)}${zoom}&sel=${selected}` });
    await settled(page);
    const { box, width, top, rowBytes, rowPx } = await geometry(page);
    const last = blocks.findLast((it) => it.start < top + 2 ** 27).end;
    // Above the region's first row stands its head.
    const head = top <= heap ? HEAD : 0;
    const height = Math.min(box.height - head, Math.ceil((last - top) / rowBytes) * rowPx);
    let [hits, before] = [0, selected];
    for (let turn = 0; turn < 67; turn++) {
      const x = Math.floor(random(width));
      const y = head + Math.floor(random(height));
      const row = top + Math.floor((y - head) / rowPx) * rowBytes;
      const column = rowBytes / width;
      const [lo, hi] = [row + x * column - column, row + (x + 1) * column + column];
      const inside = blocks.filter((it) => it.start < hi && it.end > lo);
      // A pixel that is wholly inside one block must give it; others may be holes.
      const certain = inside.find((it) => it.start <= lo && it.own >= hi);
      await page.mouse.click(box.x + GUTTER + x + 0.5, box.y + y + 0.5);
      if (certain) await page.waitForFunction((id) => window.__ht.state.includes(`sel=block%3A${id}`), certain.id, { timeout: 5000 }).catch(() => {});
      // The page asks before this does, and is answered before it.
      await page.evaluate(async (t) => {
        await window.__ht.data.live(t, 0, 1, 1);
        await new Promise((done) => setTimeout(done, 20));
      }, t);
      const now = await param(page, 'sel');
      const at = `at ${Math.round(lo).toString(16)}–${Math.round(hi).toString(16)}, zoom ${zoom}`;
      if (certain) assert.equal(now, `block:${certain.id}`, at);
      else if (now !== before) assert.ok(inside.some((it) => now === `block:${it.id}`), `${now} ${at}`);
      if (now !== before) hits++;
      before = now;
    }
    assert.ok(hits > 20, `${hits} blocks were hit`);
    assert.equal((await map(page).boundingBox()).width, box.width);
    assert.deepEqual(faults(), []);
    await close();
  }
});

test('statement 15: a lone block of 16 bytes in 16 MiB is seen at the lowest zoom, in both themes', async () => {
  const path = fixture('F8');
  const { at_exit, peak, event_count } = overviewOf(path).processes[0];
  assert.deepEqual(at_exit, { bytes: 16, blocks: 1 });
  assert.ok(peak.bytes > 14 * 2 ** 20);
  for (const theme of ['light', 'dark']) {
    for (const zoom of ['', '&map-zoom=32']) {
      const { page, faults, close } = await open(browser, path, { hash: `#/layout?v=1&t=${event_count}${zoom}`, theme });
      await settled(page);
      const seen = await contrasts(page);
      assert.ok(seen.hole > 0, 'there are holes');
      assert.ok(seen.most >= 3, `${theme}${zoom}: ${seen.most}`);
      assert.deepEqual(faults(), []);
      await close();
    }
  }
});

/** The contrast of the pixel of the picture that is least like a hole, and how many are of a hole's colour. */
function contrasts(page) {
  return page.evaluate(({ gutter, head }) => {
    const canvas = document.querySelector('[data-testid=layout-map] canvas');
    const scale = devicePixelRatio;
    const [left, top] = [Math.ceil(gutter * scale), Math.ceil(head * scale)];
    const rowPx = Math.floor(Number(document.querySelector('[data-testid=layout-map]').dataset.rowPx) * scale);
    const rows = Math.floor((canvas.height - top) / rowPx);
    const pixels = canvas.getContext('2d').getImageData(left, top, canvas.width - left, rows * rowPx).data;
    const value = getComputedStyle(document.documentElement).getPropertyValue('--hole').trim();
    const rgb = [1, 3, 5].map((at) => parseInt(value.slice(at, at + 2), 16));
    const luminance = (...rgb) =>
      rgb.map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4).reduce((sum, v, k) => sum + v * [0.2126, 0.7152, 0.0722][k], 0);
    const [ground, found] = [luminance(...rgb), { most: 0, hole: 0 }];
    for (let at = 0; at < pixels.length; at += 4) {
      const [r, g, b, alpha] = pixels.subarray(at, at + 4);
      if (r === rgb[0] && g === rgb[1] && b === rgb[2]) found.hole++;
      // Only saturated pixels: what is written is grey.
      if (alpha < 255 || Math.max(r, g, b) - Math.min(r, g, b) < 12) continue;
      const [high, low] = [luminance(r, g, b), ground].sort((x, y) => y - x);
      found.most = Math.max(found.most, (high + 0.05) / (low + 0.05));
    }
    return found;
  }, { gutter: GUTTER, head: HEAD });
}
