// The shell: header, timeline strip, tabs, the page, and the inspector of what is selected.

import { PAGES } from './pages/index.ts';
import { goTo, data } from './state/state.ts';
import { page } from './state/params.ts';

export function App() {
  const pages = PAGES.filter((it) => it.when?.(data.value.info) ?? true);
  const current = pages.find((it) => it.id === page.value) ?? pages[0]!;
  const Current = current.component;
  return (
    <div class="app">
      <nav class="tabs" aria-label="Pages">
        {pages.map((it) => (
          <button key={it.id} data-testid={`tab-${it.id}`} aria-current={it === current ? 'page' : undefined} onClick={() => goTo(it.id)}>
            {it.title}
          </button>
        ))}
      </nav>
      <main class="page">
        <Current key={current.id} />
      </main>
    </div>
  );
}
