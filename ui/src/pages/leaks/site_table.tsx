// Call sites with never freed blocks: how many, since when, and how they grew.

import { useMemo } from 'preact/hooks';
import { oneOf, param } from '../../state/params.ts';
import { data, filter, goTo, metric, momentOfRun, select, selected } from '../../state/state.ts';
import { Sparkline } from '../../ui/sparkline.tsx';
import { Table, type Column } from '../../ui/table.tsx';
import { bytes, count, counted, exactBytes, exactTime, percent, time } from '../../ui/units.ts';
import { SiteName } from '../site.tsx';
import { MOST_ROWS, type LeakSite } from './model.ts';

type Key = 'bytes' | 'blocks' | 'lost' | 'first' | 'last' | 'slope';
const order = param<Key>('ls', 'bytes', oneOf('bytes', 'blocks', 'lost', 'first', 'last', 'slope'));
const ASCENDING: Key[] = ['first'];

export function SiteTable({ sites, pending }: { sites: LeakSite[]; pending: boolean }) {
  const key = order.value;
  const descending = !ASCENDING.includes(key);
  const sorted = useMemo(() => {
    const value = (site: LeakSite) => site[key] ?? (descending ? -Infinity : Infinity);
    return [...sites].sort((x, y) => (descending ? value(y) - value(x) : value(x) - value(y)) || y.bytes - x.bytes || x.frame - y.frame);
  }, [sites, key]);
  const total = sites.reduce((sum, it) => ({ bytes: sum.bytes + it.bytes, blocks: sum.blocks + it.blocks }), { bytes: 0, blocks: 0 });
  const chosen = selected.value?.kind === 'site' ? selected.value.id : null;
  return (
    <div class={`leaks-table${pending ? ' stale' : ''}`}>
      <Table<LeakSite>
        label="Never freed blocks by call site"
        testid="leak-sites"
        columns={columns(total.bytes, sites.some((it) => it.lost !== null), sites.some((it) => it.growing))}
        count={sorted.length}
        rowHeight={26}
        row={(index) => sorted[index]}
        rowKey={(site) => site.frame}
        sort={{ key, descending }}
        onSort={(wanted) => isKey(wanted) && (order.value = wanted)}
        selected={(site) => site.frame >= 0 && site.frame === chosen}
        onSelect={(site) => site.frame >= 0 && select('site', site.frame)}
        onOpen={openBlocks}
        footer={
          <>
            <b class="num" title={exactBytes(total.bytes)}>{bytes(total.bytes)}</b> in <b class="num">{counted(total.blocks, 'block')}</b> of {counted(sites.length, 'call site')}
            {filter.value !== '' && ' that fit the filter'}
            {sites.some((it) => it.first === null) && `; first and last are looked up for up to ${count(MOST_ROWS)} blocks`}
          </>
        }
      />
    </div>
  );
}

function isKey(key: string): key is Key {
  return ['bytes', 'blocks', 'lost', 'first', 'last', 'slope'].includes(key);
}

/** The never freed blocks, one by one. */
function openBlocks(): void {
  metric.value = 'leaked';
  goTo('blocks');
}

function columns(total: number, searched: boolean, growing: boolean): Column<LeakSite>[] {
  const { times } = data.value;
  const when = (position: number | null) => (position === null ? '–' : <span title={exactTime(times.of(position))}>{time(times.of(position))}</span>);
  const all: (Column<LeakSite> | null)[] = [
    { key: 'bytes', title: 'Bytes', width: '80px', numeric: true, hint: 'Bytes never freed', cell: (it) => <span title={`${exactBytes(it.bytes)}, ${percent(it.bytes, total)} of all never freed`}>{bytes(it.bytes)}</span> },
    { key: 'blocks', title: 'Blocks', width: '70px', numeric: true, hint: 'Blocks never freed', cell: (it) => count(it.blocks) },
    searched ? { key: 'lost', title: 'Lost', width: '80px', numeric: true, hint: 'Bytes that the search called definite, indirect or possible leaks', cell: (it) => (it.lost === null ? '–' : <span title={exactBytes(it.lost)}>{bytes(it.lost)}</span>) } : null,
    { key: 'site', title: 'Call site', width: 'minmax(170px, 1fr)', cell: (it) => (it.frame < 0 ? <span class="muted">no backtrace</span> : <SiteName frame={it.frame} />) },
    { key: 'slope', title: 'Growth per s', width: '104px', numeric: true, hint: 'How fast the site’s live bytes rise: the typical one of their rises between any two of 16 moments of the run. 0: it came and stayed', cell: (it) => (it.slope === null ? '–' : it.slope === 0 ? <span class="muted">0 B</span> : bytes(it.slope)) },
    { key: 'series', title: 'Live over the run', width: growing ? '196px' : '124px', hint: 'Live bytes of the site over the whole run', cell: (it) => <Growth site={it} /> },
    { key: 'first', title: 'First', width: '66px', numeric: true, hint: 'When the first of them was allocated', cell: (it) => when(it.first) },
    { key: 'last', title: 'Last', width: '66px', numeric: true, hint: 'When the last of them was allocated', cell: (it) => when(it.last) },
  ];
  return all.filter((it) => it !== null);
}

function Growth({ site }: { site: LeakSite }) {
  if (!site.series) return <span class="muted">–</span>;
  const name = site.growing ? 'growing over the run' : 'not growing all the time';
  return (
    <span class="leak-growth">
      <Sparkline values={site.series} width={110} height={20} mark={momentOfRun} label={`Live bytes, up to ${bytes(Math.max(...site.series))}, ${name}`} />
      {site.growing && <span class="tag tag-growing">growing</span>}
    </span>
  );
}
