// Lets T run through the strip's stretch of time, in about ten seconds. One run is one entry of the history.

import { signal } from '@preact/signals';
import { endGesture, gesture } from './params.ts';
import { data, setT, t } from './state.ts';
import { view } from './view.ts';

const LENGTH_MS = 10_000;

export const playing = signal(false);

/** Who asked for less motion gets none. */
export const mayPlay = !matchMedia('(prefers-reduced-motion: reduce)').matches;

export function togglePlay(): void {
  if (playing.value) stop();
  else if (mayPlay) start();
}

export function stop(): void {
  if (!playing.value) return;
  playing.value = false;
  endGesture();
}

function start(): void {
  const { from, to } = view.value;
  const { times } = data.value;
  const of = times.of(t.value);
  let clock = of < from || of >= times.of(times.at(to)) ? from : of;
  let before = performance.now();
  let shown = t.value;
  playing.value = true;
  gesture('play');
  const advance = (now: number) => {
    // Whoever else moves T takes over.
    if (!playing.value || t.value !== shown) return stop();
    clock += ((now - before) / LENGTH_MS) * (to - from);
    before = now;
    setT(times.at(Math.min(clock, to)));
    shown = t.value;
    if (clock >= to) stop();
    else requestAnimationFrame(advance);
  };
  requestAnimationFrame(advance);
}
