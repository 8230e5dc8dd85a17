// Opens pages in Chromium, from file:// and offline, and keeps account of what must not happen: requests, console errors.

import { chromium } from 'playwright-core';
import { existsSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/** A browser for a file of tests: `after(() => browser.close())`. */
export function launch() {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--force-color-profile=srgb'] });
}

/** The path of a fixture that `fixtures.mjs` made: `F1`, `F3`, … */
export function fixture(name) {
  const path = here(`../dist/fixtures/${name}.html`);
  if (!existsSync(path)) throw new Error(`${path} is missing: node e2e/fixtures.mjs`);
  return path;
}

/** The developer's page, a synthetic process: `node dev.mjs`. */
export const developersPage = here('../dist/dev.html');

/**
 * Opens a report. `hash`: `#/flame?…`; `theme`, `width`, `height`, `script: false`. Gives the page, and what went wrong on it:
 * `faults()` lists console errors, exceptions and requests for anything but the document, blob: and data:.
 */
export async function open(browser, path, { hash = '', query = '', theme = 'light', width = 1440, height = 900, script = true, ...more } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, javaScriptEnabled: script, offline: true, ...more });
  const page = await context.newPage();
  const url = pathToFileURL(path).href;
  const faults = [];
  page.on('console', (message) => message.type() === 'error' && faults.push(`console: ${message.text()}`));
  page.on('pageerror', (error) => faults.push(`exception: ${error.stack}`));
  page.on('request', (request) => {
    const asked = request.url();
    if (!/^(blob|data):/.test(asked) && asked.replace(/[?#].*$/, '') !== url) faults.push(`request: ${asked}`);
  });
  await page.goto(`${url}${query}${hash}`);
  if (script) await ready(page);
  return { page, context, faults: () => faults, close: () => context.close() };
}

/** Waits until all is drawn. */
export async function ready(page) {
  await page.waitForFunction(() => window.__ht?.ready === true || document.querySelector('.failure'), null, { timeout: 30_000 });
  const failure = await page.evaluate(() => document.querySelector('.failure')?.textContent);
  if (failure) throw new Error(failure);
}

/** The state, as links write it. */
export function state(page) {
  return page.evaluate(() => window.__ht.state);
}

/** The sentence, once its figures are there. */
export async function sentence(page) {
  const line = page.getByTestId('sentence');
  await page.waitForFunction(() => !document.querySelector('[data-testid=sentence]')?.textContent.endsWith('…') && !document.querySelector('[data-testid=sentence] .sentence-pending'));
  return (await line.textContent()).trim();
}

/** A parameter of the present state; null where it has its initial value. */
export async function param(page, key) {
  const written = await state(page);
  return new URLSearchParams(written.slice(written.indexOf('?') + 1)).get(key);
}
