// The two sides of a difference, A and B, by the stacks of one tree.

import type { ReadonlySignal } from '@preact/signals';
import type { DataSource, Measure, Metric, ProcessData, Stacks, StackWeights, Weight } from '../../data/types.ts';
import { type Answer, useQuery } from '../../state/query.ts';
import { a, b, data, filter, metric, source } from '../../state/state.ts';
import { METRICS } from '../../state/metrics.ts';
import { carry, matchStacks } from '../../tree/match.ts';
import type { Selfs } from '../../tree/view.ts';
import { change } from '../../tree/weights.ts';
import { commandLine } from '../../ui/name.tsx';
import { bytes, counted, exactTime, time } from '../../ui/units.ts';
import { other } from './params.ts';

type Side = Pick<StackWeights, 'bytes' | 'blocks' | 'total'>;

export interface Difference {
  stacks: Stacks;
  /** Whether stacks and frames have the numbers that they have elsewhere on the page. */
  own: boolean;
  before: Side;
  after: Side;
  change: Selfs;
  /** What the sides are, in words; exactly, for tooltips. */
  names: { before: string; after: string; exact: [string, string] };
  /** What is on one side only; empty where that says nothing. */
  unmatched: string;
}

export function useDifference(): ReadonlySignal<Answer<Difference>> {
  return useQuery((signal) => {
    const second = other.value;
    return second ? recordings(second, signal) : moments(signal);
  });
}

async function moments(signal: AbortSignal): Promise<Difference> {
  const of = data.value;
  const [from, to] = [a.value, b.value];
  const measure = (t: number): Measure => ({ metric: 'live', t, a: 0, b: of.info.event_count, q: filter.value });
  const [before, after] = await Promise.all([of.weigh(measure(from), signal), of.weigh(measure(to), signal)]);
  const [early, late] = [of.times.of(from), of.times.of(to)];
  return {
    stacks: of.stacks, own: true, before, after, change: change(before, after), unmatched: '',
    names: { before: `A, ${time(early)}`, after: `B, ${time(late)}`, exact: [exactTime(early), exactTime(late)] },
  };
}

/** What can be compared where there is no moment in common; by others, the peak is. */
const COMPARABLE: readonly Metric[] = ['peak', 'leaked', 'alloc', 'temp'];

async function recordings(second: DataSource, signal: AbortSignal): Promise<Difference> {
  const [of, what, q] = [data.value, metric.value, filter.value];
  const wanted = COMPARABLE.includes(what) ? what : 'peak';
  const there = await second.open(second.overview.first);
  const whole = (end: number): Measure => ({ metric: wanted, t: end, a: 0, b: end, q });
  const [before, weights] = await Promise.all([of.weigh(whole(of.info.event_count), signal), there.weigh(whole(there.info.event_count), signal)]);
  const matched = matchStacks(of.stacks, there.stacks);
  const longer = (values: Float64Array) => {
    const all = new Float64Array(matched.stacks.count);
    all.set(values);
    return all;
  };
  const first: Side = { bytes: longer(before.bytes), blocks: longer(before.blocks), total: before.total };
  const after: Side = { bytes: carry(matched, weights.bytes), blocks: carry(matched, weights.blocks), total: weights.total };
  const name = METRICS.find(({ id }) => id === wanted)!.name;
  const [one, two] = [source.value.overview.tape, second.overview.tape];
  return {
    stacks: matched.stacks, own: false, before: first, after, change: change(first, after), unmatched: unmatched(first, after),
    names: { before: `A, ${one}, ${name}`, after: `B, ${two}, ${name}`, exact: [commandOf(of), commandOf(there)] },
  };
}

/** What was recorded, and as which process of the tape. */
function commandOf({ info }: ProcessData): string {
  return `${commandLine(info.argv)}, process #${info.id}, pid ${info.pid}`;
}

/** What has no counterpart on the other side: its backtraces, and their bytes. */
function unmatched(one: Side, other: Side): string {
  const only = (side: Side, against: Side) => {
    const found: Weight & { stacks: number } = { bytes: 0, blocks: 0, stacks: 0 };
    for (let stack = 0; stack < side.blocks.length; stack++) {
      if (side.blocks[stack] === 0 || against.blocks[stack] !== 0) continue;
      found.stacks++;
      found.bytes += side.bytes[stack]!;
    }
    return `${counted(found.stacks, 'backtrace')} (${bytes(found.bytes)})`;
  };
  return `Matched by function, file and line of each frame. Only in A: ${only(one, other)}; only in B: ${only(other, one)}.`;
}
