// The ground: where in the address space blocks were seen, at all moments looked at so far. It only grows, so that the
// picture stays where it is while T moves.

import { batch, effect } from '@preact/signals';
import type { ProcessData } from '../../data/types.ts';
import { data, t } from '../../state/state.ts';
import { union } from './geometry.ts';
import { ground, layout } from './view.ts';

/** T rests when it has not moved for so long. */
const REST_MS = 120;
/** So many moments, equally far apart, are looked at besides T, the peak and the end. */
const MOMENTS = 6;

const surveyed = new WeakSet<ProcessData>();

/** Looks where the blocks are whenever T rests; gives back how to stop. */
export function followGround(): () => void {
  let abort = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const stop = effect(() => {
    const [of, position] = [data.value, t.value];
    abort.abort();
    const own = (abort = new AbortController());
    clearTimeout(timer);
    const look = () => void lookAt(of, position, own.signal).catch((error: unknown) => own.signal.aborted || console.error(error));
    if (surveyed.has(of)) timer = setTimeout(look, REST_MS);
    else look();
  });
  return () => {
    stop();
    abort.abort();
    clearTimeout(timer);
    layout.value = null;
  };
}

async function lookAt(of: ProcessData, position: number, signal: AbortSignal): Promise<void> {
  const known = surveyed.has(of) ? ground.peek() : await survey(of, signal);
  const found = await of.layout(position, signal);
  if (signal.aborted) return;
  surveyed.add(of);
  const segments = union(known, found.regions);
  const before = ground.peek();
  const same = segments.length === before.length && segments.every((it, k) => it.start === before[k]!.start && it.end === before[k]!.end);
  batch(() => {
    if (!same) ground.value = segments;
    layout.value = { t: position, layout: found };
  });
}

async function survey(of: ProcessData, signal: AbortSignal) {
  const { event_count, peak } = of.info;
  const moments = new Set([peak.position, event_count]);
  for (let k = 1; k <= MOMENTS; k++) moments.add(Math.round((k * event_count) / (MOMENTS + 1)));
  let known = union([], []);
  for (const moment of moments) known = union(known, (await of.layout(moment, signal)).regions);
  return known;
}
