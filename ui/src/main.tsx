// Where the page begins: finds its data, sets the state from the link, draws.

import './style.css';
import { render } from 'preact';
import { App } from './app.tsx';
import { connect } from './data/connect.ts';
import { PAGES } from './pages/index.ts';
import { isReady } from './hook.ts';
import { follow, page } from './state/params.ts';
import { listen } from './state/keys.ts';
import * as state from './state/state.ts';

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
  isReady();
}

start().catch((error: unknown) => {
  const line = document.createElement('p');
  line.className = 'failure';
  line.setAttribute('role', 'alert');
  line.textContent = `This page cannot show its data: ${error instanceof Error ? error.message : String(error)}`;
  document.body.prepend(line);
});
