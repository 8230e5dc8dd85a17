// What the page says is what Rust says, to the byte (statements 5, 6, 11, 13 and 16 of ui.md 4.15): F1, a recording of a real
// program, against what crates/heaptape/examples/golden.rs takes from its tape.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { fixture, launch, open, param } from './harness.mjs';
import { outlinedCells } from './picture.mjs';

let browser;
const golden = JSON.parse(readFileSync(fixture('F1').replace('.html', '.golden.json'), 'utf8'));
before(async () => (browser = await launch()));
after(() => browser.close());

/** What the page weighs: of each measure its bytes, blocks, and the 20 stacks with most bytes, by stack where they are equal. */
function weighed(page, measures) {
  return page.evaluate(async (measures) => {
    const answers = [];
    for (const measure of measures) {
      const { bytes, blocks, total, at } = await window.__ht.data.weigh({ t: 0, q: '', ...measure });
      const top = Array.from(bytes, (weight, stack) => [stack, weight, blocks[stack]]).filter(([, ...weights]) => weights.some((it) => it !== 0));
      top.sort(([s, x], [r, y]) => Math.abs(y) - Math.abs(x) || s - r);
      answers.push({ bytes: total.bytes, blocks: total.blocks, top: top.slice(0, 20), at });
    }
    return answers;
  }, measures);
}

const sum = ({ bytes, blocks, top }) => ({ bytes, blocks, top });

test('statement 5: at 50 instants live bytes, blocks and the top 20 stacks are those of Rust', async () => {
  const { page, faults, close } = await open(browser, fixture('F1'));
  assert.equal(golden.instants.length, 50);
  assert.ok(new Set(golden.instants.map((it) => it.bytes)).size > 40, 'instants differ');
  const answers = await weighed(page, golden.instants.map(({ position }) => ({ metric: 'live', t: position, a: 0, b: golden.events })));
  answers.forEach((answer, k) => assert.deepEqual(sum(answer), sum(golden.instants[k]), `at ${golden.instants[k].position}`));
  assert.deepEqual(faults(), []);
  await close();
});

test('statement 6: over 50 ranges kept, leaked, allocated, freed and the difference are those of Rust, and they add up', async () => {
  const { page, faults, close } = await open(browser, fixture('F1'));
  assert.equal(golden.ranges.length, 50);
  for (const range of golden.ranges) {
    const { a, b } = range;
    const metrics = ['kept', 'leaked', 'alloc', 'freed', 'temp', 'diff', 'peak'];
    const live = [a, b].map((t) => ({ metric: 'live', t, a: 0, b: golden.events }));
    const [atA, atB, ...answers] = await weighed(page, [...live, ...metrics.map((metric) => ({ metric, a, b }))]);
    const of = Object.fromEntries(metrics.map((metric, k) => [metric, answers[k]]));
    for (const metric of metrics) assert.deepEqual(sum(of[metric]), sum(range[metric]), `${metric} in ${a}–${b}`);
    assert.equal(of.peak.at, range.peak.position);
    for (const unit of ['bytes', 'blocks']) assert.equal(of.alloc[unit] - of.freed[unit], atB[unit] - atA[unit], `${unit} in ${a}–${b}`);
  }
  assert.deepEqual(faults(), []);
  await close();
});

