// The shell: header, timeline strip, what is measured, tabs, the page, and the inspector of what is selected.

import { PAGES } from './pages/index.ts';
import { Nothing } from './pages/nothing.tsx';
import { Header } from './shell/header.tsx';
import { Help } from './shell/help.tsx';
import { Inspector } from './shell/inspector.tsx';
import { SentenceLine } from './shell/sentence.tsx';
import { Tabs } from './shell/tabs.tsx';
import { Toast } from './shell/toast.tsx';
import { page } from './state/params.ts';
import { data, selected } from './state/state.ts';
import { Strip } from './strip/strip.tsx';

export function App() {
  // What the page is of one process, so are its parts: another process has others.
  const { id, block_count } = data.value.info;
  const current = PAGES.find((it) => it.id === page.value)!;
  const Current = current.component;
  const empty = block_count === 0 && !(current.forNothing ?? false);
  return (
    <div class="app" key={id}>
      <Header />
      <Strip />
      <SentenceLine />
      <Tabs />
      <div class="body">
        <main class="page" id="page" tabIndex={0} data-testid={`page-${page.value}`}>
          {empty ? <Nothing what="blocks" /> : <Current key={page.value} />}
        </main>
        {/* The page of blocks shows the selected one itself, and more of it. */}
        {!(page.value === 'blocks' && selected.value?.kind === 'block') && <Inspector />}
      </div>
      <Help />
      <Toast />
    </div>
  );
}
