// Blocks one by one: which, how large, how old, by whom; and of the one that is selected, all that is known.

import '../parts.css';
import './blocks.css';
import { useRef } from 'preact/hooks';
import { param } from '../../state/params.ts';
import { data, filter, measure, select, selected, source } from '../../state/state.ts';
import { useWidth } from '../../ui/size.ts';
import { FrameName, functionName, Name } from '../../ui/name.tsx';
import { Table, type Column } from '../../ui/table.tsx';
import { address, bytes, count, exactBytes, exactTime, ticked } from '../../ui/units.ts';
import { Nothing } from '../nothing.tsx';
import { age, blockAt, bornTime, LEAK_CLASSES, lifetime, type Block } from './block.ts';
import { Detail } from './detail.tsx';
import { useRows, type Order, type Row } from './rows.ts';

/** The order of the list, `size` or `-size`. */
const order = param<Order>('bs', { sort: 'size', descending: true }, {
  write: ({ sort, descending }) => (descending ? '-' : '') + sort,
  parse: (text) => {
    const match = /^(-?)(id|addr|size|born|lifetime|site|thread|api|leak)$/.exec(text);
    return match ? { sort: match[2] as Order['sort'], descending: match[1] === '-' } : undefined;
  },
});

/** Numbers begin with the largest, names with the first. */
const LARGEST_FIRST = new Set(['size', 'lifetime']);

function sortBy(key: string): void {
  const sort = key as Order['sort'];
  const { sort: now, descending } = order.peek();
  order.value = { sort, descending: sort === now ? !descending : LARGEST_FIRST.has(key) };
}

export function BlocksPage() {
  const [rows, onSight] = useRows(() => measure.value, () => order.value);
  const chosen = selected.value?.kind === 'block' ? selected.value.id : null;
  const list = useRef<HTMLElement>(null);
  const width = useWidth(list, 900);
  const at = measure.value.metric === 'live' ? measure.value.t : measure.value.b;
  return (
    <div class={`blocks${chosen === null ? '' : ' blocks-open'}`}>
      <section class={`blocks-list${rows.pending ? ' stale' : ''}`} aria-label="Blocks" ref={list}>
        {rows.error !== '' && <p class="failure" role="alert">{rows.error}</p>}
        <OnlySelected />
        {rows.count === 0 && !rows.pending && rows.error === '' ? (
          <Nothing what="blocks" />
        ) : (
          <Table<Row>
            label="Blocks"
            testid="blocks"
            columns={columns(at, chosen === null ? 'all' : width < 560 ? 'few' : 'some')}
            count={rows.count}
            row={rows.row}
            rowKey={({ of, at: k }) => of.id[k]!}
            sort={{ key: order.value.sort, descending: order.value.descending }}
            onSort={sortBy}
            onSight={onSight}
            selected={({ of, at: k }) => of.id[k] === chosen}
            onSelect={({ of, at: k }) => select('block', of.id[k]!)}
            footer={<Totals rows={rows.count} total={rows.total} />}
          />
        )}
      </section>
      {chosen !== null && <Detail key={chosen} id={chosen} />}
    </div>
  );
}

/** Where code is selected: its blocks alone, through the filter. */
function OnlySelected() {
  const it = selected.value;
  const { stacks } = data.value;
  const { frames } = stacks;
  if (it === null || it.kind === 'block') return null;
  const frame = it.kind === 'site' ? it.id : it.kind === 'stack' ? stacks.site[it.id] : frames.fn.indexOf(it.id);
  const name = frame === undefined ? '' : functionName(frames, frame, true);
  if (name === '') return null;
  const word = `${it.kind === 'fn' ? 'fn' : 'site'}:"${name.replaceAll('"', '*')}"`;
  if (filter.value.includes(word)) return null;
  return (
    <p class="blocks-only">
      <button class="action" onClick={() => (filter.value = `${filter.value} ${word}`.trim())}>Only blocks of</button> <Name text={name} />
    </p>
  );
}

function Totals({ rows, total }: { rows: number; total: { bytes: number; blocks: number } }) {
  const { capped } = data.value.info;
  return (
    <span data-testid="blocks-total">
      <b class="num">{count(total.blocks)}</b> blocks, <b class="num" title={exactBytes(total.bytes)}>{bytes(total.bytes)}</b>
      {rows !== Math.round(total.blocks) && `, ${count(rows)} of them listed`}
      {capped && ` (this report holds ${count(capped.kept_blocks)} of ${count(capped.of_blocks)} blocks: the largest, the longest lived, and those live at a few moments)`}
    </span>
  );
}

/** `at`: the position at which ages are taken. Beside a block there is room for some only. */
function columns(at: number, which: 'all' | 'some' | 'few'): Column<Row>[] {
  const { stacks, times, info } = data.value;
  const column = (key: Order['sort'], title: string, width: string, hint: string, cell: (block: Block) => preact.ComponentChildren, numeric = false) => ({
    key, title, width, hint, numeric, cell: ({ of, at: k }: Row) => cell(blockAt(of, k)),
  });
  const all = [
    column('id', 'Block', '82px', 'The rank of its allocation', (it) => `#${it.id}`, true),
    column('addr', 'Address', '104px', 'Where it begins', (it) => <span class="mono">{address(it.addr)}</span>),
    column('size', 'Size', '70px', 'Bytes that were asked for', (it) => <span title={exactBytes(it.size)}>{bytes(it.size)}</span>, true),
    column('born', 'Age', '66px', 'From its allocation to the moment looked at; – where it is not live then', (it) => (
      <span title={`allocated at ${exactTime(bornTime(it, times))}`}>{spell(age(it, at, times), '–')}</span>
    ), true),
    column('lifetime', 'Lifetime', '78px', 'From its allocation to its end', (it) => spell(lifetime(it, times), 'never freed'), true),
    column('thread', 'Thread', '72px', 'Which thread allocated it', (it) => <Name text={info.threads[it.thread]?.name ?? '–'} tail={4} />),
    column('site', 'Call site', 'minmax(200px, 1fr)', 'The first function outside of allocators and their wrappers', (it) => (
      it.stack === 0 ? <span class="muted">no backtrace</span> : <FrameName frames={stacks.frames} frame={stacks.site[it.stack]!} />
    )),
    column('api', 'Function', '98px', 'What was called', (it) => <Name text={source.value.overview.apis[it.api] ?? '–'} tail={4} />),
    column('leak', 'Leak', '66px', 'What the search for leaks called it; – where it was freed or not searched', (it) => LEAK_CLASSES[it.leak] ?? '–'),
  ];
  return which === 'all' ? all : all.filter((it) => (which === 'some' ? SOME : FEW).has(it.key));
}

const SOME = new Set(['id', 'size', 'born', 'lifetime', 'site']);
const FEW = new Set(['id', 'size', 'site']);

function spell(ns: number | null, none: string): string {
  return ns === null ? none : ticked(ns, source.value.overview.tick_ns);
}
