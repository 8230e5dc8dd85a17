// How large blocks are, how long they live, both at once, and how fast they come. A press on a bar filters all pages.

import '../parts.css';
import './histograms.css';
import { signal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import type { Histograms, Weight } from '../../data/types.ts';
import { useKeys } from '../../state/keys.ts';
import { useQuery } from '../../state/query.ts';
import { data, filter, measure, source, unit } from '../../state/state.ts';
import { Icon } from '../../ui/icons.tsx';
import { theme } from '../../ui/theme.ts';
import { bytes, count, counted, exactBytes, inUnit, percent } from '../../ui/units.ts';
import { Nothing } from '../nothing.tsx';
import { Bars, type Bin } from './bars.tsx';
import { HeatMap } from './heatmap.tsx';
import { Rate } from './rate.tsx';
import { BinTable, CrossTable, RateTable } from './tables.tsx';
import { hasTerm, lifetimeTerm, sizeTerm, toggleTerms } from './terms.ts';
import { labelled, lifetimeLabel, lifetimeWords, sizeLabel, sizeWords } from './words.ts';

/** Whether the charts are shown as tables. */
const asTables = signal(false);

export function HistogramsPage() {
  useKeys([{ keys: ['y'], does: 'Charts as tables', run: () => void (asTables.value = !asTables.value) }]);
  const answer = useQuery((signal) => data.value.histograms(measure.value, signal));
  const { value, error, pending } = answer.value;
  if (error !== '') return <p class="failure" role="alert">{error}</p>;
  if (!value) return <p class="muted">Counting…</p>;
  const blocks = value.sizes.reduce((sum, it) => sum + Math.abs(it.blocks), 0);
  if (blocks === 0) return <Nothing what="blocks" />;
  return (
    <div class="histograms-page">
      <Partly />
      <div class={`histograms${pending ? ' stale' : ''}`} data-testid="histograms">
        <Sizes histograms={value} />
        <Lifetimes histograms={value} />
        <Both histograms={value} />
        <Rates histograms={value} />
      </div>
    </div>
  );
}

/** Of a capped process the charts are of single blocks, and not all of them are there. */
function Partly() {
  const { capped } = data.value.info;
  if (capped === null) return null;
  return (
    <p class="histograms-partly" data-testid="histograms-partly">
      Only of the {count(capped.kept_blocks)} blocks that this report holds, of {count(capped.of_blocks)}: the largest, the longest lived, and those live at the peak and in the end.
      All of them: heaptape ui {source.value.overview.tape}
    </p>
  );
}

function Chart({ title, note, children }: { title: string; note: string; children: ComponentChildren }) {
  return (
    <section class="chart" aria-label={title}>
      <header>
        <h2>{title}</h2>
        <span class="muted">{note}</span>
        <button class="icon-button" aria-pressed={asTables.value} aria-label="Charts as tables" title="Charts as tables (y)" onClick={() => (asTables.value = !asTables.value)}>
          <Icon name="table" />
        </button>
      </header>
      {children}
    </section>
  );
}

const valueOf = (weight: Weight) => (unit.value === 'bytes' ? weight.bytes : weight.blocks);
const format = (value: number) => inUnit(value, unit.value);
const weightWords = (weight: Weight) => `${counted(weight.blocks, 'block')}, ${bytes(weight.bytes)}`;

/** The first bin that is not empty, and one after the last. */
function used(bins: Weight[]): [number, number] {
  const is = (it: Weight) => it.blocks !== 0 || it.bytes !== 0;
  const first = bins.findIndex(is);
  return first < 0 ? [0, 0] : [first, bins.findLastIndex(is) + 1];
}

function Sizes({ histograms: { sizes, exact } }: { histograms: Histograms }) {
  const [from, to] = used(sizes);
  const labels = labelled(from, to, sizeLabel, sizeWords);
  const bins = sizes.slice(from, to).map((weight, k): Bin => ({
    label: labels[k]!, title: `${sizeWords(from + k)}: ${weightWords(weight)}`, value: valueOf(weight), chosen: hasTerm(sizeTerm(from + k)),
  }));
  return (
    <Chart title="Sizes" note="each bar: sizes up to twice those of the bar before">
      <div class="sizes">
        {asTables.value ? <BinTable name="Size" bins={sizes} from={from} to={to} words={sizeWords} /> : (
          <Bars bins={bins} format={format} onPick={(k) => toggleTerms(sizeTerm(from + k))} label="Blocks by size; Enter filters" testid="sizes" />
        )}
        <Exact exact={exact} />
      </div>
    </Chart>
  );
}

function Exact({ exact }: { exact: Histograms['exact'] }) {
  return (
    <div class="exact" tabIndex={0} role="region" aria-label="Most frequent exact sizes" data-testid="exact">
      <table class="plain">
        <thead>
          <tr><th class="numeric">exact size</th><th class="numeric">blocks</th><th class="numeric">bytes</th></tr>
        </thead>
        <tbody>
          {exact.map(({ size, weight }) => (
            <tr key={size}>
              <td class="numeric">
                <button class="link" aria-pressed={hasTerm(`size:${size}`)} onClick={() => toggleTerms(`size:${size}`)}>{exactBytes(size)}</button>
              </td>
              <td class="numeric">{count(weight.blocks)}</td>
              <td class="numeric" title={exactBytes(weight.bytes)}>{bytes(weight.bytes)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Lifetimes({ histograms: { lifetimes, unfreed } }: { histograms: Histograms }) {
  const [from, to] = used(lifetimes);
  const labels = labelled(from, to, lifetimeLabel, lifetimeWords);
  const bins = lifetimes.slice(from, to).map((weight, k): Bin => ({
    label: labels[k]!, title: `lived ${lifetimeWords(from + k)}: ${weightWords(weight)}`, value: valueOf(weight), chosen: hasTerm(lifetimeTerm(from + k)),
  }));
  const all = lifetimes.reduce((sum, it) => sum + valueOf(it), valueOf(unfreed));
  const never = unfreed.blocks === 0 ? 'all were freed' : `not shown: ${weightWords(unfreed)} never freed, ${percent(valueOf(unfreed), all)} of all ${unit.value}`;
  return (
    <Chart title="Lifetimes" note={never}>
      {bins.length === 0 ? <p class="muted chart-none">None of these blocks was freed.</p> : asTables.value ? (
        <BinTable name="Lifetime" bins={lifetimes} from={from} to={to} words={lifetimeWords} />
      ) : (
        <Bars bins={bins} format={format} onPick={(k) => toggleTerms(lifetimeTerm(from + k))} label="Blocks by lifetime; Enter filters" testid="lifetimes" />
      )}
    </Chart>
  );
}

function Both({ histograms: { sizes, lifetimes, cross } }: { histograms: Histograms }) {
  const [across, up] = [used(sizes), used(lifetimes)];
  return (
    <Chart title="Size and lifetime" note={`freed blocks by size (to the right) and lifetime (up); ${theme.value === 'dark' ? 'brighter' : 'darker'}: more`}>
      {up[1] === 0 ? <p class="muted chart-none">None of these blocks was freed.</p> : asTables.value ? (
        <CrossTable cross={cross} sizes={across} lifetimes={up} />
      ) : (
        <HeatMap cross={cross} sizes={across} lifetimes={up} />
      )}
    </Chart>
  );
}

function Rates({ histograms: { rate } }: { histograms: Histograms }) {
  const { times } = data.value;
  const [from, to] = [times.of(measure.value.a), times.of(measure.value.b)];
  const all = rate.reduce((sum, it) => sum + it, 0);
  return (
    <Chart title="Allocations over the range" note={`${counted(all, 'allocation')}${filter.value === '' ? '' : ' that fit the filter'}, whatever the metric`}>
      {asTables.value ? <RateTable rate={rate} from_ns={from} to_ns={to} /> : <Rate rate={rate} from_ns={from} to_ns={to} />}
    </Chart>
  );
}
