// The frame of every page: opening, the sentence, links, history, keys, hostile names, access for everyone.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { createServer } from 'node:http';
import { fixture, launch, open, param, sentence, state } from './harness.mjs';
import { overviewOf, variantOf } from './tables.mjs';

let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

/** Opens a fixture, gives it to the test, and asserts that nothing went wrong on the way. */
async function on(name, options, run) {
  const opened = await open(browser, fixture(name), options);
  try {
    await run(opened.page, opened);
    assert.deepEqual(opened.faults(), []);
  } finally {
    await opened.close();
  }
}

const PAGES = ['summary', 'flame', 'tables', 'layout', 'blocks', 'histograms', 'leaks', 'diff', 'source', 'about'];

/** A point of the strip's plot: a share of its width. */
async function at(page, share, y = 40) {
  const box = await page.getByTestId('strip-plot').boundingBox();
  const [left, right] = [64, 8];
  return [box.x + left + share * (box.width - left - right), box.y + y];
}

async function drag(page, from, to, y) {
  await page.mouse.move(...(await at(page, from, y)));
  await page.mouse.down();
  await page.mouse.move(...(await at(page, (from + to) / 2, y)));
  await page.mouse.move(...(await at(page, to, y)));
  await page.mouse.up();
}

/** The moments of the state, in the words of the sentence. */
async function moments(page) {
  return page.evaluate(() => window.__ht.moments());
}

test('statement 1: a report opens offline, with no request but its document and no console error', async () => {
  await on('F1', {}, async (page) => {
    for (const id of PAGES) {
      await page.getByTestId(`tab-${id}`).click();
      await page.getByTestId(`page-${id}`).waitFor();
    }
    assert.equal(await page.getByTestId('tab-crash').count(), 0, 'there was no crash');
  });
});

