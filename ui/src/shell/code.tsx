// What is known of a backtrace, a call site or a function: its blocks by every metric, its live bytes over the run, and the
// heaviest way to it.

import type { Metric, ProcessData, StackWeights, Weight } from '../data/types.ts';
import { Backtrace, stackLines } from '../pages/blocks/backtrace.tsx';
import { METRICS } from '../state/metrics.ts';
import { useQuery } from '../state/query.ts';
import { data, filter, measure, metric, momentOfRun, source, t } from '../state/state.ts';
import { siteSeries, wholeRunWeights } from '../state/weights.ts';
import { functionName, Name, wholeFrame } from '../ui/name.tsx';
import { Sparkline } from '../ui/sparkline.tsx';
import { bytes, count, exactBytes, percent, time } from '../ui/units.ts';

type Kind = 'stack' | 'site' | 'fn';

export function CodeFacts({ kind, id }: { kind: Kind; id: number }) {
  const { frames } = data.value.stacks;
  const frame = frameOf(data.value, kind, id);
  if (frame === null) return <p class="inspector-empty">This recording has no such thing: the link was made for another one.</p>;
  const file = frames.strings[frames.file[frame]!] ?? '';
  const members = membersOf(data.value, kind, id);
  return (
    <>
      <p class="inspector-name" title={wholeFrame(frames, frame)}>
        <bdi>{functionName(frames, frame, true)}</bdi>
      </p>
      <p class="inspector-place">
        {file !== '' && <Name text={`${file}${frames.line[frame] ? `:${frames.line[frame]}` : ''}`} tail={24} />}
        <Name text={frames.strings[frames.module[frame]!] ?? ''} tail={16} />
      </p>
      <Weighed members={members} frame={frame} />
    </>
  );
}

/** What is measured is asked for once, for its sum and for its heaviest backtrace. */
function Weighed({ members, frame }: { members: Uint8Array; frame: number }) {
  const weights = useQuery((signal) => data.value.weigh(measure.value, signal)).value.value;
  return (
    <>
      <Figures members={members} measured={weights} />
      <Growth data={data.value} frame={frame} />
      {weights && <Heaviest members={members} weights={weights} />}
    </>
  );
}

/** The frame that names the selection; null where there is none of that number. */
function frameOf({ stacks }: ProcessData, kind: Kind, id: number): number | null {
  if (kind === 'stack') return id > 0 && id < stacks.count ? stacks.frame[id]! : null;
  if (kind === 'site') return id < stacks.frames.count ? id : null;
  const found = stacks.frames.fn.indexOf(id);
  return found < 0 ? null : found;
}

/** The stacks whose blocks are the selection's: 1 each. A stack's and a function's are those of all that they call. */
function membersOf(data: ProcessData, kind: Kind, id: number): Uint8Array {
  const { stacks } = data;
  const members = new Uint8Array(stacks.count);
  for (let k = 1; k < stacks.count; k++) {
    if (kind === 'site') members[k] = data.stacks.site[k] === id ? 1 : 0;
    else {
      const own = kind === 'stack' ? k === id : stacks.frames.fn[stacks.frame[k]!] === id;
      members[k] = own || members[stacks.parent[k]!] ? 1 : 0;
    }
  }
  return members;
}

function sumOf(members: Uint8Array, weights: StackWeights): Weight {
  const sum = { bytes: 0, blocks: 0 };
  for (let k = 0; k < members.length; k++) {
    if (!members[k]) continue;
    sum.bytes += weights.bytes[k]!;
    sum.blocks += weights.blocks[k]!;
  }
  return sum;
}

interface Row {
  name: string;
  own: Weight;
  all: Weight;
}

const WHOLE: readonly Exclude<Metric, 'live'>[] = ['peak', 'leaked', 'alloc', 'temp'];

/** Its bytes and blocks at T, by what is measured now, and by the metrics of the whole run. */
function Figures({ members, measured }: { members: Uint8Array; measured: StackWeights | undefined }) {
  const other = useQuery((signal) => (metric.value === 'live' ? null : data.value.weigh({ ...measure.value, metric: 'live', t: t.value }, signal)));
  const now = metric.value === 'live' ? measured : other.value.value;
  const whole = useQuery(() => {
    const metrics = WHOLE.filter((it) => source.value.overview.sampling === null || it !== 'temp');
    return Promise.all(metrics.map(async (it) => ({ metric: it, weights: await wholeRunWeights(data.value, it) })));
  });
  const name = (id: Metric) => METRICS.find((it) => it.id === id)!.name;
  const row = (name: string, weights: StackWeights | undefined): Row[] => (weights ? [{ name, own: sumOf(members, weights), all: weights.total }] : []);
  const current = [
    ...row(`live at ${time(data.value.times.of(t.value))}`, now),
    ...(metric.value === 'live' ? [] : row(name(metric.value), measured)),
  ];
  return (
    <table class="inspector-figures">
      <thead>
        <tr>
          <th scope="col">{filter.value === '' ? 'now' : 'now, filtered'}</th>
          <th scope="col">bytes</th>
          <th scope="col">blocks</th>
          <th scope="col" title="Of the bytes of all blocks by this metric">of all</th>
        </tr>
      </thead>
      <Rows rows={current} />
      <Rows title="whole run" rows={(whole.value.value ?? []).flatMap((it) => row(name(it.metric), it.weights))} />
    </table>
  );
}

function Rows({ title, rows }: { title?: string; rows: Row[] }) {
  return (
    <tbody>
      {title && (
        <tr class="inspector-group">
          <th scope="rowgroup" colSpan={4}>{title}</th>
        </tr>
      )}
      {rows.map(({ name, own, all }) => (
        <tr key={name}>
          <th scope="row">{name}</th>
          <td title={exactBytes(own.bytes)}>{bytes(own.bytes)}</td>
          <td>{count(own.blocks)}</td>
          <td>{percent(own.bytes, all.bytes)}</td>
        </tr>
      ))}
    </tbody>
  );
}

/** Live bytes of the call site over the run, where it is one of the large ones. */
function Growth({ data, frame }: { data: ProcessData; frame: number }) {
  const answer = useQuery(() => siteSeries(data), [frame]);
  const series = answer.value.value;
  const row = series ? series.sites.indexOf(frame) : -1;
  if (!series || row < 0) return null;
  const values = series.bytes.subarray(row * series.points, (row + 1) * series.points);
  const most = values.reduce((x, y) => Math.max(x, y), 0);
  return (
    <figure class="inspector-growth">
      <Sparkline values={values} width={272} height={40} mark={momentOfRun} label={`Live bytes of this call site over the run, at most ${bytes(most)}`} />
      <figcaption>live over the run, at most {bytes(most)}</figcaption>
    </figure>
  );
}

/** Of its backtraces the one with most bytes, by what is measured. */
function Heaviest({ members, weights }: { members: Uint8Array; weights: StackWeights }) {
  let heaviest = 0;
  for (let k = 1; k < members.length; k++) {
    if (members[k] && Math.abs(weights.bytes[k]!) > Math.abs(weights.bytes[heaviest]!)) heaviest = k;
  }
  if (heaviest === 0 || weights.bytes[heaviest] === 0) return null;
  return (
    <section>
      <h3>
        Heaviest backtrace <span>{bytes(weights.bytes[heaviest]!)}</span>
      </h3>
      <Backtrace lines={stackLines(data.value.stacks, heaviest)} label="Heaviest backtrace" none="" />
    </section>
  );
}
