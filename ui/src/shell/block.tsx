// What is known of one block, at T.

import { NEVER } from '../data/types.ts';
import { Backtrace, stackLines } from '../pages/blocks/backtrace.tsx';
import { age, blockAt, bornTime, diedTime, isLive, LEAK_CLASSES, lifetime } from '../pages/blocks/block.ts';
import { useQuery } from '../state/query.ts';
import { data, setT, source, t } from '../state/state.ts';
import { address, bytes, count, duration, exactBytes, exactTime, time } from '../ui/units.ts';

export function BlockFacts({ id }: { id: number }) {
  const answer = useQuery((signal) => data.value.block(id, signal), [id]);
  const { value, error } = answer.value;
  if (error !== '') return <p class="inspector-empty">{error}</p>;
  if (!value) return <p class="inspector-empty">…</p>;
  if (value.count === 0) return <p class="inspector-empty">Block #{count(id)} is not in this report.</p>;
  const block = blockAt(value, 0);
  const { times, stacks, info } = data.value;
  const [born, died] = [bornTime(block, times), diedTime(block, times)];
  const old = age(block, t.value, times);
  const lived = lifetime(block, times);
  const thread = (index: number) => {
    const it = info.threads[index];
    return it ? `${it.tid}${it.name ? ` ${it.name}` : ''}` : '–';
  };
  const at = (ns: number, position: number) => (
    <button class="link-button" title={`T to ${exactTime(ns)}`} onClick={() => setT(position)}>
      {time(ns)}
    </button>
  );
  return (
    <>
      <p class="inspector-name">#{count(id)}</p>
      <dl class="inspector-facts">
        <dt>address</dt>
        <dd>{address(block.addr)}</dd>
        <dt>asked for</dt>
        <dd title={exactBytes(block.size)}>{bytes(block.size)}</dd>
        <dt>usable</dt>
        <dd title={exactBytes(block.usable)}>{block.usable === 0 ? '–' : bytes(block.usable)}</dd>
        <dt>at T</dt>
        <dd>{isLive(block, t.value) ? `live, ${duration(old ?? 0)} old` : t.value <= block.born && !block.inherited ? 'not yet allocated' : 'freed'}</dd>
        <dt>allocated</dt>
        <dd>
          {block.inherited ? 'before the fork' : at(born, block.born + 1)} by {source.value.overview.apis[block.api] ?? 'malloc'}
          {block.ofRealloc && ', of a realloc'}
        </dd>
        <dt>freed</dt>
        <dd>
          {died === null || block.died === NEVER ? 'never' : at(died, block.died + 1)}
          {block.endsInRealloc && ', by a realloc'}
        </dd>
        <dt>lifetime</dt>
        <dd>
          {lived === null ? '–' : duration(lived)}
          {block.temporary && ', temporary'}
        </dd>
        <dt>thread</dt>
        <dd>{thread(block.thread)}</dd>
        {block.died !== NEVER && block.freedThread !== block.thread && (
          <>
            <dt>freed by</dt>
            <dd>{thread(block.freedThread)}</dd>
          </>
        )}
        {block.leak > 0 && (
          <>
            <dt>leak</dt>
            <dd>{LEAK_CLASSES[block.leak]}</dd>
          </>
        )}
      </dl>
      <section>
        <h3>Allocated at</h3>
        <Backtrace lines={stackLines(stacks, block.stack)} label="Allocated at" none="No backtrace was recorded." />
      </section>
      {block.died !== NEVER && (
        <section>
          <h3>Freed at</h3>
          <Backtrace lines={stackLines(stacks, block.freedStack)} label="Freed at" none="No backtrace of this free was recorded." />
        </section>
      )}
    </>
  );
}
