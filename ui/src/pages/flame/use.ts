// The view that the flame page shows: asked for whenever the measure changes, the last one kept until then.

import { type ReadonlySignal, useComputed } from '@preact/signals';
import type { ProcessData } from '../../data/types.ts';
import { type Answer, useQuery } from '../../state/query.ts';
import { data, filter, measure, unit } from '../../state/state.ts';
import { BottomUp } from '../../tree/bottomup.ts';
import { Forest } from '../../tree/forest.ts';
import { compile, fitting } from '../../tree/search.ts';
import type { Shape, Sums } from '../../tree/shape.ts';
import { merged } from '../../tree/shared.ts';
import { matching, type Selfs, type View, view } from '../../tree/view.ts';
import { type Moments, moments, treesOf, weigh, weighThreads } from '../../tree/weights.ts';
import { search, threaded, turn } from './params.ts';

/** Weights, and what they are of. */
export interface Weighed {
  of: ProcessData;
  threads: boolean;
  selfs: Selfs;
}

export function useWeighed(): ReadonlySignal<Answer<Weighed>> {
  return useQuery(async (signal) => {
    // Of a capped process nobody knows whose the blocks are that are not there.
    const threads = threaded.value && turn.value !== 'sandwich' && data.value.info.capped === null;
    const [of, wanted] = [data.value, measure.value];
    const selfs = await (threads ? weighThreads : weigh)(of, wanted, signal);
    return { of, threads, selfs };
  });
}

/** The view of what was weighed; null until there is something that fits the shape. */
export function useView(weighed: ReadonlySignal<Answer<Weighed>>): ReadonlySignal<View | null> {
  const turned = useComputed<Shape>(() => (turn.value === 'bottom' ? BottomUp.of(merged.value) : merged.value));
  const forest = useComputed(() => new Forest(turned.value, treesOf(data.value)));
  return useComputed(() => {
    const answer = weighed.value.value;
    if (!answer || answer.of !== data.value) return null;
    return view(answer.threads ? forest.value : turned.value, answer.selfs, unit.value);
  });
}

/** Functions that fit what is searched for; null: nothing is. An expression that is none keeps the last that was one. */
export function useFits(): ReadonlySignal<Uint8Array | null> {
  return useComputed(() => {
    const pattern = search.value === '' ? null : compile(search.value);
    return pattern && fitting(data.value.stacks, pattern);
  });
}

/** What the search found: each byte once. Null while nothing is searched for. */
export function useFound(weighed: ReadonlySignal<Answer<Weighed>>, fits: ReadonlySignal<Uint8Array | null>) {
  return useComputed(() => {
    const answer = weighed.value.value;
    const list = fits.value;
    if (!answer || !list || answer.of !== data.value) return null;
    const selfs = answer.threads ? together(answer.selfs, merged.value.of.length) : answer.selfs;
    return matching(merged.value, selfs, (fn) => list[fn] === 1);
  });
}

/** The sum over all threads. */
function together(selfs: Selfs, stacks: number): Selfs {
  const add = (values: Float64Array) => {
    const sum = new Float64Array(stacks);
    for (let k = 0; k < values.length; k++) sum[k % stacks]! += values[k]!;
    return sum;
  };
  return { bytes: add(selfs.bytes), blocks: add(selfs.blocks), signed: selfs.signed };
}

/** Live bytes over the run, for sparklines; asked for once for each filter. */
export function useMoments(): ReadonlySignal<Answer<Moments & { of: ProcessData }>> {
  return useQuery(async (signal) => {
    const [of, q] = [data.value, filter.value];
    return { of, ...(await moments(of, q, signal)) };
  });
}

/** Values over time of any node of a shape; a tree by thread has none. */
export function useLines(shape: Shape | undefined, answer: Answer<Moments & { of: ProcessData }>): ((node: number) => number[]) | null {
  const found = answer.value;
  if (!found || !shape || shape instanceof Forest || found.of !== data.value) return null;
  let sums = known.get(found)?.get(shape);
  if (!sums) {
    sums = found.bytes.map((values) => shape.sums(values));
    known.set(found, (known.get(found) ?? new WeakMap<Shape, Sums[]>()).set(shape, sums));
  }
  const all = sums;
  return (node) => all.map((it) => it.total(node));
}

const known = new WeakMap<Moments, WeakMap<Shape, Sums[]>>();
