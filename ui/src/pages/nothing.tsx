// Where there is nothing to show: why, and the way out.

import { data, filter, measure, setRange, setT, wholeRun } from '../state/state.ts';
import { useQuery } from '../state/query.ts';
import { count, time } from '../ui/units.ts';
import './nothing.css';

/** `what` was looked for: blocks, allocations, … */
export function Nothing({ what }: { what: string }) {
  const { info, times } = data.value;
  if (info.block_count === 0) {
    return (
      <div class="empty" data-testid="empty">
        <p>This process allocated nothing that was recorded.</p>
        <p class="muted">
          {count(info.event_count)} events. A static program, or one with an allocator of its own, is not seen: <code>heaptape doctor PROGRAM</code> tells.
        </p>
      </div>
    );
  }
  const { metric, t, a, b } = measure.value;
  return (
    <div class="empty" data-testid="empty">
      {filter.value !== '' ? (
        <>
          <p>No {what} match the filter <code>{filter.value}</code> here.</p>
          <p><button class="action" onClick={() => (filter.value = '')}>Clear the filter</button></p>
        </>
      ) : metric === 'live' ? (
        <>
          <p>Nothing is live at T = {time(times.of(t))}.</p>
          <p><button class="action" onClick={() => setT(info.peak.position)}>Go to the peak, {time(info.peak.time_ns)}</button></p>
        </>
      ) : (
        <>
          <p>No {what}: nothing fits between {time(times.of(a))} and {time(times.of(b))}.</p>
          {!wholeRun.value && <Nearest />}
        </>
      )}
    </div>
  );
}

/** The allocation nearest to a range without one. */
function Nearest() {
  const answer = useQuery(async (signal) => {
    const { a, b } = measure.value;
    const query = { metric: 'alloc' as const, t: 0, q: '', sort: 'born' as const, offset: 0, limit: 1 };
    const [before, after] = await Promise.all([
      data.value.blocks({ ...query, a: 0, b: a, descending: true }, signal),
      data.value.blocks({ ...query, a: b, b: data.value.info.event_count, descending: false }, signal),
    ]);
    return [...before.rows.born, ...after.rows.born];
  });
  const { times, info } = data.value;
  const { a, b } = measure.value;
  const distance = (born: number) => (born < a ? times.of(a) - times.of(born + 1) : times.of(born + 1) - times.of(b));
  const nearest = answer.value.value?.sort((x, y) => distance(x) - distance(y))[0];
  return (
    <p>
      {nearest !== undefined && (
        <button class="action" onClick={() => setRange(Math.min(a, nearest), Math.max(b, nearest + 1))}>
          Widen to the nearest allocation, {time(times.of(nearest + 1))}
        </button>
      )}{' '}
      <button class="action" onClick={() => setRange(0, info.event_count)}>Whole run</button>
    </p>
  );
}
