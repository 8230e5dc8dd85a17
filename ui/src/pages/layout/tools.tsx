// Above the map: how it is seen, and what its colours mean.

import { data, selected } from '../../state/state.ts';
import { Choice } from '../../ui/choice.tsx';
import { Icon } from '../../ui/icons.tsx';
import { css } from '../../ui/colour.ts';
import { FrameName, Name } from '../../ui/name.tsx';
import { theme } from '../../ui/theme.ts';
import { bytes, time } from '../../ui/units.ts';
import { COLOURS } from './classes.ts';
import { GoTo } from './goto.tsx';
import { hoveredSite } from './hover.ts';
import { legend } from './seen.ts';
import { asTable, changing, colourBy, colouredBy, diff, geometry, ghosts, marks, narrow, only, view, zoom, zoomBy, zoomToFit, type View } from './view.ts';

const VIEWS: { id: View; name: string; hint: string }[] = [
  { id: 'rows', name: 'rows', hint: 'The address space as lines of text: lower addresses further left and further up' },
  { id: 'pages', name: 'pages', hint: 'A cell is a page; its colour is how full it is' },
  { id: 'time', name: 'time × address', hint: 'Time from left to right, addresses from top to bottom' },
];

/** A block's age is no colour of it over time: it grows from its left end to its right. */
const COLOURS_OVER_TIME = COLOURS.filter(({ id }) => id !== 'age');

/** Whether colours are blocks' own: not where they show what changed, or how full pages are. */
const coloursBlocks = () => !changing.value && view.value !== 'pages';

export function Tools() {
  return (
    <div class="layout-tools" role="toolbar" aria-label="Map">
      <Choice label="view" value={view.value} onChange={(chosen) => (view.value = chosen)} options={VIEWS} testid="layout-view" />
      {coloursBlocks() && (
        <span class="tool">
          <span class="quiet">colour</span>
          <Choice
            label="colour"
            value={colouredBy.value}
            onChange={(chosen) => (colourBy.value = chosen)}
            options={view.value === 'time' ? COLOURS_OVER_TIME : COLOURS}
            short={narrow.value}
            testid="layout-colour"
          />
        </span>
      )}
      {view.value !== 'time' && <Zoom />}
      {view.value === 'rows' && !changing.value && <Ghosts />}
      <Changes />
      <span class="tool-space" />
      <GoTo />
      <button
        type="button"
        class="text-button"
        aria-pressed={asTable.value}
        data-testid="layout-table"
        aria-label="Table"
        title="A table in the picture's place (y)"
        onClick={() => (asTable.value = !asTable.value)}
      >
        <Icon name="table" size={14} /> {!narrow.value && 'table'}
      </button>
    </div>
  );
}

function Zoom() {
  const perPx = geometry.value.bytesPerPx;
  return (
    <span class="tool zoom">
      <button type="button" class="text-button" aria-label="Zoom out" title="Zoom out (−)" data-testid="layout-zoom-out" onClick={() => zoomBy(-1)}>
        <Icon name="minus" size={14} />
      </button>
      <span class="zoom-text" title={`A row is ${bytes(geometry.value.rowBytes)}`}>
        {view.value === 'pages' ? `${bytes(geometry.value.rowBytes)}/row` : perPx < 1 ? `${perPx.toFixed(2)} B/px` : `${bytes(perPx)}/px`}
      </span>
      <button type="button" class="text-button" aria-label="Zoom in" title="Zoom in (+)" data-testid="layout-zoom-in" onClick={() => zoomBy(1)}>
        <Icon name="plus" size={14} />
      </button>
      <button type="button" class="text-button" disabled={zoom.value === 0} title="All of it at once (f)" data-testid="layout-fit" onClick={zoomToFit}>
        fit
      </button>
    </span>
  );
}

const GHOSTS = [0, 1, 10, 100, 1000];

function Ghosts() {
  return (
    <label class="tool" title="Also show, hatched, where blocks lay that were freed a short time before T">
      <span class="quiet">just freed</span>
      <select value={String(ghosts.value)} data-testid="layout-ghosts" onChange={(event) => (ghosts.value = Number(event.currentTarget.value))}>
        {GHOSTS.map((ms) => (
          <option key={ms} value={String(ms)}>
            {ms === 0 ? 'no' : ms === 1000 ? '1 s' : `${ms} ms`}
          </option>
        ))}
      </select>
    </label>
  );
}

/** What changed between the marks that `a` and `b` set. */
function Changes() {
  const set = marks.value;
  if (view.value === 'time') return null;
  const { times } = data.value;
  return (
    <button
      type="button"
      class="text-button"
      data-testid="layout-diff"
      aria-pressed={changing.value}
      disabled={set === null}
      title={set === null ? 'Set two marks first: move T, press a; move T, press b' : `What changed from ${time(times.of(set.a))} to ${time(times.of(set.b))}`}
      onClick={() => (diff.value = !diff.value)}
    >
      {narrow.value ? 'A–B' : 'changes A–B'}
    </button>
  );
}

/** The meaning of the colours, on a line of its own. */
export function Legend() {
  const frames = data.value.stacks.frames;
  const now = theme.value;
  const labels = legend.value.map(({ label }) => label);
  // Places in one function, or threads of one name, are told apart.
  const twice = new Set(labels.filter((label, index) => labels.indexOf(label) !== index));
  const shapes = changing.value ? ['▲ ', '▽ ', ''] : null;
  const spare = only.value ?? (selected.value?.kind === 'site' ? selected.value.id : hoveredSite.value);
  return (
    <div class="layout-legend" data-testid="layout-legend" aria-label="Legend">
      {legend.value.map(({ label, note, colour }, index) => (
        <span key={label + index} class="layout-swatch" title={note ? `${label}  ${note}` : label}>
          <i
            class={changing.value && index < 2 ? `hatch-${index}` : view.value === 'pages' && index === 0 ? 'sparse' : undefined}
            style={{ background: css(colour(now)) }}
          />
          {shapes?.[index]}
          <Name text={note !== undefined && twice.has(label) ? `${label} ${note}` : label} />
        </span>
      ))}
      {ghosts.value > 0 && view.value === 'rows' && !changing.value && (
        <span class="layout-swatch">
          <i class="ghost" />
          freed within {ghosts.value} ms
        </span>
      )}
      <span class="layout-swatch">
        <i class="hole" />
        hole
      </span>
      {view.value === 'rows' && !changing.value && (
        <label class="only" title="Show one call site alone (o)">
          <input
            type="checkbox"
            data-testid="layout-only"
            checked={only.value !== null}
            disabled={only.value === null && spare === null}
            onChange={(event) => (only.value = event.currentTarget.checked ? spare : null)}
          />
          {only.value === null ? 'only one site' : <>only <FrameName frames={frames} frame={only.value} /></>}
        </label>
      )}
    </div>
  );
}
