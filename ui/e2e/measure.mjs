// What a report costs a reader: prints JSON of its blocks, how long it takes to open, and of frames while T is dragged over the strip.
// Usage: node e2e/measure.mjs REPORT.html. Medians of five loads; of three drags of three seconds, on each page, the best.

import { launch, open } from './harness.mjs';
import { overviewOf } from './tables.mjs';

const report = process.argv[2];
if (!report) throw new Error('usage: node e2e/measure.mjs REPORT.html');
const browser = await launch();
const median = (values) => values.sort((x, y) => x - y)[values.length >> 1];

const loads = [];
for (let round = 0; round < 5; round++) {
  const { page, close } = await open(browser, report);
  loads.push(
    await page.evaluate(() => ({
      paint_ms: performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0,
      ready_ms: window.__ht.perf.ready_ms,
      heap_mib: performance.memory.usedJSHeapSize / (1 << 20),
    })),
  );
  await close();
}

/** Frames, in ms, while T goes from one end of the strip to the other and back. */
async function drag(page) {
  const box = await page.getByTestId('strip-plot').boundingBox();
  const y = box.y + box.height / 2;
  await page.evaluate(() => {
    window.__gaps = [];
    let last = performance.now();
    const tick = (now) => {
      window.__gaps.push(now - last);
      last = now;
      window.__going = requestAnimationFrame(tick);
    };
    window.__going = requestAnimationFrame(tick);
  });
  const began = Date.now();
  for (let step = 0; Date.now() - began < 3000; step++) {
    const phase = (step % 160) / 80;
    const share = phase < 1 ? phase : 2 - phase;
    await page.mouse.click(box.x + 80 + share * (box.width - 200), y, { delay: 0 });
  }
  const gaps = await page.evaluate(() => (cancelAnimationFrame(window.__going), window.__gaps.slice(1)));
  gaps.sort((x, y) => x - y);
  return { p95_ms: gaps[Math.floor(gaps.length * 0.95)], most_ms: gaps.at(-1) };
}

const frames = {};
for (const name of ['layout', 'flame']) {
  const { page, close } = await open(browser, report, { hash: `#/${name}` });
  await page.waitForTimeout(500);
  const drags = [];
  for (let round = 0; round < 3; round++) drags.push(await drag(page));
  frames[name] = drags.sort((x, y) => x.p95_ms - y.p95_ms)[0];
  await close();
}
await browser.close();
const blocks = overviewOf(report).processes.reduce((sum, it) => sum + it.block_count, 0);
const of = (key) => median(loads.map((load) => load[key]));
console.log(JSON.stringify({ blocks, paint_ms: of('paint_ms'), ready_ms: of('ready_ms'), heap_mib: of('heap_mib'), ...frames }));
