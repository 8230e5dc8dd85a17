// Layout: the heap in the address space at T. Where the blocks lie, whose they are, the holes between them, how full the
// pages are, and who keeps nearly empty ones.

import { useEffect } from 'preact/hooks';
import { data, setT, source, t } from '../../state/state.ts';
import { useQuery } from '../../state/query.ts';
import { bytes, count, counted, percent, roundBytes, time } from '../../ui/units.ts';
import { followGround } from './ground.ts';
import { hoveredSite } from './hover.ts';
import { useKeys } from '../../state/keys.ts';
import { List } from './list.tsx';
import { HeapMap } from './map.tsx';
import { followMarks, selectedBlock } from './marked.ts';
import { Minimap } from './minimap.tsx';
import { Readout } from './readout.tsx';
import { Regions } from './regions.tsx';
import { failure, followFilter, followPicture, followSites, kept, type Kept } from './seen.ts';
import { Fragmentation, Pins } from './side.tsx';
import { TimeMap } from './timemap.tsx';
import { Legend, Tools } from './tools.tsx';
import { asTable, changing, ground, layout, marks, only, scrolls, showAddress, view, zoomToFit } from './view.ts';
import './layout.css';

export function LayoutPage() {
  useEffect(followGround, []);
  useEffect(followSites, []);
  useEffect(followMarks, []);
  useEffect(followFilter, []);
  useKeys([
    { keys: ['y'], does: 'Map, table', run: () => void (asTable.value = !asTable.value) },
    { keys: ['o'], does: 'Only the site under the pointer, all', run: () => void (only.value = only.value === null ? hoveredSite.value : null) },
    { keys: ['l'], does: 'The selected block closely', run: () => void (selectedBlock.value !== null && showAddress(selectedBlock.value.lo, 14)) },
    { keys: ['f'], does: 'Zoom the map so that all fits', run: zoomToFit },
  ]);
  if (data.value.info.block_count === 0) return <p class="layout-nothing">No block was allocated: there is nothing to lay out.</p>;
  return (
    <div class="layout-page" data-testid="layout">
      <h1 class="sr-only">Layout</h1>
      <Sentence />
      <Partly />
      <Filtered />
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
        <aside class="layout-side" tabIndex={0} aria-label="What the map adds up to">
          {source.value.overview.sampling === null ? <Whole /> : <Sampled />}
        </aside>
      </div>
    </div>
  );
}

function Whole() {
  return (
    <>
      <Pins />
      <Fragmentation />
    </>
  );
}

/** Nothing is added up of a map that shows one block in many. */
function Sampled() {
  return (
    <section class="layout-box" data-testid="layout-sampled">
      <h2>Fragmentation</h2>
      <p class="quiet">Not known of a sample: how full pages are, and which blocks hold them, takes every block. Record without --sample.</p>
    </section>
  );
}

function WithMinimap() {
  useEffect(followPicture, []);
  const now = layout.value;
  const nothing = now !== null && now.layout.total.live_blocks === 0;
  return (
    <>
      <div class="layout-maps">
        <HeapMap />
        {scrolls.value && <Minimap />}
        {nothing && <Nothing />}
      </div>
      <Readout />
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
  if (changing.value) return <Changes />;
  if (source.value.overview.sampling !== null) {
    return (
      <p class="layout-sentence" data-testid="layout-sentence" aria-busy={now.t !== t.value}>
        The heap at T = {time(data.value.times.of(now.t))}: where the {count(total.live_blocks)} live blocks lie that the sample has.
      </p>
    );
  }
  return (
    <p class="layout-sentence" data-testid="layout-sentence" aria-busy={now.t !== t.value}>
      The heap at T = {time(data.value.times.of(now.t))}: {count(total.live_blocks)} live blocks use{' '}
      <b>{percent(total.used_bytes, total.span_bytes)}</b> of the {bytes(total.span_bytes)} in {counted(regions.length, 'region')} over which they are spread; the rest lies between and around them.
    </p>
  );
}

/** Where not all blocks are known, what looks like a hole may be none. */
function Partly() {
  const { capped } = data.value.info;
  const { sampling } = source.value.overview;
  if (capped === null && sampling === null) return null;
  if (sampling === null && view.value !== 'time' && isWhole()) return null;
  const why =
    capped !== null
      ? `This report holds ${count(capped.kept_blocks)} of ${count(capped.of_blocks)} blocks`
      : `This recording is a sample, one byte in ${roundBytes(sampling!.interval_bytes)} chosen`;
  return <p class="layout-partly">{why}: what looks like a hole may be a block that is not in it.</p>;
}

/** Whether a capped report has every block that is live at T: it has those of the peak and of the end, as far as there was room. */
function isWhole(): boolean {
  const { peak, at_exit, event_count } = data.value.info;
  const now = layout.value;
  if (now === null || now.t !== t.value) return false;
  const { live_blocks } = now.layout.total;
  return (now.t === peak.position && live_blocks === peak.blocks) || (now.t === event_count && live_blocks === at_exit.blocks);
}

/** What the filter does here. */
function Filtered() {
  const found = kept.value;
  if (found === null) return null;
  return (
    <p class="layout-sentence quiet" data-testid="layout-filtered">
      {whatIsKept(found)}
    </p>
  );
}

function whatIsKept({ blocks, too_many }: Kept): string {
  if (view.value === 'time') return 'Blocks that the filter keeps have their colours, others are grey; all figures here are of all blocks.';
  if (too_many) return `The filter keeps ${count(blocks)} of them, too many to tell apart here: all have colours.`;
  if (view.value === 'pages') return 'Pages are of all blocks, whatever the filter keeps.';
  const has = blocks === 1 ? 'block that the filter keeps has its' : 'blocks that the filter keeps have their';
  return `${count(blocks)} ${has} colours, others are grey; all figures here are of all blocks.`;
}

/** What became of it between the marks. */
function Changes() {
  const { times } = data.value;
  const { a, b } = marks.value!;
  const answer = useQuery((signal) => {
    const set = marks.value;
    if (set === null) return null;
    const whole = { t: 0, ...set, q: '' };
    return Promise.all([data.value.total({ ...whole, metric: 'kept' }, signal), data.value.total({ ...whole, metric: 'diff' }, signal)]);
  });
  const [kept, net] = answer.value.value ?? [];
  return (
    <p class="layout-sentence" data-testid="layout-sentence" aria-busy={answer.value.pending}>
      The heap at mark B = {time(times.of(b))} against mark A = {time(times.of(a))}
      {kept !== undefined && net !== undefined && (
        <>
          : <b>{bytes(kept.bytes)}</b> in {count(kept.blocks)} blocks appeared, <b>{bytes(kept.bytes - net.bytes)}</b> in{' '}
          {count(kept.blocks - net.blocks)} are gone.
        </>
      )}
    </p>
  );
}
