// Where the page begins: finds its data, sets the state from the link, draws.

import './style.css';
import { render } from 'preact';
import { App } from './app.tsx';
import { connect } from './data/connect.ts';
import { follow, hash, page, read } from './state/params.ts';
import * as state from './state/state.ts';

/** For tests: whether all is drawn, and the state as links write it. */
declare global {
  interface Window {
    __ht: { ready: boolean; readonly state: string; perf: Record<string, number>; frames: () => number[] };
  }
}

const frames: number[] = [];
window.__ht = {
  ready: false,
  get state() {
    return hash();
  },
  perf: {},
  frames: () => frames,
};

async function start(): Promise<void> {
  const source = await connect();
  state.source.value = source;
  read(location.hash);
  const wanted = source.overview.processes.find((it) => it.id === state.process.value && it.included);
  const id = wanted?.id ?? source.overview.first;
  state.data.value = await source.open(id);
  if (location.hash === '' && state.data.value.info.crash !== null) page.value = 'crash';
  read(location.hash === '' ? `#/${page.value}` : location.hash);
  state.process.value = id;
  follow();
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
