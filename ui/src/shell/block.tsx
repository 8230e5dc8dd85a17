// What is known of one block, at T.

import { NEVER } from '../data/types.ts';
import { Backtrace, stackLines } from '../pages/blocks/backtrace.tsx';
import { age, blockAt, bornTime, diedTime, LEAK_CLASSES, lifetime, startOf } from '../pages/blocks/block.ts';
import { useQuery } from '../state/query.ts';
import { data, setT, source, t } from '../state/state.ts';
import { address, bytes, count, exactBytes, exactTime, ticked, time } from '../ui/units.ts';

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
  const length = (ns: number) => ticked(ns, source.value.overview.tick_ns);
  // At the time of its end, too, T is where the block is still live.
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
        <dd>{old !== null ? `live, ${length(old)} old` : t.value < startOf(block) ? 'not yet allocated' : 'freed'}</dd>
        <dt>allocated</dt>
        <dd>
          {block.inherited ? 'before the fork' : at(born, startOf(block))} by {source.value.overview.apis[block.api] ?? 'malloc'}
          {block.ofRealloc && ', of a realloc'}
        </dd>
        <dt>freed</dt>
        <dd>
          {died === null || block.died === NEVER ? 'never' : at(died, block.died)}
          {block.endsInRealloc && ', by a realloc'}
        </dd>
        <dt>lifetime</dt>
        <dd>
          {lived === null ? '–' : length(lived)}
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
