// Difference: what is more and what is less at B than at A, in a table or as a flame graph.

import { useEffect, useMemo, useRef } from 'preact/hooks';
import { marked, mark } from '../../state/actions.ts';
import { a, b, data, markA, markB, setRange, source, t, unit } from '../../state/state.ts';
import { merged, mergeStacks } from '../../tree/shared.ts';
import { view as viewOf } from '../../tree/view.ts';
import { Choice } from '../../ui/choice.tsx';
import { Icon } from '../../ui/icons.tsx';
import { theme } from '../../ui/theme.ts';
import { inUnit } from '../../ui/units.ts';
import { Order } from '../flame/boxes.ts';
import { Legend } from '../flame/legend.tsx';
import { type Looks, shownShare } from '../flame/looks.ts';
import { Single } from '../flame/single.tsx';
import { useFits } from '../flame/use.ts';
import { between, other, rows } from './params.ts';
import { DiffTable } from './table.tsx';
import { type Difference, useDifference } from './use.ts';
import '../flame/flame.css';
import './diff.css';

const VIEWS = [
  { id: 'site', name: 'call site', hint: 'Each block in one row' },
  { id: 'function', name: 'function', hint: 'All functions of a backtrace; rows overlap' },
  { id: 'stack', name: 'backtrace', hint: 'Each backtrace by itself' },
  { id: 'flame', name: 'flame graph', hint: 'Widths are what changed' },
] as const;

export function Diff() {
  const answer = useDifference().value;
  useMarks();
  const found = answer.value;
  return (
    <div class="diff">
      <div class="flame-tools">
        {source.value.other && (
          <Choice label="Between" value={between.value} onChange={(id) => (between.value = id)} testid="diff-between"
            options={[{ id: 'recordings', name: 'two recordings' }, { id: 'moments', name: 'two moments' }]} />
        )}
        <Choice label="One row for each" options={VIEWS} value={rows.value} onChange={(id) => (rows.value = id)} testid="diff-by" />
        {!other.value && <Moments />}
      </div>
      {answer.error !== '' && <p class="failure" role="alert">{answer.error}</p>}
      {found && <Sides found={found} />}
      {found && (rows.value === 'flame' ? <DiffFlame found={found} /> : <DiffTable found={found} by={rows.value} />)}
    </div>
  );
}

/** Marks that are set while this page is shown become the range's ends. */
function useMarks(): void {
  const seen = useRef('');
  const now = `${markA.value} ${markB.value}`;
  useEffect(() => {
    if (seen.current !== '' && seen.current !== now) setRange(marked('a') ?? a.value, marked('b') ?? b.value);
    seen.current = now;
  }, [now]);
}

function Moments() {
  const [one, other] = [marked('a'), marked('b')];
  const marksDiffer = one !== null && other !== null && (Math.min(one, other) !== a.value || Math.max(one, other) !== b.value);
  return (
    <span class="flame-tools-end">
      <button class="text-button" title="A becomes T (a)" onClick={() => mark('a')}>A = T</button>
      <button class="text-button" title="B becomes T (b)" onClick={() => mark('b')}>B = T</button>
      {marksDiffer && <button class="text-button" onClick={() => setRange(one, other)}>between the marks</button>}
      <button class="text-button" title="From the peak of the run to its end" onClick={() => setRange(data.value.info.peak.position, data.value.info.event_count)}>peak to end</button>
      {t.value > 0 && <button class="text-button" title="From the start to T" onClick={() => setRange(0, t.value)}>start to T</button>}
    </span>
  );
}

function Sides({ found }: { found: Difference }) {
  const { before, after, names } = found;
  const delta = after.total[unit.value] - before.total[unit.value];
  return (
    <div class="diff-sides" data-testid="diff-sides">
      <span title={names.exact[0]}><Icon name="snapshot" size={12} /> {names.before} <b>{inUnit(before.total[unit.value], unit.value)}</b></span>
      <span title={names.exact[1]}><Icon name="snapshot" size={12} /> {names.after} <b>{inUnit(after.total[unit.value], unit.value)}</b></span>
      <span>B − A <b data-testid="diff-total">{inUnit(delta, unit.value, true)}</b> {before.total[unit.value] > 0 && <span class="quiet">({shownShare(delta, before.total[unit.value])})</span>}</span>
      {found.unmatched !== '' && <span class="quiet" data-testid="diff-unmatched">{found.unmatched}</span>}
    </div>
  );
}

const NO_SITES: ReadonlySet<number> = new Set();

function DiffFlame({ found }: { found: Difference }) {
  const { stacks } = found;
  const shared = found.own ? merged.value : null;
  const base = useMemo(() => shared ?? mergeStacks(stacks, new Set()), [stacks, shared]);
  const view = useMemo(() => viewOf(base, found.change, unit.value), [base, found, unit.value]);
  const order = useMemo(() => new Order(null), [base, unit.value]);
  const fits = useFits();
  const looks: Looks = { view, stacks, theme: theme.value, colouring: 'change', categories: new Map(), sites: NO_SITES, fits: found.own ? fits.value : null };
  if (view.width.total(0) === 0) return <p class="flame-nothing">Nothing has changed from A to B.</p>;
  return (
    <div class="flame">
      <Single view={view} looks={looks} order={order} found={null} lineOf={null} own={found.own} />
      <Legend looks={looks} />
    </div>
  );
}
