// Where the page begins: finds its data, sets the state from the link, draws.

import './style.css';
import './shell/static.css';
import { render } from 'preact';
import { App } from './app.tsx';
import { connect } from './data/connect.ts';
import { PAGES } from './pages/index.ts';
import { follow, hash, page } from './state/params.ts';
import { listen } from './state/keys.ts';
import * as state from './state/state.ts';
import { time } from './ui/units.ts';

/** For tests: whether all is drawn, and the state as links write it. */
declare global {
  interface Window {
    __ht: {
      ready: boolean;
      readonly state: string;
      /** T, A and B as sentences write them. */
      moments: () => { t: string; a: string; b: string };
      perf: Record<string, number>;
      frames: () => number[];
    };
  }
}

const frames: number[] = [];
let before = 0;

/** Lengths of the frames since the last call, in milliseconds; the first call begins to take them. */
function framesSince(): number[] {
  if (before === 0) {
    before = performance.now();
    const next = (now: number) => {
      frames.push(now - before);
      before = now;
      requestAnimationFrame(next);
    };
    requestAnimationFrame(next);
  }
  return frames.splice(0);
}

window.__ht = {
  ready: false,
  get state() {
    return hash();
  },
  moments: () => {
    const write = (position: number) => time(state.data.value.times.of(position));
    return { t: write(state.t.value), a: write(state.a.value), b: write(state.b.value) };
  },
  perf: {},
  frames: framesSince,
};

/** A page that there is not, or not of this process, is the summary. */
function keepToPages(): void {
  const found = PAGES.find((it) => it.id === page.value);
  if (!found || !(found.when?.(state.data.value.info) ?? true)) page.value = 'summary';
}

async function start(): Promise<void> {
  state.source.value = await connect();
  const asked = location.hash;
  await state.arrive(asked);
  keepToPages();
  if (asked === '') page.value = PAGES.find((it) => it.when?.(state.data.value.info) ?? true)!.id;
  follow(async (hash) => {
    const arrived = await state.arrive(hash);
    if (arrived) keepToPages();
    return arrived;
  });
  listen();
  document.getElementById('static')?.remove();
  render(<App />, document.getElementById('app')!);
  window.__ht.perf['ready_ms'] = performance.now();
  window.__ht.ready = true;
}

start().catch((error: unknown) => {
  const line = document.createElement('p');
  line.className = 'failure';
  line.setAttribute('role', 'alert');
  line.textContent = `This page cannot show its data: ${error instanceof Error ? error.message : String(error)}`;
  document.body.prepend(line);
});
