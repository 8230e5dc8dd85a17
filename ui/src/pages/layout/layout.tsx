// Layout: the heap in the address space at T. Where the blocks lie, whose they are, the holes between them, how full the
// pages are, and who keeps nearly empty ones.

import { useEffect } from 'preact/hooks';
import { data, setT, t } from '../../state/state.ts';
import { bytes, count, percent, time } from '../../ui/units.ts';
import { followGround } from './ground.ts';
import { hoveredSite } from './hover.ts';
import { List } from './list.tsx';
import { HeapMap } from './map.tsx';
import { followMarks } from './marked.ts';
import { Minimap } from './minimap.tsx';
import { Readout } from './readout.tsx';
import { Regions } from './regions.tsx';
import { failure, followPicture } from './seen.ts';
import { Fragmentation, Pins } from './side.tsx';
import { TimeMap } from './timemap.tsx';
import { Legend, Tools } from './tools.tsx';
import { asTable, ground, layout, only, scrolls, view } from './view.ts';
import './layout.css';

export function LayoutPage() {
  useEffect(followGround, []);
  useEffect(followPicture, []);
  useEffect(followMarks, []);
  useEffect(listen, []);
  if (data.value.info.block_count === 0) return <p class="layout-nothing">No block was allocated: there is nothing to lay out.</p>;
  return (
    <div class="layout-page" data-testid="layout">
      <h1 class="sr-only">Layout</h1>
      <Sentence />
      <Tools />
      <Legend />
      {failure.value !== '' && (
        <p class="layout-failure" role="alert">
          The map cannot be drawn: {failure.value}
        </p>
      )}
      <div class="layout-body">
        <Regions />
        <div class="layout-picture">{asTable.value ? <List /> : view.value === 'time' ? <TimeMap /> : <WithMinimap />}</div>
        <aside class="layout-side" aria-label="Fragmentation">
          <Readout />
          <Fragmentation />
          <Pins />
        </aside>
      </div>
    </div>
  );
}

function WithMinimap() {
  const now = layout.value;
  const nothing = now !== null && now.layout.total.live_blocks === 0;
  return (
    <>
      <HeapMap />
      {scrolls.value && <Minimap />}
      {nothing && <Nothing />}
    </>
  );
}

/** What the picture would say if it could. */
function Nothing() {
  const { peak } = data.value.info;
  return (
    <div class="layout-empty" role="status">
      <p>Nothing is live at T.</p>
      <button type="button" class="text-button" onClick={() => setT(peak.position)}>
        T to the peak
      </button>
    </div>
  );
}

/** What the picture is of: whatever is measured elsewhere, it is what is live at T. */
function Sentence() {
  const now = layout.value;
  if (now === null) return <p class="layout-sentence">{ground.value.length === 0 ? 'Looking where the blocks lie…' : ''}</p>;
  const { total, regions } = now.layout;
  return (
    <p class="layout-sentence" data-testid="layout-sentence" aria-busy={now.t !== t.value}>
      The heap at T = {time(data.value.times.of(now.t))}: {count(total.live_blocks)} live blocks use{' '}
      <b>{percent(total.used_bytes, total.span_bytes)}</b> of the {bytes(total.span_bytes)} in {count(regions.length)}{' '}
      {regions.length === 1 ? 'region' : 'regions'} over which they are spread; the rest are holes.
    </p>
  );
}

/** Keys of this page. */
function listen(): () => void {
  const down = (event: KeyboardEvent) => {
    const target = event.target as HTMLElement;
    if (event.ctrlKey || event.altKey || event.metaKey || /^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName)) return;
    if (event.key === 'y') asTable.value = !asTable.value;
    else if (event.key === 'o') only.value = only.value === null ? hoveredSite.value : null;
    else return;
    event.preventDefault();
  };
  addEventListener('keydown', down);
  return () => removeEventListener('keydown', down);
}
