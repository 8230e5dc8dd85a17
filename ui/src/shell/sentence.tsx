// The line that says what is measured: the metric's sentence with its figures, the range and what happened in it, and the
// controls of both. All graphs and tables below it show just this.

import { wholeRange } from '../state/actions.ts';
import { sentence, toldMetrics } from '../state/metrics.ts';
import { useQuery } from '../state/query.ts';
import { a, b, data, filter, measure, metric, source, unit, wholeRun } from '../state/state.ts';
import { pointed } from '../strip/gestures.tsx';
import { Choice } from '../ui/choice.tsx';
import { Icon } from '../ui/icons.tsx';
import { Name } from '../ui/name.tsx';
import { bytes, count, counted, duration, exactBytes, exactTime, percent, time } from '../ui/units.ts';
import type { Metric, Weight } from '../data/types.ts';
import './sentence.css';

const UNITS = (['bytes', 'blocks'] as const).map((id) => ({ id, name: id, hint: `Measure ${id} (u)` }));

export function SentenceLine() {
  const total = useQuery((signal) => data.value.total(measure.value, signal));
  const { value, error, pending } = total.value;
  const { times } = data.value;
  const m = measure.value;
  const said = sentence(m, unit.value, value?.at ?? m.t, times, wholeRun.value);
  return (
    <section class="sentence" aria-label="What is measured">
      <p class="sentence-text" data-testid="sentence" aria-live="polite" title={exactly(m.metric, value)}>
        {said}: <span class={pending ? 'sentence-pending' : undefined}>{error !== '' ? error : <Figures value={value} />}</span>
      </p>
      {filter.value !== '' && (
        <button class="sentence-filter" title="Measure all blocks" onClick={() => (filter.value = '')}>
          only <Name text={filter.value} /> <Icon name="close" size={12} />
        </button>
      )}
      {wholeRun.value ? <Pointed /> : <Range />}
      <span class="sentence-controls">
        <label class="sentence-metric">
          <span class="unseen">Metric</span>
          <select data-testid="metric" title="What is measured (m)" value={metric.value} onChange={(event) => (metric.value = event.currentTarget.value as Metric)}>
            {toldMetrics(source.value.overview).map((it) => (
              <option key={it.id} value={it.id}>
                {it.name}
              </option>
            ))}
          </select>
        </label>
        <Choice label="Unit" options={UNITS} value={unit.value} onChange={(chosen) => (unit.value = chosen)} testid="unit" />
      </span>
    </section>
  );
}

function Figures({ value }: { value: Weight | undefined }) {
  if (!value) return <>…</>;
  const estimate = source.value.overview.sampling !== null ? 'about ' : '';
  const blocks = counted(value.blocks, 'block');
  const [first, second] = unit.value === 'bytes' ? [bytes(value.bytes), blocks] : [blocks, bytes(value.bytes)];
  return (
    <>
      {estimate}
      <strong>{first}</strong> {unit.value === 'bytes' ? 'in' : 'of'} <strong>{second}</strong>
    </>
  );
}

/** The exact figures, for the tooltip. */
function exactly(shown: Metric, value: ({ at: number } & Weight) | undefined): string {
  if (!value) return '';
  const { info, times } = data.value;
  const when = shown === 'live' || shown === 'peak' ? `, ${exactTime(times.of(value.at))}, after ${count(value.at)} events` : '';
  const share = shown === 'live' ? `\n${percent(value.bytes, info.peak.bytes)} of the peak’s bytes` : '';
  return `${exactBytes(value.bytes)} in ${count(value.blocks)} blocks${when}${share}`;
}

/** Where the pointer is on the strip. */
function Pointed() {
  const it = pointed.value;
  if (it === null) return null;
  return (
    <span class="sentence-range">
      at pointer {time(it.ns)}
      {it.live !== null && <>, {bytes(it.live)}</>}
    </span>
  );
}

/** The range: its ends, length, and what happened in it. */
function Range() {
  const happened = useQuery((signal) => {
    const range = { a: a.value, b: b.value, t: 0, q: filter.value };
    const total = (metric: Metric) => data.value.total({ ...range, metric }, signal);
    return Promise.all([total('alloc'), total('freed')]);
  });
  const { times } = data.value;
  const [from, to] = [times.of(a.value), times.of(b.value)];
  const known = happened.value.value;
  const change = known ? known[0].bytes - known[1].bytes : 0;
  return (
    <span class="sentence-range" data-testid="range" title={`Range ${exactTime(from)} to ${exactTime(to)}, events ${count(a.value)} to ${count(b.value)}`}>
      <span>
        {time(from)} – {time(to)}, Δt {duration(to - from)}
      </span>
      {known && (
        <span class={happened.value.pending ? 'sentence-pending' : undefined}>
          {change >= 0 ? '+' : ''}
          {bytes(change)}, {count(known[0].blocks)} allocated, {count(known[1].blocks)} freed
        </span>
      )}
      <button class="text-button" data-testid="whole-run" title="The whole run (r)" onClick={wholeRange}>
        whole run
      </button>
    </span>
  );
}
