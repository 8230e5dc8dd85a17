// The stretch of time that the strip shows. In links `view=FROM..TO`, microseconds; nothing: the whole run.

import { computed } from '@preact/signals';
import { param, type Codec } from './params.ts';
import { data } from './state.ts';

export interface Stretch {
  from: number;
  to: number;
}

const stretch: Codec<Stretch | null> = {
  write: (value) => (value === null ? '' : `${Math.round(value.from / 1e3)}..${Math.round(value.to / 1e3)}`),
  parse: (written) => {
    const match = /^(\d{1,15})\.\.(\d{1,15})$/.exec(written);
    const [from, to] = [Number(match?.[1]) * 1e3, Number(match?.[2]) * 1e3];
    return from < to ? { from, to } : undefined;
  },
};

const zoomed = param<Stretch | null>('view', null, stretch);

/** The run, in nanoseconds of the recording; never of no length. */
export const run = computed<Stretch>(() => {
  const { start_ns, end_ns } = data.value.info;
  return { from: start_ns, to: Math.max(end_ns, start_ns + 1000) };
});

/** What the strip shows, in nanoseconds. */
export const view = computed<Stretch>(() => fit(zoomed.value ?? run.value));

export const isZoomed = computed(() => view.value.from > run.value.from || view.value.to < run.value.to);

/** The least that the strip shows. */
export const LEAST_NS = 20e3;

/** Keeps a stretch inside the run and its length sensible. */
function fit(wanted: Stretch): Stretch {
  const whole = run.value;
  const length = Math.min(whole.to - whole.from, Math.max(LEAST_NS, wanted.to - wanted.from));
  const from = Math.max(whole.from, Math.min(whole.to - length, wanted.from));
  return { from, to: from + length };
}

export function setView(wanted: Stretch): void {
  const fitted = fit(wanted);
  const all = fitted.from <= run.value.from && fitted.to >= run.value.to;
  zoomed.value = all ? null : fitted;
}

export function showWholeRun(): void {
  zoomed.value = null;
}

/** Makes the strip show `factor` times as much time; what is at `around` stays where it is. */
export function zoom(factor: number, around: number): void {
  const { from, to } = view.value;
  setView({ from: around - (around - from) * factor, to: around + (to - around) * factor });
}

export function pan(ns: number): void {
  const { from, to } = view.value;
  setView({ from: from + ns, to: to + ns });
}
