// The pages, in the order of the questions that they answer; each names its key.

import { PAGES } from '../pages/index.ts';
import { beginAtT, endAtT, mark, marked, showDifference } from '../state/actions.ts';
import { keyOfPage } from '../state/keys.ts';
import { page } from '../state/params.ts';
import { data, goTo } from '../state/state.ts';
import { Icon } from '../ui/icons.tsx';
import { time } from '../ui/units.ts';
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
      <span class="tabs-moments" role="group" aria-label="Range and marks">
        <button class="text-button" title="Range begins at T ([)" onClick={beginAtT}>[ T</button>
        <button class="text-button" title="Range ends at T (])" onClick={endAtT}>T ]</button>
        <Marker which="a" />
        <Marker which="b" />
        <button class="text-button" title="Difference between the marks, or the ends of the range (x)" onClick={showDifference}>B − A</button>
      </span>
    </nav>
  );
}

/** Sets a mark at T; its title says where it stands now. */
function Marker({ which }: { which: 'a' | 'b' }) {
  const at = marked(which);
  const name = which.toUpperCase();
  const now = at === null ? '' : `, now at ${time(data.value.times.of(at))}`;
  return (
    <button class="text-button" title={`Mark ${name} at T (${which})${now}`} onClick={() => mark(which)}>
      <Icon name="flag" size={12} /> {name}
    </button>
  );
}
