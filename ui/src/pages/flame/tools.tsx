// The controls of the flame graph.

import { useState } from 'preact/hooks';
import { batch } from '@preact/signals';
import { data, metric } from '../../state/state.ts';
import { fold, hidden, program } from '../../tree/shared.ts';
import type { Fold } from '../../tree/fold.ts';
import type { View } from '../../tree/view.ts';
import { Button } from '../../ui/button.tsx';
import { Choice } from '../../ui/choice.tsx';
import { Icon } from '../../ui/icons.tsx';
import { Menu } from '../../ui/menu.tsx';
import { baseName } from '../../ui/name.tsx';
import type { Order } from './boxes.ts';
import { exportsOf } from './exports.ts';
import type { Looks } from './looks.ts';
import { alphabetical, asTable, colouring, type Colouring, threaded, turn, type Turn, upwards, zoomPath } from './params.ts';
import type { Weighed } from './use.ts';

const TURNS: { id: Turn; name: string; hint: string }[] = [
  { id: 'top', name: 'top-down', hint: 'From main to what allocates' },
  { id: 'bottom', name: 'bottom-up', hint: 'From what allocates to its callers' },
  { id: 'sandwich', name: 'sandwich', hint: 'The callers and callees of one function' },
];

export function Tools({ view, looks, order, weighed }: { view: View; looks: Looks; order: Order; weighed: Weighed }) {
  const [menu, setMenu] = useState<{ x: number; y: number } | null>(null);
  const signed = metric.value === 'diff';
  const single = turn.value !== 'sandwich';
  const own = program.value;
  const programName = own < 0 ? '' : baseName(data.value.stacks.frames.strings[own]!);
  const colours: { id: Exclude<Colouring, 'auto'>; name: string; hint: string; disabled?: boolean }[] = [
    { id: 'module', name: 'module', hint: 'Colour by the file of the code' },
    { id: 'site', name: 'call site', hint: 'Colour functions that allocate' },
    { id: 'change', name: 'change', hint: signed ? 'Blue: less, orange: more' : 'Only of the metric “difference”', disabled: !signed },
  ];
  return (
    <div class="flame-tools">
      <Choice label="Direction" options={TURNS} value={turn.value} testid="flame-turn"
        onChange={(id) => batch(() => { turn.value = id; zoomPath.value = []; })} />
      {single && (
        <Choice label="Root" testid="flame-up" value={upwards.value ? 'flame' : 'icicle'} onChange={(id) => (upwards.value = id === 'flame')}
          options={[{ id: 'icicle', name: 'icicle', hint: 'The root on top' }, { id: 'flame', name: 'flame', hint: 'The root at the bottom' }]} />
      )}
      <Choice label="Colour by" options={colours} value={looks.colouring} onChange={(id) => (colouring.value = id)} testid="flame-colour" />
      <label class="flame-label">
        fold
        <select value={fold.value} data-testid="flame-fold" onChange={(event) => (fold.value = event.currentTarget.value as Fold)}
          title="Folded frames are not drawn: what they allocate is their caller’s">
          <option value="none">nothing</option>
          <option value="wrappers">allocator and runtime</option>
          <option value="libraries" disabled={own < 0}>{own < 0 ? 'libraries (program unknown)' : `all outside ${programName}`}</option>
        </select>
      </label>
      {hidden.value.length > 0 && (
        <button class="text-button" title="Show them again" onClick={() => (hidden.value = [])}>
          {hidden.value.length} folded by hand <Icon name="close" size={10} />
        </button>
      )}
      {single && data.value.info.threads.length > 1 && (
        <label class="flame-label">
          <input type="checkbox" checked={threaded.value} data-testid="flame-threads"
            onChange={(event) => { const on = event.currentTarget.checked; batch(() => { threaded.value = on; zoomPath.value = []; }); }} />
          by thread
        </label>
      )}
      <label class="flame-label" title="Otherwise the widest first">
        <input type="checkbox" checked={alphabetical.value} onChange={(event) => (alphabetical.value = event.currentTarget.checked)} />
        alphabetical
      </label>
      <span class="flame-tools-end">
        {single && <Button icon="table" label="Table instead of the picture" keys="y" pressed={asTable.value} onClick={() => (asTable.value = !asTable.value)} testid="flame-as-table" />}
        <button class="text-button" aria-haspopup="menu" data-testid="flame-export"
          onClick={(event) => { const at = event.currentTarget.getBoundingClientRect(); setMenu({ x: at.left, y: at.bottom + 4 }); }}>
          export
        </button>
      </span>
      {menu && <Menu {...menu} label="Export" items={exportsOf({ view, looks, order, weighed })} onClose={() => setMenu(null)} />}
    </div>
  );
}
