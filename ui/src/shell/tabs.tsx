// The pages, in the order of the questions that they answer; each names its key.

import { PAGES } from '../pages/index.ts';
import { keyOfPage } from '../state/keys.ts';
import { page } from '../state/params.ts';
import { data, goTo } from '../state/state.ts';
import './tabs.css';

export function Tabs() {
  return (
    <nav class="tabs" aria-label="Pages">
      {PAGES.filter((it) => it.when?.(data.value.info) ?? true).map((it) => {
        const key = keyOfPage(it.id);
        return (
          <button key={it.id} data-testid={`tab-${it.id}`} aria-current={it.id === page.value ? 'page' : undefined} onClick={() => goTo(it.id)}>
            {it.title}
            {key && <kbd aria-hidden="true">{key}</kbd>}
          </button>
        );
      })}
    </nav>
  );
}