test('statement 11: a search counts matches and bytes as Rust does, each byte once; n focuses the next match', async () => {
  const { page, faults, close } = await open(browser, fixture('F1'), { hash: '#/flame?m=alloc&fold=none' });
  assert.ok(golden.searches.some((it) => it.text === 'alloc' && it.nodes > 1), 'some fit');
  const found = async ({ nodes, bytes, blocks }) => {
    const wanted = { nodes: String(nodes), bytes: String(bytes), blocks: String(blocks) };
    await page.waitForFunction((it) => Object.entries(it).every(([key, value]) => document.querySelector('[data-testid=flame-found]')?.dataset[key] === value), wanted, { timeout: 5000 }).catch(() => {});
    assert.deepEqual(await page.getByTestId('flame-found').evaluate(({ dataset: { nodes, bytes, blocks } }) => ({ nodes, bytes, blocks })), wanted);
  };
  await page.getByTestId('flame-search').fill('alloc');
  await found(golden.searches.find((it) => it.text === 'alloc' && !it.folded));
  for (const it of golden.searches) {
    await page.evaluate((hash) => void (location.hash = hash), `#/flame?m=alloc&fold=${it.folded ? 'wrappers' : 'none'}&find=${it.text}`);
    await found(it);
  }
  // From match to match, and after the last one to the first again.
  const { text, nodes } = golden.searches.find((it) => it.folded && it.nodes > 1);
  await page.evaluate((hash) => void (location.hash = hash), `#/flame?m=alloc&find=${text}`);
  await found(golden.searches.find((it) => it.text === text && it.folded));
  await page.getByTestId('flame-canvas').focus();
  // What is said of the focus comes a moment later.
  await page.waitForTimeout(300);
  const live = page.getByTestId('flame-canvas-live');
  const heard = [];
  for (let k = 0; k <= nodes; k++) {
    const before = await live.textContent();
    await page.keyboard.press('n');
    await page.waitForFunction((it) => document.querySelector('[data-testid=flame-canvas-live]').textContent !== it, before, { timeout: 5000 });
    heard.push(await live.textContent());
  }
  const fitting = await page.evaluate((text) => {
    const { count, name, short, strings } = window.__ht.data.stacks.frames;
    return Array.from({ length: count }, (_, k) => k).filter((k) => strings[name[k]].toLowerCase().includes(text)).map((k) => strings[short[k]]);
  }, text);
  assert.ok(heard.every((it) => fitting.includes(it.split(',')[0])), heard.join(' | '));
  assert.equal(new Set(heard).size, nodes, heard.join(' | '));
  assert.equal(heard.at(-1), heard[0]);
  assert.deepEqual(faults(), []);
  await close();
});

test('statement 13: shortly before the end, pages under 25 % and who pins them are those of Rust; a click outlines just these', async () => {
  const { late } = golden;
  const { page, faults, close } = await open(browser, fixture('F1'), { hash: `#/layout?v=1&t=${late.position}&map=pages` });
  const number = async (of) => Number((await of.textContent()).replace(/\D/g, ''));
  await page.getByTestId('layout-pin').first().waitFor();
  assert.equal(await number(page.getByTestId('pages-under_25').locator('.numeric')), late.pages.under_25);
  const [pin] = late.pins;
  const first = page.getByTestId('layout-pin').first();
  assert.equal(pin.frame.short, 'leak_ctx');
  assert.match(await first.innerText(), /leak_ctx/);
  assert.equal(Number(await first.getAttribute('data-site')), late.pin_sites[0]);
  assert.equal(await number(first.locator('.numeric').first()), pin.pages);
  await first.click();
  await page.waitForFunction(() => window.__ht.state.includes('map-pin='));
  // The outlines are there a few frames later.
  let cells;
  for (let k = 0; k < 20 && cells !== pin.pages; k++) {
    await page.waitForTimeout(100);
    cells = await outlinedCells(page);
  }
  assert.equal(cells, pin.pages);
  await first.click();
  await page.waitForFunction(() => !window.__ht.state.includes('map-pin='));
  assert.deepEqual(faults(), []);
  await close();
});

test('statement 16: filters of the list of blocks count what Rust counts', async () => {
  const { page, faults, close } = await open(browser, fixture('F1'), { hash: '#/blocks?v=1&m=alloc' });
  const counted = Object.entries(golden.filters);
  assert.ok(counted.some(([q, { blocks }]) => q.includes('life:') && blocks > 0));
  assert.ok('size:>=64Ki life:<1ms' in golden.filters);
  for (const [q, { blocks }] of counted) {
    await page.locator('#filter').fill(q);
    await page.locator('#filter').press('Enter');
    await page.waitForFunction((it) => new URLSearchParams(window.__ht.state.split('?')[1]).get('q') === it, q);
    const wanted = blocks === 0 ? '[data-testid=empty]' : '[data-testid=blocks-total]';
    await page.waitForFunction(({ wanted, text }) => !document.querySelector('.blocks-list.stale') && document.querySelector(wanted)?.textContent.includes(text), { wanted, text: blocks === 0 ? '' : `${blocks.toLocaleString('en')} ` });
    assert.equal(await param(page, 'q'), q);
  }
  assert.deepEqual(faults(), []);
  await close();
});
