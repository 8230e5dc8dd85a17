// All that is known of one block.

import './detail.css';
import type { ComponentChildren } from 'preact';
import { NEVER } from '../../data/types.ts';
import { useQuery } from '../../state/query.ts';
import { data, selection, setT, source, t } from '../../state/state.ts';
import { Icon } from '../../ui/icons.tsx';
import { address, bytes, count, exactBytes, exactTime, ticked } from '../../ui/units.ts';
import { openMap } from '../links.ts';
import { Backtrace, stackLines } from './backtrace.tsx';
import { age, blockAt, bornTime, diedTime, isLive, LEAK_CLASSES, lifetime, startOf, type Block } from './block.ts';
import { Contents } from './contents.tsx';
import { History } from './history.tsx';
import { Neighbours } from './neighbours.tsx';

export function Detail({ id }: { id: number }) {
  const answer = useQuery((signal) => data.value.block(id, signal), [id]);
  const { value, error } = answer.value;
  const block = value && value.count > 0 ? blockAt(value, 0) : null;
  return (
    <section class="detail" aria-label={`Block #${id}`} data-testid="detail">
      <header class="detail-head">
        <h2>Block #{id}</h2>
        {block && <span class="mono">{address(block.addr)}</span>}
        {block && <State block={block} />}
        <button class="detail-close" aria-label="Close the block" onClick={() => (selection.value = '')}>
          <Icon name="close" />
        </button>
      </header>
      {error !== '' && <p class="failure">{error}</p>}
      {value && !block && <Missing id={id} />}
      {block && <Known block={block} />}
    </section>
  );
}

function Missing({ id }: { id: number }) {
  const { capped, block_count } = data.value.info;
  return (
    <p class="muted">
      {capped
        ? `This report holds ${count(capped.kept_blocks)} of ${count(capped.of_blocks)} blocks, and not #${id}: heaptape ui shows them all.`
        : `There is no block #${id}: this process had ${count(block_count)}.`}
    </p>
  );
}

function State({ block }: { block: Block }) {
  const live = isLive(block, t.value);
  const word = live ? 'live at T' : t.value < startOf(block) ? 'not yet allocated at T' : 'freed at T';
  return <span class={`tag${live ? ' tag-live' : ''}`}>{word}</span>;
}

function Known({ block }: { block: Block }) {
  const { stacks } = data.value;
  return (
    <>
      <Facts block={block} />
      <div class="detail-stacks">
        <section>
          <h3>Allocated by</h3>
          <Backtrace lines={stackLines(stacks, block.stack)} label="Allocated by"
            none={block.inherited ? 'It comes from the parent process, over fork.' : 'No backtrace was recorded.'} />
        </section>
        <section>
          <h3>{block.died === NEVER ? 'Never freed' : block.endsInRealloc ? 'Given up to realloc by' : 'Freed by'}</h3>
          <Backtrace lines={stackLines(stacks, block.freedStack)} label="Freed by"
            none={block.died === NEVER ? 'It was live when the recording ended.' : 'No backtrace was recorded (run --free-backtraces=all).'} />
        </section>
      </div>
      <Neighbours block={block} />
      <Contents block={block} />
      <History block={block} />
    </>
  );
}

function Facts({ block }: { block: Block }) {
  const { times, info } = data.value;
  const thread = (index: number) => <bdi>{info.threads[index]?.name ?? '–'}</bdi>;
  const died = diedTime(block, times);
  const lived = lifetime(block, times);
  const old = age(block, t.value, times);
  return (
    <dl class="facts">
      <Fact name="size">
        <b title={exactBytes(block.size)}>{bytes(block.size)}</b>{' '}
        <span class="muted">{[block.size >= 1024 && exactBytes(block.size), block.usable > block.size && `${count(block.usable)} usable`].filter(Boolean).join(', ')}</span>
      </Fact>
      <Fact name="allocated">
        <At position={startOf(block)} ns={bornTime(block, times)} /> with {source.value.overview.apis[block.api] ?? '–'} by {thread(block.thread)}
        {block.ofRealloc && ', moved or resized by realloc'}
      </Fact>
      <Fact name="freed">
        {died === null ? 'never' : <><At position={block.died} ns={died} /> by {thread(block.freedThread)}</>}
      </Fact>
      <Fact name="lifetime">
        {lived === null ? '–' : ticked(lived, source.value.overview.tick_ns)}
        {block.temporary && <span class="muted">, temporary</span>}
      </Fact>
      <Fact name="age at T">{old === null ? '–' : ticked(old, source.value.overview.tick_ns)}</Fact>
      {block.leak > 0 && <Fact name="leak">{LEAK_CLASSES[block.leak]}</Fact>}
      <Fact name="">
        <button class="link" onClick={() => openMap(times.of(Math.max(startOf(block), Math.min(t.value, block.died))), block.id)}>show on the map</button>
      </Fact>
    </dl>
  );
}

function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

/** A time that T can be set to: the position at which the block is still, or already, live. */
function At({ position, ns }: { position: number; ns: number }) {
  return (
    <button class="link num" title="Set T to here" onClick={() => setT(Math.min(position, data.value.info.event_count))}>
      {exactTime(ns)}
    </button>
  );
}
