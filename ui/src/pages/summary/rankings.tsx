// Who: four lists of call sites, by what is live at the peak, never freed, asked for most often, and freed at once. They
// follow the range and the filter; each site has the colour that it has on the map.

import type { Metric, StackWeights, Unit, Weight } from '../../data/types.ts';
import { toldMetrics } from '../../state/metrics.ts';
import { useQuery } from '../../state/query.ts';
import { a, b, data, filter, goTo, metric, select, selected, source, t, unit, wholeRun } from '../../state/state.ts';
import { Bar } from '../../ui/bar.tsx';
import { categories, category, css, OTHER } from '../../ui/colour.ts';
import { Button } from '../../ui/button.tsx';
import { Icon } from '../../ui/icons.tsx';
import { isGrowing, SiteName } from '../site.tsx';
import { theme } from '../../ui/theme.ts';
import { bytes, count, exactBytes, inUnit, percent } from '../../ui/units.ts';
import { batch } from '@preact/signals';

const LISTS: { title: string; metric: Exclude<Metric, 'live'>; unit: Unit; none: string }[] = [
  { title: 'Live at the peak', metric: 'peak', unit: 'bytes', none: 'Nothing was live.' },
  { title: 'Never freed', metric: 'leaked', unit: 'bytes', none: 'All that was allocated was freed.' },
  { title: 'Allocations', metric: 'alloc', unit: 'blocks', none: 'Nothing was allocated.' },
  { title: 'Temporary', metric: 'temp', unit: 'blocks', none: 'No block was freed before its thread’s next allocation.' },
];

const MOST = 8;

export function Rankings() {
  const colours = useQuery(() => categories(data.value, 'site'));
  const scope = `${wholeRun.value ? '' : ', of the range'}${filter.value === '' ? '' : ', filtered'}`;
  return (
    <section class="rankings" aria-label="Call sites">
      {LISTS.map((list) =>
        toldMetrics(source.value.overview).some(({ id }) => id === list.metric) ? (
          <List key={list.metric} {...list} scope={scope} colours={colours.value.value} />
        ) : (
          <Untold key={list.metric} title={list.title} />
        ),
      )}
    </section>
  );
}

/** A list that takes every call, of a recording that has not every call. */
function Untold({ title }: { title: string }) {
  return (
    <section class="ranking">
      <header>
        <h2>{title}</h2>
      </header>
      <p class="muted">Not known of a sample: this takes every call. Record without --sample.</p>
    </section>
  );
}

interface Row {
  /** The frame of the site; 0: blocks without a backtrace. */
  site: number;
  weight: Weight;
}

/** The heaviest sites, and what the rest weighs. */
function rank({ bytes, blocks }: StackWeights, unit: Unit): { rows: Row[]; rest: Weight; restSites: number } {
  const ofStack = data.value.stacks.site;
  const sums = new Map<number, Weight>();
  for (let stack = 0; stack < blocks.length; stack++) {
    if (blocks[stack] === 0) continue;
    const site = ofStack[stack]!;
    const sum = sums.get(site) ?? { bytes: 0, blocks: 0 };
    sums.set(site, { bytes: sum.bytes + bytes[stack]!, blocks: sum.blocks + blocks[stack]! });
  }
  const all = [...sums].map(([site, weight]) => ({ site, weight }));
  all.sort((x, y) => y.weight[unit] - x.weight[unit] || x.site - y.site);
  const rest = { bytes: 0, blocks: 0 };
  for (const { weight } of all.slice(MOST)) {
    rest.bytes += weight.bytes;
    rest.blocks += weight.blocks;
  }
  return { rows: all.slice(0, MOST), rest, restSites: Math.max(0, all.length - MOST) };
}

type ListProps = (typeof LISTS)[number] & { scope: string; colours: Map<number, number> | undefined };

function List({ title, metric: measured, unit: by, none, scope, colours }: ListProps) {
  const answer = useQuery((signal) => data.value.weigh({ metric: measured, t: 0, a: a.value, b: b.value, q: filter.value }, signal));
  const { value, pending, error } = answer.value;
  const ranked = value && rank(value, by);
  const show = (page: string) =>
    batch(() => {
      metric.value = measured;
      unit.value = by;
      if (measured === 'peak' && value) t.value = value.at;
      goTo(page);
    });
  return (
    <section class="ranking" data-testid={`ranking-${measured}`} aria-busy={pending}>
      <header>
        <h2>
          {title}
          <span>{scope}</span>
        </h2>
        {value && (
          <span class="ranking-total" title={`${exactBytes(value.total.bytes)} in ${count(value.total.blocks)} blocks`}>
            {inUnit(value.total[by], by)}
          </span>
        )}
        <Button icon="flame" label={`${title}: flame graph`} onClick={() => show('flame')} />
        <Button icon="table" label={`${title}: table`} onClick={() => show('tables')} />
      </header>
      {error !== '' && <p class="muted">{error}</p>}
      {ranked && ranked.rows.length === 0 && <p class="muted">{none}</p>}
      {value && ranked && ranked.rows.length > 0 && (
        <ol>
          {ranked.rows.map(({ site, weight }) => (
            <Site key={site} site={site} weight={weight} by={by} total={value.total} most={ranked.rows[0]!.weight[by]} colour={colours?.get(site)} leaked={measured === 'leaked'} />
          ))}
          {ranked.restSites > 0 && (
            <li class="ranking-rest">
              <span class="ranking-value">{inUnit(ranked.rest[by], by)}</span>
              <span class="ranking-share">{percent(ranked.rest[by], value.total[by])}</span>
              <span />
              <span>
                {count(ranked.restSites)} more {ranked.restSites === 1 ? 'call site' : 'call sites'}
              </span>
            </li>
          )}
        </ol>
      )}
    </section>
  );
}

interface SiteProps {
  site: number;
  weight: Weight;
  by: Unit;
  total: Weight;
  most: number;
  colour: number | undefined;
  leaked: boolean;
}

function Site({ site, weight, by, total, most, colour, leaked }: SiteProps) {
  const chosen = selected.value?.kind === 'site' && selected.value.id === site;
  return (
    <li title={`${exactBytes(weight.bytes)} in ${count(weight.blocks)} blocks`}>
      <button aria-pressed={chosen} onClick={() => select('site', site)}>
        <span class="ranking-value">{by === 'bytes' ? bytes(weight.bytes) : count(weight.blocks)}</span>
        <span class="ranking-share">{percent(weight[by], total[by])}</span>
        <Bar share={weight[by] / most} colour={css(category(colour ?? OTHER, theme.value))} />
        <SiteName frame={site} />
        {leaked && isGrowing(site) && (
          <span class="ranking-growing" title="At 16 equally spaced moments its live bytes never fell, and rose in at least four of the steps">
            <Icon name="up" size={12} />
            growing
          </span>
        )}
      </button>
    </li>
  );
}

