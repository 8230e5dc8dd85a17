// One function in the middle: who calls it above, what it calls below. Each byte counts once, however often the function
// calls itself.

import { useMemo, useState } from 'preact/hooks';
import type { Answer } from '../../state/query.ts';
import type { ProcessData } from '../../data/types.ts';
import { select, unit } from '../../state/state.ts';
import { compile } from '../../tree/search.ts';
import { fnName, frameOf, merged, nodeName } from '../../tree/shared.ts';
import { type Selfs, view as viewOf, type View } from '../../tree/view.ts';
import type { Moments } from '../../tree/weights.ts';
import { Name, wholeFrame } from '../../ui/name.tsx';
import { type Column, Table } from '../../ui/table.tsx';
import { inUnit } from '../../ui/units.ts';
import { Order } from './boxes.ts';
import { Graph } from './graph.tsx';
import { InfoLine } from './info.tsx';
import { look, type Looks } from './looks.ts';
import { FrameMenu, SmallMenu } from './menus.tsx';
import { useHalves, useMiddle, type FunctionRow } from './middle.ts';
import { middle, search } from './params.ts';
import { useLines } from './use.ts';
import '../tables/tables.css';

interface Props {
  selfs: Selfs;
  looks: Looks;
  order: boolean;
  moments: Answer<Moments & { of: ProcessData }>;
}

export function Sandwich({ selfs, looks, order, moments }: Props) {
  const base = merged.value;
  const { stacks } = looks;
  const { rows, fn } = useMiddle(base, selfs[unit.value]);
  return (
    <div class="sandwich" data-testid="sandwich">
      <FunctionList rows={rows} looks={looks} fn={fn} />
      {fn >= 0 && <Halves key={fn} fn={fn} selfs={selfs} looks={{ ...looks, stacks }} alphabetical={order} moments={moments} />}
    </div>
  );
}

function FunctionList({ rows, looks, fn }: { rows: FunctionRow[]; looks: Looks; fn: number }) {
  const { stacks, view } = looks;
  const pattern = search.value === '' ? null : compile(search.value);
  const [sort, setSort] = useState({ key: 'total', descending: true });
  const name = (row: FunctionRow) => fnName(row.fn, stacks, frameOf(stacks, row.fn));
  const list = useMemo(() => {
    const fit = rows.filter((row) => !pattern || pattern.test(fnName(row.fn, stacks, frameOf(stacks, row.fn), true)));
    const order = (x: FunctionRow, y: FunctionRow) => (sort.key === 'name' ? (name(x) < name(y) ? 1 : -1) : sort.key === 'self' ? x.self - y.self : x.total - y.total);
    return fit.sort((x, y) => (sort.descending ? order(y, x) : order(x, y)));
  }, [rows, search.value, sort]);
  const most = rows.reduce((largest, row) => Math.max(largest, Math.abs(row.total)), 0);
  const columns: Column<FunctionRow>[] = [
    { key: 'name', title: 'function', width: 'minmax(90px, 1fr)', cell: (row) => <Name text={name(row)} tail={7} title={wholeFrame(stacks.frames, frameOf(stacks, row.fn))} /> },
    {
      key: 'total', title: 'total', numeric: true, width: '84px', hint: 'Of backtraces through it, each byte once',
      cell: (row) => <span class="measured" style={{ '--share': (Math.abs(row.total) / (most || 1)).toFixed(4) }}>{inUnit(row.total, view.unit, view.signed)}</span>,
    },
    { key: 'self', title: 'self', numeric: true, width: '84px', hint: 'Of backtraces that end in it', cell: (row) => inUnit(row.self, view.unit, view.signed) },
  ];
  return (
    <div class="sandwich-list">
      <input type="search" placeholder="search functions (regex)" aria-label="Search functions" value={search.value}
        onInput={(event) => compile(event.currentTarget.value) && (search.value = event.currentTarget.value)} />
      <Table
        columns={columns} count={list.length} row={(index) => list[index]} rowKey={(row) => row.fn} sort={sort}
        onSort={(key) => setSort({ key, descending: sort.key === key ? !sort.descending : true })}
        selected={(row) => row.fn === fn} onSelect={(row) => (middle.value = String(row.fn))} label="Functions" testid="sandwich-functions"
      />
    </div>
  );
}

type At = { half: 'callers' | 'callees'; node: number; small: number[] | null };

function Halves({ fn, selfs, looks, alphabetical, moments }: { fn: number; selfs: Selfs; looks: Looks; alphabetical: boolean; moments: Props['moments'] }) {
  const base = merged.value;
  const shapes = useHalves(base, fn);
  const views = useMemo(
    () => ({ callers: viewOf(shapes.callers, selfs, unit.value), callees: viewOf(shapes.callees, selfs, unit.value) }),
    [shapes, selfs, unit.value],
  );
  const [at, setAt] = useState<At>({ half: 'callees', node: 0, small: null });
  const lineOf = useLines(shapes[at.half], moments);
  return (
    <div class="sandwich-graphs">
      <InfoLine view={views[at.half]} stacks={looks.stacks} node={at.node} alone={at.half === 'callees'} small={at.small?.length ?? null} line={lineOf?.(at.node) ?? null} />
      {(['callers', 'callees'] as const).map((half) => (
        <div class="sandwich-half" key={half}>
          <h3>{half === 'callers' ? 'who calls it, upwards' : 'what it calls, downwards'}</h3>
          <Half half={half} view={views[half]} looks={looks} alphabetical={alphabetical} onPoint={(node, small) => setAt({ half, node, small })} />
        </div>
      ))}
    </div>
  );
}

interface HalfProps {
  half: 'callers' | 'callees';
  view: View;
  looks: Looks;
  alphabetical: boolean;
  onPoint: (node: number, small: number[] | null) => void;
}

function Half({ half, view, looks, alphabetical, onPoint }: HalfProps) {
  const own = { ...looks, view };
  const { stacks } = looks;
  const [zoom, setZoom] = useState(0);
  const [focus, setFocus] = useState(0);
  const [menu, setMenu] = useState<{ node: number; small: number[] | null; x: number; y: number } | null>(null);
  const order = useMemo(() => new Order(alphabetical ? (it, node) => nodeName(it.shape, stacks, node) : null), [view.shape, alphabetical]);
  const go = (node: number) => (setFocus(node), onPoint(node, null));
  const pick = (node: number) => view.shape.fn(node) >= 0 && select('fn', view.shape.fn(node));
  return (
    <>
      <Graph
        view={view} zoom={zoom} onZoom={(node) => (setZoom(node), go(node))} up={half === 'callers'} order={order} look={(box) => look(own, box)}
        focus={focus} onFocus={go} chosen={-1} onChoose={pick} onHover={(box) => (box ? onPoint(box.node, box.small) : onPoint(focus, null))}
        onMenu={(node, x, y) => setMenu({ node, small: null, x, y })} onSmall={(box, x, y) => setMenu({ node: box.node, small: box.small, x, y })}
        spoken={(node) => `${nodeName(view.shape, stacks, node)}, ${inUnit(view.width.total(node), view.unit, false)}`}
        label={half === 'callers' ? 'Callers' : 'Callees'} testid={`flame-${half}`}
      />
      {menu && (menu.small
        ? <SmallMenu {...menu} nodes={menu.small} view={view} stacks={stacks} onZoom={setZoom} onClose={() => setMenu(null)} />
        : <FrameMenu {...menu} view={view} stacks={stacks} onZoom={setZoom} onPick={pick} onClose={() => setMenu(null)} />)}
    </>
  );
}
