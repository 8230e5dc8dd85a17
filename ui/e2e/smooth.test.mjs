// How fast the page is with two million blocks (statements 3 and 4 of ui.md 4.15), on F2.
//
// Limits are those of the statements for CI. Frames are what a user sees, so they are tried first, the best of a few
// tries. Where other processes take the machine, no page can hold them: then the page's own thread must have used no more
// than the frame's time, by the clock of that thread, which does not run while others do.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { fixture, launch, open, ready } from './harness.mjs';

const TRIES = 3;
const FRAME_MS = 33;
/** Two frames of a display at 60 Hz are 33.3 ms. */
const ROUNDING_MS = 1;
const LONGEST_MS = 100;
const CATEGORIES = ['toplevel', 'blink.user_timing', 'devtools.timeline', 'disabled-by-default-devtools.timeline'];

let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

const median = (values) => [...values].sort((x, y) => x - y)[values.length >> 1];
const p95 = (values) => [...values].sort((x, y) => x - y)[Math.floor(values.length * 0.95)] ?? 0;

/** Opens F2: when something was seen and when it was ready, and what its thread did until then by its own clock. */
async function opening() {
  const context = await browser.newContext({ offline: true });
  const page = await context.newPage();
  await browser.startTracing(page, { categories: CATEGORIES });
  await page.goto(pathToFileURL(fixture('F2')).href);
  await ready(page);
  const after = await page.evaluate(() => ({ painted: performance.getEntriesByName('first-contentful-paint')[0].startTime, ready: window.__ht.perf.ready_ms }));
  const { traceEvents } = JSON.parse((await browser.stopTracing()).toString());
  await context.close();
  const begun = traceEvents.filter((it) => it.name === 'navigationStart' && it.args.data?.documentLoaderURL?.startsWith('file:')).at(-1);
  const tasks = tasksOf(traceEvents, begun);
  const own = (ms) => tasks.filter((it) => it.ts >= begun.ts && it.ts + it.dur <= begun.ts + ms * 1000).reduce((sum, it) => sum + it.tdur / 1000, 0);
  return { painted: after.painted, ready: after.ready, own_painted: own(after.painted), own_ready: own(after.ready) };
}

test('statement 3: 2 million blocks are ready in 1.5 s, and something is seen in 0.3 s', { timeout: 120_000 }, async () => {
  const rounds = [];
  const within = (round, painted, ready) => median(round.map((it) => it[painted])) <= 300 && median(round.map((it) => it[ready])) <= 1500;
  const seen = (round) => within(round, 'painted', 'ready');
  while (rounds.length < TRIES && !rounds.some(seen)) {
    const round = [];
    while (round.length < 5) round.push(await opening());
    rounds.push(round);
    console.log(`F2 opens: ${JSON.stringify(round, (_, it) => (typeof it === 'number' ? Math.round(it) : it))}`);
  }
  assert.ok(rounds.some(seen) || rounds.some((round) => within(round, 'own_painted', 'own_ready')));
  assert.ok(rounds.flat().every((it) => it.own_ready > 100), 'the trace has its tasks');
});

const settled = (page) => page.waitForFunction(() => document.querySelector('[data-testid=layout-fragmentation]') && document.querySelector('[data-testid=layout-sentence][aria-busy=false]'));

/** T to and fro along the row of times for three seconds. */
async function drag(page, box) {
  const y = box.y + box.height - 6;
  const states = new Set();
  await page.mouse.move(box.x + 200, y);
  await page.mouse.down();
  const until = Date.now() + 3000;
  for (let k = 0; Date.now() < until; k++) {
    await page.mouse.move(box.x + 200 + 600 * Math.abs(Math.sin(k / 30)), y);
    if (k % 10 === 0) states.add(await page.evaluate(() => window.__ht.state));
  }
  states.add(await page.evaluate(() => window.__ht.state));
  await page.mouse.up();
  return states.size;
}

/** T from place to place by clicks, with rests in which the page looks where the blocks lie. */
async function clicks(page, box) {
  const states = new Set();
  for (let k = 0; k < 15; k++) {
    await page.mouse.click(box.x + 80 + ((k * 137) % 1200), box.y + 40);
    await page.waitForTimeout(k % 3 === 2 ? 300 : 80);
    states.add(await page.evaluate(() => window.__ht.state));
  }
  return states.size;
}

/** Lengths of frames while something is done, and what each took of the page's thread; milliseconds. */
async function measured(page, act) {
  await browser.startTracing(page, { categories: CATEGORIES });
  await page.evaluate(() => void window.__ht.frames());
  const moments = await act();
  const frames = await page.evaluate(() => window.__ht.frames());
  const { traceEvents } = JSON.parse((await browser.stopTracing()).toString());
  assert.ok(moments > 3, 'T has moved');
  // The first frame began before.
  return { frames: frames.slice(1), own: ownTimes(traceEvents) };
}

/** The tasks of a thread; `tdur` is by its own clock, microseconds. */
function tasksOf(events, { pid, tid }) {
  return events.filter((it) => it.pid === pid && it.tid === tid && it.name === 'RunTask' && it.tdur !== undefined);
}

/** What the page's thread did by its own clock: in each frame, and in its longest task. */
function ownTimes(events) {
  const fired = events.filter((it) => it.name === 'FireAnimationFrame');
  const tasks = tasksOf(events, fired[0]);
  const starts = fired.filter((it) => it.tid === fired[0].tid).map((it) => it.ts).sort((x, y) => x - y);
  const frames = starts.map(() => 0);
  let frame = 0;
  for (const { ts, tdur } of tasks.sort((x, y) => x.ts - y.ts)) {
    while (frame + 1 < starts.length && starts[frame + 1] <= ts) frame++;
    frames[frame] += tdur / 1000;
  }
  assert.ok(tasks.length > 100 && starts.length > 10, 'the trace has tasks and frames');
  return { frames, longest: Math.max(...tasks.map((it) => it.tdur / 1000)) };
}

const seen = ({ frames }) => p95(frames) <= FRAME_MS + ROUNDING_MS && Math.max(...frames) <= LONGEST_MS;
const answered = ({ own }) => p95(own.frames) <= FRAME_MS && own.longest <= LONGEST_MS;

for (const [name, act] of Object.entries({ 'is dragged': drag, 'jumps by clicks': clicks })) {
  test(`statement 4: T ${name} over two million blocks without losing frames`, { timeout: 120_000 }, async () => {
    const { page, faults, close } = await open(browser, fixture('F2'), { hash: '#/layout?v=1' });
    await settled(page);
    // What it prepares for later is done by then.
    await page.waitForTimeout(1500);
    const box = await page.getByTestId('strip-plot').boundingBox();
    const tries = [];
    while (tries.length < TRIES && !tries.some(seen)) tries.push(await measured(page, () => act(page, box)));
    const said = tries.map(({ frames, own }) => ({
      frames: frames.length, p95: p95(frames).toFixed(1), longest: Math.max(...frames).toFixed(1), own_p95: p95(own.frames).toFixed(1), own_longest: own.longest.toFixed(1),
    }));
    console.log(`T ${name}: ${JSON.stringify(said)}`);
    assert.ok(tries.some(seen) || tries.some(answered), JSON.stringify(said));
    // A user's hand may meet other processes; the page's own part must hold in any case.
    assert.ok(tries.some(answered), JSON.stringify(said));
    assert.deepEqual(faults(), []);
    await close();
  });
}
