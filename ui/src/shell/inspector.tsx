// The drawer at the right: what is known of the selection, on every page, and ways to look at it elsewhere.

import { useEffect, useState } from 'preact/hooks';
import { inspector, inspectorOpen, toggleInspector } from '../state/actions.ts';
import { goTo, selected, selection } from '../state/state.ts';
import { Button } from '../ui/button.tsx';
import { Icon, type IconName } from '../ui/icons.tsx';
import { BlockFacts } from './block.tsx';
import { CodeFacts } from './code.tsx';
import './inspector.css';

const TITLES = { stack: 'Backtrace', site: 'Call site', fn: 'Function', block: 'Block' };

/** A double click that selects with its first half must find the page where it was. */
const OPENS_AFTER_MS = 350;

export function Inspector() {
  const chosen = selected.value;
  const wanted = inspectorOpen();
  const [open, setOpen] = useState(wanted);
  useEffect(() => {
    if (wanted === open) return;
    const soon = setTimeout(() => setOpen(wanted), inspector.peek() === null && wanted ? OPENS_AFTER_MS : 0);
    return () => clearTimeout(soon);
  }, [wanted, open]);
  if (!open) {
    return (
      <aside class="inspector-rail" aria-label="Inspector">
        <Button icon="drawer" label="Open the inspector" keys="i" onClick={toggleInspector} pressed={chosen !== null} testid="inspector-open" />
        {chosen && <span>{TITLES[chosen.kind]}</span>}
      </aside>
    );
  }
  return (
    <aside class="inspector" aria-label="Inspector" data-testid="inspector">
      <header>
        <h2>{chosen ? TITLES[chosen.kind] : 'Inspector'}</h2>
        {chosen && <Button icon="close" label="Select nothing" keys="Esc" onClick={() => (selection.value = '')} />}
        <Button icon="drawer" label="Close the inspector" keys="i" onClick={toggleInspector} pressed />
      </header>
      {chosen === null && <p class="inspector-empty">Nothing is selected. Click a frame, a row or a block: what is known of it stands here.</p>}
      {chosen !== null && <Ways />}
      {chosen?.kind === 'block' && <BlockFacts key={chosen.id} id={chosen.id} />}
      {chosen !== null && chosen.kind !== 'block' && <CodeFacts key={selection.value} kind={chosen.kind} id={chosen.id} />}
    </aside>
  );
}

const WAYS: { page: string; icon: IconName; word: string; key: string }[] = [
  { page: 'flame', icon: 'flame', word: 'flame', key: '2' },
  { page: 'layout', icon: 'layout', word: 'map', key: 'l' },
  { page: 'blocks', icon: 'blocks', word: 'blocks', key: 'k' },
  { page: 'source', icon: 'source', word: 'source', key: 's' },
];

/** The pages that show the selection in their own way. */
function Ways() {
  return (
    <p class="inspector-ways">
      {WAYS.map((it) => (
        <button key={it.page} class="text-button" title={`Show it on the page ${it.page} (${it.key})`} onClick={() => goTo(it.page)}>
          <Icon name={it.icon} size={14} /> {it.word}
        </button>
      ))}
    </p>
  );
}
