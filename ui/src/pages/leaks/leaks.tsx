// What was never freed: by call site, with its growth; and, where the tape holds a search, what is lost and what keeps
// the rest.

import '../parts.css';
import './leaks.css';
import { computed } from '@preact/signals';
import type { Measure } from '../../data/types.ts';
import { oneOf, param } from '../../state/params.ts';
import { a, b, data, filter, wholeRun } from '../../state/state.ts';
import { sentence } from '../../state/metrics.ts';
import { useQuery } from '../../state/query.ts';
import { Choice } from '../../ui/choice.tsx';
import { bytes, count, counted, duration, exactBytes, exactTime } from '../../ui/units.ts';
import { Nothing } from '../nothing.tsx';
import { leakSites, type LeakKind, type LeakResult } from './model.ts';
import { Records } from './records.tsx';
import { SiteTable } from './site_table.tsx';
import { Suppressions } from './suppressions.tsx';

/** Whatever is measured elsewhere, it is what was never freed. */
const leaked = computed<Measure>(() => ({ metric: 'leaked', t: 0, a: a.value, b: b.value, q: filter.value }));

const view = param<'sites' | 'found'>('lv', 'sites', oneOf('sites', 'found'));

const VIEWS = [
  { id: 'sites', name: 'never freed, by call site' },
  { id: 'found', name: 'what the search found' },
] as const;

export function Leaks() {
  const leaks = data.value.info.leaks as LeakResult | null;
  const searched = leaks?.search ? leaks : null;
  const found = searched !== null && view.value === 'found';
  return (
    <div class="leaks" data-testid="leaks">
      {searched ? <Classes leaks={searched} /> : <NoSearch />}
      <div class="leaks-bar">
        {searched && (
          <Choice label="View" options={VIEWS} value={view.value} onChange={(chosen) => (view.value = chosen)} testid="leaks-view" />
        )}
        {!found && <Sentence />}
        {found && <SearchFacts leaks={searched} />}
      </div>
      {found ? <Records leaks={searched} /> : <Sites />}
      {searched && <Suppressions leaks={searched} />}
    </div>
  );
}

const CLASSES: { kind: LeakKind | 'suppressed'; name: string; means: string }[] = [
  { kind: 'definite', name: 'Definitely lost', means: 'Nothing points to them any more.' },
  { kind: 'indirect', name: 'Indirectly lost', means: 'Only lost blocks point to them.' },
  { kind: 'possible', name: 'Possibly lost', means: 'Only pointers into their middle were found.' },
  { kind: 'reachable', name: 'Still reachable', means: 'Something points to them.' },
  { kind: 'suppressed', name: 'Suppressed', means: 'A suppression names them.' },
];

function Classes({ leaks }: { leaks: LeakResult }) {
  return (
    <ul class="leak-classes" data-testid="leak-classes">
      {CLASSES.map(({ kind, name, means }) => {
        const weight = leaks.summary[kind];
        return (
          <li key={kind} class={`leak-class leak-${kind}`}>
            <span class="leak-name">{name}</span>
            <b class="num" title={exactBytes(weight.bytes)}>{bytes(weight.bytes)}</b>
            <span class="num">{counted(weight.blocks, 'block')}</span>
            <span class="muted">{means}</span>
          </li>
        );
      })}
    </ul>
  );
}

function NoSearch() {
  return (
    <p class="leaks-note" data-testid="no-search">
      Nobody searched this process for leaks. <b>Never freed</b> is all that is known: whether something still pointed to these blocks is not.{' '}
      <code>heaptape run --leaks</code> searches at the exit or a crash (by default it does, unless the process ends by a signal that cannot be caught or replaces
      itself), <code>heaptape leaks PID</code> a process that is being recorded.
    </p>
  );
}

function Sentence() {
  const said = sentence(leaked.value, 'bytes', 0, data.value.times, wholeRun.value);
  return <p class="muted" data-testid="leaks-sentence">{said}</p>;
}

function SearchFacts({ leaks }: { leaks: LeakResult }) {
  const search = leaks.search!;
  return (
    <p class="muted">
      Searched {bytes(search.bytes_read)} at {exactTime(search.time_ns)}; the process waited {duration(search.pause_ns)}.
      {leaks.searches.length > 1 && ` The last of ${count(leaks.searches.length)} searches.`}
      {search.is_open && ' Not all memory could be read: nothing can be called lost for certain.'}
      {search.doubts.map((doubt) => ` ${doubt.charAt(0).toUpperCase()}${doubt.slice(1)}.`.replace(/\.\.$/, '.'))}
    </p>
  );
}

function Sites() {
  const answer = useQuery((signal) => leakSites(data.value, leaked.value, signal));
  const { value, error, pending } = answer.value;
  if (error !== '') return <p class="failure" role="alert">{error}</p>;
  if (!value) return <p class="muted">Counting…</p>;
  if (value.length > 0) return <SiteTable sites={value} pending={pending} />;
  return data.value.info.at_exit.blocks === 0 && data.value.info.block_count > 0 ? (
    <div class="empty"><p>Every block was freed.</p></div>
  ) : (
    <Nothing what="never freed blocks" />
  );
}