test('statement 1: the page’s policy lets nothing out, even where there is a network', async () => {
  const asked = [];
  const server = createServer((request, response) => {
    asked.push(request.url);
    response.writeHead(200, { 'Access-Control-Allow-Origin': '*' }).end('window.__loaded = true');
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const origin = `http://127.0.0.1:${server.address().port}`;
  /** Tries every way out that a script has; gives what the browser said of each. */
  const tryAll = (page) =>
    page.evaluate(async (origin) => {
      const violations = [];
      addEventListener('securitypolicyviolation', (event) => violations.push(event.effectiveDirective));
      const element = (name, attributes) =>
        new Promise((done) => {
          const it = Object.assign(document.createElement(name), attributes);
          it.onload = it.onerror = () => done();
          setTimeout(done, 1000);
          document.body.append(it);
        });
      await fetch(`${origin}/fetch`).catch(() => {});
      await Promise.all([
        element('img', { src: `${origin}/img` }),
        element('script', { src: `${origin}/script` }),
        element('link', { rel: 'stylesheet', href: `${origin}/style` }),
        element('iframe', { src: `${origin}/frame` }),
        element('object', { data: `${origin}/object` }),
      ]);
      navigator.sendBeacon(`${origin}/beacon`);
      try {
        new WebSocket(origin.replace('http', 'ws'));
        new EventSource(`${origin}/events`);
      } catch {}
      const form = Object.assign(document.createElement('form'), { action: `${origin}/form`, method: 'post', target: '_blank' });
      document.body.append(form);
      form.submit();
      try {
        (0, eval)('window.__loaded = true');
      } catch {}
      await new Promise((done) => setTimeout(done, 500));
      return { violations: [...new Set(violations)].sort(), loaded: window.__loaded === true };
    }, origin);
  const { page, close } = await open(browser, fixture('F1'), { offline: false });
  assert.deepEqual(await tryAll(page), {
    violations: ['connect-src', 'form-action', 'frame-src', 'img-src', 'object-src', 'script-src', 'script-src-elem', 'style-src-elem'],
    loaded: false,
  });
  assert.deepEqual(asked, []);
  await close();
  // The test itself is worth something: without the policy all of it is asked for.
  const unguarded = await open(browser, fixture('F1'), { offline: false, bypassCSP: true });
  await tryAll(unguarded.page);
  for (const way of ['/fetch', '/img', '/script', '/style', '/frame', '/beacon']) assert.ok(asked.includes(way), `${way} of ${asked}`);
  await unguarded.close();
  server.closeAllConnections();
  await new Promise((done) => server.close(done));
});

test('statement 2: without JavaScript the figures and the table of call sites are there', async () => {
  await on('F1', { script: false }, async (page) => {
    const text = await page.locator('body').innerText();
    // Its threads run as they like: what was live at the peak is not the same in every recording.
    const peak = `${(overviewOf(fixture('F1')).processes[0].peak.bytes / 2 ** 20).toFixed(1)} MiB`;
    for (const word of ['Peak', peak, 'decode_image', 'leak_ctx', '600', 'Allocated']) assert.ok(text.includes(word), word);
    for (const word of [/calls/i, /never freed|leaked/i]) assert.match(text, word);
    const tables = await page.locator('table').evaluateAll((all) => all.map((it) => it.querySelectorAll('tbody tr, tr').length));
    assert.ok(Math.max(...tables) >= 10, `${tables}`);
  });
});

test('a crash is where a report begins; a link elsewhere is followed', async () => {
  await on('F4', {}, async (page) => {
    assert.match(await state(page), /^#\/crash/);
    await page.getByText('use after free').first().waitFor();
  });
  await on('F4', { hash: '#/summary' }, async (page) => assert.match(await state(page), /^#\/summary/));
});

test('statement 7: the sentence names the metric and the moments of the state, however they were set', async () => {
  await on('F1', {}, async (page) => {
    const says = async (metric) => {
      const [said, { t, a, b }] = [await sentence(page), await moments(page)];
      if (metric === 'live') assert.ok(said.includes(`live at T = ${t}`), `${said} | ${t}`);
      else assert.ok(said.includes(`${a}–${b}`), `${said} | ${a}–${b}`);
      return said;
    };
    await says('live');
    await page.mouse.click(...(await at(page, 0.3)));
    const clicked = await says('live');
    await drag(page, 0.5, 0.8, 85);
    assert.notEqual(await says('live'), clicked, 'a drag on the row of times moves T');
    await page.keyboard.press('Shift+ArrowLeft');
    await says('live');
    await drag(page, 0.2, 0.6);
    assert.notEqual(await param(page, 'a'), null);
    for (const metric of ['kept', 'leaked', 'alloc', 'freed', 'temp']) {
      await page.getByTestId('metric').selectOption(metric);
      await says(metric);
    }
    await page.keyboard.press('Escape');
    await page.locator('.tabs button').first().focus();
    await page.keyboard.press('u');
    assert.match(await sentence(page), /^Blocks /);
  });
  await on('F1', { hash: '#/tables?m=kept&a=1000&b=200000' }, async (page) => {
    const { a, b } = await moments(page);
    assert.ok((await sentence(page)).includes(`allocated in ${a}–${b} and still live at ${b}`));
  });
});

test('statement 8: a drag on the strip changes what the pages show, without a further click', async () => {
  await on('F1', { hash: '#/summary' }, async (page) => {
    const total = page.getByTestId('ranking-alloc').locator('.ranking-total');
    const whole = await total.textContent();
    await drag(page, 0.2, 0.6);
    await page.waitForFunction((before) => document.querySelector('[data-testid=ranking-alloc] .ranking-total').textContent !== before, whole);
    const range = await page.getByTestId('range').textContent();
    assert.ok(range.includes(`${await total.textContent()} allocated`), `${range} | ${await total.textContent()}`);
  });
});

test('statement 8: a drag on the strip changes flame, tables, histograms and blocks without a further click', async () => {
  const shown = {
    flame: '[data-testid=flame-info]', tables: '[data-testid=page-tables] .table-totals', histograms: '[data-testid=sizes]', blocks: '[data-testid=blocks-total]',
  };
  for (const [id, selector] of Object.entries(shown)) {
    await on('F1', { hash: `#/${id}?m=alloc` }, async (page) => {
      const text = () => page.locator(selector).first().evaluate((it) => it.textContent + [...it.querySelectorAll('[aria-label]')].map((bar) => bar.getAttribute('aria-label')));
      await page.waitForFunction((it) => document.querySelector(it) && !document.querySelector('.stale'), selector);
      // What comes column by column is there.
      await page.waitForFunction((it) => !document.querySelector(it).textContent.includes('…'), selector);
      const whole = await text();
      await drag(page, 0.2, 0.5);
      await page.waitForFunction(({ selector, whole }) => {
        const it = document.querySelector(selector);
        return it && it.textContent + [...it.querySelectorAll('[aria-label]')].map((bar) => bar.getAttribute('aria-label')) !== whole;
      }, { selector, whole });
      const [from, to] = await rangeOfRun(page);
      // A position's time is that of the event before it.
      assert.ok(from > 0.1 && from < 0.21 && to > 0.4 && to < 0.51, `A–B is ${from}–${to} of the run`);
      const said = await sentence(page);
      const blocks = /([\d,]+) blocks/.exec(said)[1];
      if (id === 'blocks') await page.waitForFunction((it) => document.querySelector('[data-testid=blocks-total]')?.textContent.startsWith(`${it} `), blocks);
      if (id === 'flame') await page.waitForFunction((it) => document.querySelector('[data-testid=flame-info] b')?.textContent === it, /: ([\d.,]+ [KMGT]?i?B)/.exec(said)[1]);
    });
  }
});

/** A and B as shares of the run; not numbers where a link need not name them. */
function rangeOfRun(page) {
  return page.evaluate(() => {
    const { info, times } = window.__ht.data;
    const query = new URLSearchParams(window.__ht.state.replace(/^[^?]*/, ''));
    return ['a', 'b'].map((key) => (query.has(key) ? (times.of(Number(query.get(key))) - info.start_ns) / (info.end_ns - info.start_ns) : NaN));
  });
}

test('the range: a drag inside moves it, one of an end resizes it, a double click measures the whole run', async () => {
  await on('F1', {}, async (page) => {
    const range = async () => [Number(await param(page, 'a')), Number(await param(page, 'b'))];
    await drag(page, 0.2, 0.4);
    const [a, b] = await range();
    await drag(page, 0.3, 0.5);
    const [a2, b2] = await range();
    assert.ok(a2 > a && b2 > b, 'moved');
    const end = await page.locator('.strip-end rect').nth(1).boundingBox();
    await page.mouse.move(end.x + 3, end.y + 9);
    await page.mouse.down();
    await page.mouse.move(...(await at(page, 0.7)));
    await page.mouse.up();
    const [a3, b3] = await range();
    assert.equal(a3, a2);
    assert.ok(b3 > b2, 'resized');
    await page.mouse.dblclick(...(await at(page, 0.95)));
    assert.deepEqual([await param(page, 'a'), await param(page, 'b')], [null, null]);
  });
});

test('the wheel zooms at the pointer, Shift and the wheel pan; one spin is one step of the history', async () => {
  await on('F1', {}, async (page) => {
    await page.mouse.move(...(await at(page, 0.5)));
    for (let k = 0; k < 5; k++) await page.mouse.wheel(0, -200);
    await page.waitForTimeout(500);
    const zoomed = await param(page, 'view');
    assert.notEqual(zoomed, null);
    await page.getByTestId('strip-overview').waitFor();
    await page.keyboard.down('Shift');
    await page.mouse.wheel(0, 300);
    await page.keyboard.up('Shift');
    await page.waitForTimeout(500);
    assert.notEqual(await param(page, 'view'), zoomed);
    await page.goBack();
    assert.equal(await param(page, 'view'), zoomed);
    await page.goBack();
    assert.equal(await param(page, 'view'), null);
  });
});

test('statement 9: a link copied after a random walk gives the same state and the same sentence', async () => {
  for (const seed of [1, 2, 3]) {
    await on('F1', { permissions: ['clipboard-read', 'clipboard-write'] }, async (page, { context }) => {
      const random = generator(seed);
      const keys = ['1', '3', '0', 'ArrowLeft', 'ArrowRight', 'Shift+ArrowLeft', 'Control+ArrowRight', 'Home', 'End', 'P', '[', ']', 'r', 'a', 'b', 'm', 'u', 't', '+', '-', 'w'];
      const walk = [
        async () => page.keyboard.press(keys[random(keys.length)]),
        async () => page.mouse.click(...(await at(page, random(100) / 100))),
        async () => drag(page, random(100) / 100, random(100) / 100),
        async () => page.getByTestId(`tab-${PAGES[random(PAGES.length)]}`).click(),
        async () => {
          await page.mouse.move(...(await at(page, random(100) / 100)));
          await page.mouse.wheel(0, random(2) === 0 ? -200 : 150);
        },
        async () => page.getByTestId('filter').fill(['', 'size:>=64', 'fn:fill', 'life:<1ms size:<'][random(4)]),
        // Whatever can be chosen on the page: a row, a frame, a bar.
        async () => {
          const rows = page.locator('#page .table-row, #page canvas, #page .bars-bar');
          const count = await rows.count();
          if (count > 0) await rows.nth(random(count)).click({ timeout: 2000 }).catch(() => {});
        },
      ];
      // What a walk seldom comes by is set before.
      for (const key of [['u', 't'], ['m', 'a'], ['Home', 'b', 'u']][seed - 1]) await page.keyboard.press(key);
      for (let k = 0; k < 40; k++) await walk[random(walk.length)]();
      // The wheel's gesture ends, and the filter is taken over.
      await page.waitForTimeout(600);
      await page.locator('.tabs button').first().focus();
      await page.keyboard.press('c');
      await page.getByText('Link copied').waitFor();
      const link = await page.evaluate(() => navigator.clipboard.readText());
      const other = await context.newPage();
      await other.goto(link);
      await other.waitForFunction(() => window.__ht?.ready);
      assert.equal(await state(other), await state(page), `seed ${seed}`);
      assert.equal(await sentence(other), await sentence(page), `seed ${seed}`);
      assert.deepEqual(await controls(other), await controls(page), `seed ${seed}`);
    });
  }
});

/** What the frame shows of the state. */
function controls(page) {
  return page.evaluate(() => ({
    page: document.querySelector('.tabs [aria-current]').textContent, metric: document.querySelector('[data-testid=metric]').value,
    unit: document.querySelector('[data-testid=unit-bytes]').ariaPressed, t: document.querySelector('[data-testid=strip-plot]').ariaValueNow,
    marks: [...document.querySelectorAll('.mark-user text')].map((it) => it.textContent), tall: document.querySelector('.strip-plot > canvas').clientHeight,
    range: document.querySelector('[data-testid=range]')?.textContent ?? '',
  }));
}

test('statement 10: Back undoes T, range, zoom, metric, filter and page one by one, and Forward does them again', async () => {
  await on('F1', {}, async (page) => {
    const states = [await state(page)];
    const steps = [
      async () => page.mouse.click(...(await at(page, 0.3))),
      async () => drag(page, 0.4, 0.7),
      async () => {
        await page.mouse.move(...(await at(page, 0.5)));
        await page.mouse.wheel(0, -300);
        // The gesture ends when the wheel rests.
        await page.waitForFunction(() => location.hash.includes('view='));
      },
      async () => {
        await page.keyboard.press('2');
        await page.getByTestId('flame-canvas').waitFor();
      },
      async () => {
        // The strip had the focus, and keeps it.
        await page.locator('.flame-canvas').focus();
        const live = page.getByTestId('flame-canvas-live');
        for (let k = 0; k < 5 && !/level 1,/.test(await live.textContent()); k++) {
          await page.keyboard.press('ArrowDown');
          await page.waitForTimeout(100);
        }
        await page.keyboard.press('Enter');
        await page.waitForFunction(() => /[?&]z=/.test(location.hash));
      },
      () => page.keyboard.press('3'),
      () => page.getByTestId('metric').selectOption('kept'),
      () => page.getByTestId('unit-blocks').click(),
      async () => {
        await page.getByTestId('filter').fill('size:>=64');
        await page.waitForFunction(() => window.__ht.state.includes('q='));
      },
      () => page.getByTestId('tab-about').click(),
    ];
    for (const step of steps) {
      await step();
      states.push(await state(page));
    }
    assert.equal(new Set(states).size, states.length, 'each step changed the state');
    for (const wanted of states.slice(0, -1).reverse()) {
      await page.goBack();
      await page.waitForFunction((it) => window.__ht.state === it, wanted);
    }
    for (const wanted of states.slice(1)) {
      await page.goForward();
      await page.waitForFunction((it) => window.__ht.state === it, wanted);
    }
  });
});

test('a held key is one step of the history', async () => {
  await on('F1', {}, async (page) => {
    const before = await state(page);
    await page.keyboard.down('ArrowLeft');
    for (let k = 0; k < 30; k++) await page.keyboard.down('ArrowLeft');
    await page.keyboard.up('ArrowLeft');
    assert.notEqual(await state(page), before);
    await page.goBack();
    assert.equal(await state(page), before);
  });
});

test('links that make no sense are mended', async () => {
  const links = {
    '#/nowhere?v=1': '#/summary?v=1',
    '#/crash?v=1': '#/summary?v=1',
    '#/about?v=1&t=999999999999&zzz=1&m=nonsense': /^#\/about\?v=1&t=\d+$/,
    '#/summary?a=500&b=20': '#/summary?v=1&a=20&b=500',
    '#/summary?v=2&t=3': '#/summary?v=1',
    '#/summary?p=77': '#/summary?v=1',
    '#/summary?t=<img>&sel=block:': /^#\/summary\?v=1(&sel=block%3A)?$/,
    '#garbage': '#/summary?v=1',
  };
  for (const [link, wanted] of Object.entries(links)) {
    await on('F1', { hash: link }, async (page) => {
      if (typeof wanted === 'string') assert.equal(await state(page), wanted, link);
      else assert.match(await state(page), wanted, link);
      assert.equal(await page.evaluate(() => location.hash), await state(page), 'the address says what is shown');
    });
  }
});

test('a link may name times', async () => {
  await on('F1', { hash: '#/about?t=100ms' }, async (page) => {
    // The last position whose events all happened by then: how far apart they are is the recording's affair.
    const [before, after] = await page.evaluate(() => {
      const position = Number(new URLSearchParams(window.__ht.state.split('?')[1]).get('t'));
      return [position, position + 1].map((it) => window.__ht.data.times.of(it));
    });
    assert.ok(before <= 100e6 && after > 100e6, `${before} ns, then ${after} ns`);
  });
});

test('statement 12, the frame: pages, help and filter by keys alone; no key works in a text input', async () => {
  await on('F1', {}, async (page) => {
    for (const [k, id] of PAGES.entries()) {
      await page.keyboard.press(String((k + 1) % 10));
      await page.getByTestId(`page-${id}`).waitFor();
    }
    await page.keyboard.press('?');
    await page.getByRole('dialog').waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'hidden' });
    await page.keyboard.press('/');
    await page.waitForFunction(() => document.activeElement?.id === 'filter');
    await page.keyboard.type('d3 m');
    assert.match(await state(page), /^#\/about/, 'typed digits are text');
    assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), 'light');
    await page.keyboard.press('Escape');
    assert.equal(await page.getByTestId('filter').inputValue(), '');
    await page.waitForFunction(() => document.activeElement?.id !== 'filter');
    await page.keyboard.press('d');
    await page.waitForFunction(() => document.documentElement.dataset.theme === 'dark');
  });
});

test('focus is seen on every control of the frame', async () => {
  await on('F1', {}, async (page) => {
    for (let k = 0; k < 40; k++) {
      await page.keyboard.press('Tab');
      const seen = await page.evaluate(() => {
        const element = document.activeElement;
        if (!element || element === document.body) return 'body';
        const { outlineStyle, outlineWidth } = getComputedStyle(element);
        return outlineStyle !== 'none' && parseFloat(outlineWidth) >= 1 ? 'seen' : element.outerHTML.slice(0, 120);
      });
      assert.ok(seen === 'seen' || seen === 'body', seen);
    }
  });
});

test('a filter that does not parse is marked and said, and the last one that did stays', async () => {
  await on('F1', {}, async (page) => {
    const box = page.getByTestId('filter');
    await box.fill('size:>=64');
    await page.waitForFunction(() => window.__ht.state.includes('q='));
    const before = await state(page);
    const said = await sentence(page);
    await box.fill('size:>=64 size:>=lots');
    await page.locator('.chip-wrong').waitFor();
    await page.getByRole('alert').waitFor();
    assert.equal(await page.locator('.chip-wrong').textContent(), 'size:>=lots');
    await page.waitForTimeout(300);
    assert.equal(await state(page), before);
    assert.equal(await sentence(page), said);
  });
});

test('the filter offers words and values, by keys', async () => {
  await on('F1', {}, async (page) => {
    await page.keyboard.press('/');
    await page.keyboard.type('fn:decode');
    await page.getByRole('option').first().waitFor();
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    assert.equal((await page.getByTestId('filter').inputValue()).trim(), 'fn:decode_image');
    await page.waitForFunction(() => window.__ht.state.includes('decode_image'));
    assert.match(await sentence(page), /24\.0 MiB in 1 block$/);
  });
});

test('the inspector shows what is selected, and goes', async () => {
  await on('F1', {}, async (page) => {
    await page.getByTestId('ranking-leaked').getByRole('button', { name: /leak_ctx/ }).click();
    const drawer = page.getByTestId('inspector');
    await drawer.getByText('Call site', { exact: true }).waitFor();
    await drawer.getByText('93.8 KiB').first().waitFor();
    assert.match(await state(page), /sel=site/);
    await page.keyboard.press('Escape');
    assert.doesNotMatch(await state(page), /sel=/);
  });
});

test('statement 19: hostile names are shown as they are, and nothing of them runs', async () => {
  await on('F5', { hash: '#/summary' }, async (page) => {
    for (const id of PAGES) {
      await page.getByTestId(`tab-${id}`).click();
      await page.getByTestId(`page-${id}`).waitFor();
      await page.waitForTimeout(150);
      assert.equal(await page.evaluate(() => window.__broken), undefined, id);
      assert.equal(await page.locator('#app img, #app script').count(), 0, id);
    }
    await page.getByTestId('tab-summary').click();
    await page.getByTestId('ranking-temp').locator('li').first().waitFor();
    const text = await page.getByTestId('page-summary').textContent();
    assert.ok(text.includes('<img src=x onerror=window.__broken=1>'));
    assert.ok(text.includes('__proto__') && text.includes('constructor'));
    assert.ok(text.includes('\\u{202e}desrever'), 'what turns text round is written out');
  });
});

test('statement 19: names with zero bytes and marks of direction are written out', async () => {
  const path = variantOf(fixture('F5'), 'F5-zero', ({ processes: [it] }) => {
    it.argv = [it.argv[0], 'zero\u0000byte <img src=x onerror="window.__broken=7">', '\u202Edesrever'];
    it.threads[0].name = '</script>\u0000\u2066';
  });
  const { page, faults, close } = await open(browser, path, { hash: '#/summary' });
  const text = await page.locator('#app').textContent();
  assert.ok(text.includes('zero\\u{0}byte <img src=x'), text.slice(0, 300));
  assert.ok(text.includes('\\u{202e}desrever'));
  for (const id of PAGES) {
    await page.getByTestId(`tab-${id}`).click();
    await page.getByTestId(`page-${id}`).waitFor();
    assert.doesNotMatch(await page.locator('#app').innerText(), /[\u0000\u202a-\u202e\u2066-\u2069]/, id);
  }
  assert.equal(await page.evaluate(() => window.__broken), undefined);
  assert.deepEqual(faults(), []);
  await close();
});

test('statement 19: where nothing was allocated each page says so', async () => {
  await on('F3', {}, async (page) => {
    // `on` asserts that there was no exception; About says how it was recorded, as always.
    await page.getByTestId('tab-about').click();
    await page.getByTestId('page-about').waitFor();
    for (const id of PAGES.filter((it) => it !== 'about')) {
      await page.getByTestId(`tab-${id}`).click();
      await page.getByTestId(`page-${id}`).waitFor();
      await page.getByTestId(`page-${id}`).getByTestId('empty').first().waitFor({ timeout: 3000 }).catch(() => assert.fail(`${id} says nothing`));
    }
  });
});

test('the links of findings set the state that they speak of, as one step of the history', async () => {
  await on('F1', {}, async (page) => {
    const before = await state(page);
    const lost = page.locator('[data-rule=lost]');
    assert.match(await lost.textContent(), /leak_ctx.*600 blocks/);
    await lost.getByRole('button', { name: 'flame' }).click();
    await page.getByTestId('page-flame').waitFor();
    assert.equal(await param(page, 'm'), 'leaked');
    assert.match(await sentence(page), /never freed before exit: 93\.8 KiB in 600 blocks$/);
    await page.goBack();
    assert.equal(await state(page), before);
  });
});

test('another process is a step of the history, at its own peak; the tree of processes leads there too', async () => {
  await on('F6', {}, async (page) => {
    const pid = () => page.locator('.header-facts span').first().textContent();
    const [first, said] = [await pid(), await sentence(page)];
    const ids = await page.getByTestId('processes').locator('option').evaluateAll((all) => all.map((it) => it.value));
    assert.ok(ids.length >= 3, `${ids}`);
    await page.getByTestId('processes').selectOption(ids.at(-1));
    await page.waitForFunction((it) => document.querySelector('.header-facts span').textContent !== it, first);
    const second = await pid();
    await page.goBack();
    await page.waitForFunction((it) => document.querySelector('.header-facts span').textContent === it, first);
    assert.equal(await sentence(page), said);
    const { pid: other } = overviewOf(fixture('F6')).processes.find((it) => String(it.id) === ids.at(-1));
    await page.getByTestId('process-tree').locator('tbody tr', { hasText: String(other) }).getByRole('button').click();
    await page.waitForFunction((it) => document.querySelector('.header-facts span').textContent === it, second);
  });
});

test('the page opens with the process of the highest peak; the list of processes says so, and has the others by their peaks', async () => {
  const { processes, first } = overviewOf(fixture('F6'));
  const byPeak = [...processes].sort((x, y) => y.peak.bytes - x.peak.bytes);
  assert.equal(first, byPeak[0].id);
  assert.notEqual(first, 0, 'it is not the one that was launched');
  await on('F6', {}, async (page) => {
    assert.equal(await page.evaluate(() => window.__ht.data.info.id), first);
    const options = await page.getByTestId('processes').locator('option').allTextContents();
    assert.match(options[0], new RegExp(`^#${first} \\w+ · [\\d.]+ KiB, highest peak$`));
    const shown = options.map((it) => Number(/^#(\d+)/.exec(it)[1]));
    assert.deepEqual(shown.map((id) => processes.find((it) => it.id === id).peak.bytes), byPeak.map((it) => it.peak.bytes));
  });
  // A link that names another one is followed.
  await on('F6', { hash: '#/summary?v=1&p=0' }, async (page) => assert.equal(await page.evaluate(() => window.__ht.data.info.id), 0));
});

test('a process that crashed is opened with, and the list of processes says so', async () => {
  const path = variantOf(fixture('F6'), 'F6-crashed', (overview) => {
    overview.first = 0;
    overview.processes[0].crash = { crashes: [], death: { signal: 9, core: false, out_of_memory: false, reason: '', rss_bytes: null, rss_time_ns: null, last_events: [] } };
  });
  const { page, close } = await open(browser, path);
  assert.match((await page.getByTestId('processes').locator('option').allTextContents())[0], /^#0 .*, crashed$/);
  assert.match(await state(page), /^#\/crash/);
  await close();
});

test('a metric that a sample does not tell is mended in a link', async () => {
  const path = variantOf(fixture('F1'), 'F1-sampled', (overview) => (overview.sampling = { interval_bytes: 4096 }));
  const { page, faults, close } = await open(browser, path, { hash: '#/summary?v=1&m=temp&u=blocks' });
  assert.equal(await page.getByTestId('metric').inputValue(), 'live');
  assert.equal(await param(page, 'm'), null);
  assert.equal(await param(page, 'u'), 'blocks', 'what makes sense of the link is kept');
  assert.deepEqual(faults(), []);
  await close();
  await on('F1', { hash: '#/summary?v=1&m=temp' }, async (page) => assert.equal(await page.getByTestId('metric').inputValue(), 'temp'));
});

test('the tall strip tells call sites apart: each layer is as high as what its site holds', async () => {
  await on('F1', { hash: '#/summary?v=1&tall=1' }, async (page) => {
    const names = (await page.getByTestId('strip-sites').locator('button').allTextContents()).map((it) => it.trim());
    const { heights, share } = await drawn(page, (heights) => heights.some((it) => it > 20));
    assert.ok(heights.some((it) => it > 20), `${heights}`);
    assert.ok(names.length >= heights.filter((it) => it > 0).length - 1);
    const at = await page.evaluate(async (share) => {
      const { data } = window.__ht;
      const { start_ns, end_ns } = data.info;
      const t = data.times.at(start_ns + share * (end_ns - start_ns));
      const { bytes, total } = await data.weigh({ metric: 'live', t, a: 0, b: data.info.event_count, q: '' });
      const sites = {};
      bytes.forEach((it, stack) => {
        const short = data.stacks.frames.strings[data.stacks.frames.short[data.stacks.site[stack]]];
        sites[short] = (sites[short] ?? 0) + it;
      });
      return { sites, total: total.bytes };
    }, share);
    const pixels = heights.reduce((sum, it) => sum + it, 0);
    for (const name of new Set(names)) {
      const seen = heights.reduce((sum, it, rank) => sum + (names[rank] === name ? it : 0), 0);
      const expected = (pixels * (at.sites[name] ?? 0)) / at.total;
      assert.ok(Math.abs(seen - expected) <= 3, `${name}: ${seen} px, not ${expected.toFixed(1)}`);
    }
    await page.getByTestId('strip-shows').uncheck();
    await page.waitForFunction(() => !document.querySelector('[data-testid=strip-sites]'));
    assert.equal(await param(page, 'strip'), 'total');
    const none = (heights) => heights.every((it) => it === 0);
    assert.ok(none((await drawn(page, none)).heights), 'now they are not');
  });
  // Where sums are known at few moments only, it says why it does not.
  await on('F10', { hash: '#/summary?v=1&tall=1' }, async (page) => {
    assert.ok(await page.getByTestId('strip-shows').isDisabled());
    assert.match(await page.locator('.strip-shows').getAttribute('title'), /does not hold all blocks/);
    assert.equal(await page.getByTestId('strip-sites').count(), 0);
  });
});

/** The strip once it looks so; after five seconds as it is. It is drawn a frame after what it shows has changed. */
async function drawn(page, looksSo) {
  let seen = await strip(page);
  for (let tries = 0; tries < 100 && !looksSo(seen.heights); tries++) {
    await page.waitForTimeout(50);
    seen = await strip(page);
  }
  return seen;
}

/** Where the strip is highest, a little into the column: pixels of each layer's colour there, and the share of the run. */
async function strip(page) {
  await page.waitForFunction(() => document.querySelectorAll('.strip-swatch').length !== 1);
  return page.evaluate(async () => {
    const canvas = document.querySelector('.strip-plot > canvas');
    const [left, right] = [64, canvas.clientWidth - 8];
    const colours = ['#398fc4', '#b37b00', '#008049', '#9b3f92', '#6a6300', '#004f80', '#c04008', '#7d8894'].map((it) => [1, 3, 5].map((at) => parseInt(it.slice(at, at + 2), 16)));
    const context = canvas.getContext('2d');
    const column = (x) => {
      const { data } = context.getImageData(x, 16, 1, canvas.height - 36);
      const heights = colours.map(() => 0);
      for (let at = 0; at < data.length; at += 4) {
        const rank = colours.findIndex((it) => it.every((part, k) => Math.abs(part - data[at + k]) <= 2));
        if (rank >= 0) heights[rank]++;
      }
      return heights;
    };
    const sum = (it) => it.reduce((all, part) => all + part, 0);
    let best = Math.round((left + right) / 2);
    for (let x = left + 3; x < right - 3; x++) if (sum(column(x)) > sum(column(best))) best = x;
    const wide = Math.max(1, Math.ceil((right - left) / 512));
    const columns = Math.floor((right - left) / wide);
    // What a column shows is what is live at its end.
    const nth = Math.floor(((best + 0.5 - left) * columns) / (right - left));
    return { heights: column(best), share: (nth + 1) / columns };
  });
}

test('play moves T, and a pause is one step of the history', async () => {
  await on('F1', {}, async (page) => {
    await page.keyboard.press('Home');
    const before = await state(page);
    await page.keyboard.press(' ');
    await page.waitForFunction((it) => window.__ht.state !== it, before);
    await page.waitForTimeout(400);
    await page.keyboard.press(' ');
    const played = await state(page);
    await page.waitForTimeout(200);
    assert.equal(await state(page), played);
    await page.goBack();
    assert.equal(await state(page), before);
  });
});

const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

test('axe finds nothing serious on the frame with a range and a selection, of a crash, and with hostile names', { timeout: 120_000 }, async () => {
  for (const theme of ['light', 'dark']) {
    for (const name of ['F1', 'F4', 'F5']) {
      // The page's own policy lets no other script in.
      await on(name, { hash: '#/summary?a=100&sel=site:3', theme, bypassCSP: true }, async (page) => {
        await page.addScriptTag({ path: axe });
        for (const [width, height] of [[1440, 900], [1024, 640]]) {
          await page.setViewportSize({ width, height });
          await page.waitForTimeout(200);
          const { violations } = await page.evaluate(() => window.axe.run({ resultTypes: ['violations'] }));
          const grave = violations.filter((it) => it.impact === 'serious' || it.impact === 'critical');
          assert.deepEqual(grave.map((it) => [it.id, it.nodes.map((node) => node.html.slice(0, 160))]), [], `${name} ${theme} ${width}`);
          assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${name} ${width}: too wide`);
        }
      });
    }
  }
});

test('at 200 % nothing runs out at the side', async () => {
  await on('F1', { width: 720, height: 450, deviceScaleFactor: 2 }, async (page) => {
    for (const id of ['summary', 'about']) {
      await page.getByTestId(`tab-${id}`).click();
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(wide <= 0, `${id}: ${wide} px`);
    }
  });
});

test('who asked for less motion gets none', async () => {
  await on('F1', { reducedMotion: 'reduce' }, async (page) => {
    const before = await state(page);
    await page.keyboard.press(' ');
    await page.waitForTimeout(300);
    assert.equal(await state(page), before);
    assert.ok(await page.getByRole('button', { name: /^Play/ }).isDisabled());
  });
});

/** Numbers below a bound, the same for each seed. */
function generator(seed) {
  let now = seed * 2654435761;
  return (below) => {
    now = (Math.imul(now ^ (now >>> 15), 2246822519) + 374761393) >>> 0;
    return now % below;
  };
}
