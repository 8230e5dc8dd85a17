// The controls of the flame graph.

import { useState } from 'preact/hooks';
import { batch } from '@preact/signals';
import { data, metric } from '../../state/state.ts';
import { FoldControl } from '../../tree/foldcontrol.tsx';
import type { View } from '../../tree/view.ts';
import { Button } from '../../ui/button.tsx';
import { Choice } from '../../ui/choice.tsx';
import { Menu } from '../../ui/menu.tsx';
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

const CAPPED = 'This report does not hold every block, and of the others not the threads';

export function Tools({ view, looks, order, weighed }: { view: View; looks: Looks; order: Order; weighed: Weighed }) {
  const [menu, setMenu] = useState<{ x: number; y: number } | null>(null);
  const signed = metric.value === 'diff';
  const single = turn.value !== 'sandwich';
  const capped = data.value.info.capped !== null;
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
      <FoldControl />
      {single && data.value.info.threads.length > 1 && (
        <label class="flame-label" title={capped ? CAPPED : undefined}>
          <input type="checkbox" checked={threaded.value && !capped} disabled={capped} data-testid="flame-threads"
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
