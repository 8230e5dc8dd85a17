// What every page shows the same of: the process, the moment T, the range A–B, metric, unit, filter and selection.

import { batch, computed, signal } from '@preact/signals';
import type { DataSource, Measure, Metric, ProcessData, Unit } from '../data/types.ts';
import { setRunLength } from '../ui/units.ts';
import { toldMetrics } from './metrics.ts';
import { flag, integer, oneOf, page, param, peek, read, text, type Codec } from './params.ts';

/** Where the data come from; set once, before anything is drawn. */
export const source = signal<DataSource>(undefined as unknown as DataSource);
/** The data of the process that is shown. */
export const data = signal<ProcessData>(undefined as unknown as ProcessData);

/** Where to look first: at the last crash; where it died otherwise, at its last event; else at the peak. */
function firstMoment({ info, times }: ProcessData): number {
  if (info.crash === null) return info.peak.position;
  const last = (info.crash.crashes as { time_ns: number }[]).at(-1);
  return info.crash.death === null && last ? times.at(last.time_ns) : info.event_count;
}

const eventCount = () => data.value?.info.event_count ?? 0;

/** A position; a link may also name a time, `521013us` or `269ms`. */
const position: Codec<number> = {
  write: String,
  parse: (written) => {
    const match = /^(\d{1,15})(ns|us|ms|s)?$/.exec(written);
    if (!match) return undefined;
    const unit = { ns: 1, us: 1e3, ms: 1e6, s: 1e9 }[match[2] as 'ns'];
    return unit === undefined ? Number(match[1]) : data.value?.times.at(Number(match[1]) * unit);
  },
};

/** Of which process; `Overview.processes[].id`. */
export const process = param('p', () => source.value?.overview.first ?? 0, integer);
/** The moment, a position; in the beginning where the process crashed, else the peak. */
export const t = param('t', () => (data.value ? firstMoment(data.value) : 0), position);
/** The range, positions; in the beginning the whole run. */
export const a = param('a', 0, position);
export const b = param('b', eventCount, position);
export const metric = param<Metric>(
  'm', 'live', oneOf('live', 'peak', 'kept', 'leaked', 'alloc', 'freed', 'temp', 'diff'));
export const unit = param<Unit>('u', 'bytes', oneOf('bytes', 'blocks'));
/** The filter (ui.md 4.8's words); always one that parses: what is typed and does not, stays in its box. */
export const filter = param('q', '', text);
/** `stack:12`, `site:7` (a frame), `block:41237`, `fn:3`; empty: nothing. */
export const selection = param('sel', '', text);
/** Marked instants for diffs: positions; empty: none. */
export const markA = param('ma', '', text);
export const markB = param('mb', '', text);
/** Whether the strip is tall. */
export const tall = param('tall', false, flag);

/** Whether the range is the whole run. */
export const wholeRun = computed(() => a.value === 0 && b.value === eventCount());

/** What all pages measure. T is read only where it counts: what does not depend on it is not asked again while it moves. */
export const measure = computed<Measure>(() => ({
  metric: metric.value,
  t: metric.value === 'live' ? t.value : 0,
  a: a.value,
  b: b.value,
  q: filter.value,
}));

/** Where T stands in the run, 0 to 1: for sparklines. */
export const momentOfRun = computed(() => {
  const { info, times } = data.value;
  const share = (times.of(t.value) - info.start_ns) / Math.max(1, info.end_ns - info.start_ns);
  return Math.max(0, Math.min(1, share));
});

export function setT(position: number): void {
  t.value = Math.max(0, Math.min(eventCount(), Math.round(position)));
}

/** A range; its ends in any order. */
export function setRange(from: number, to: number): void {
  const clamp = (p: number) => Math.max(0, Math.min(eventCount(), Math.round(p)));
  batch(() => {
    a.value = clamp(Math.min(from, to));
    b.value = clamp(Math.max(from, to));
  });
}

export function select(kind: 'stack' | 'site' | 'block' | 'fn', id: number): void {
  selection.value = `${kind}:${id}`;
}

/** The selection, taken apart. */
export const selected = computed(() => {
  const match = /^(stack|site|block|fn):(\d+)$/.exec(selection.value);
  return match ? { kind: match[1] as 'stack' | 'site' | 'block' | 'fn', id: Number(match[2]) } : null;
});

export function goTo(id: string): void {
  page.value = id;
}

/** Shows another process, where to look first and over its whole run, by the same metric and filter. */
export async function showProcess(id: number): Promise<void> {
  const kept = { p: String(id), m: metric.value, u: unit.value, q: filter.value };
  await arrive(`#/${page.value}?${new URLSearchParams(kept)}`);
}

let arrivals = 0;

/**
 * Sets the state from a hash; opens the process that it names first, if another is shown. What makes no sense of this
 * recording is mended: unknown processes, positions after the last event, metrics that a sample does not tell. False: a later
 * call overtook this one.
 */
export async function arrive(hash: string): Promise<boolean> {
  const arrival = ++arrivals;
  const wanted = Number(peek(hash, 'p') ?? source.value.overview.first);
  const known = source.value.overview.processes.some((it) => it.id === wanted && it.included);
  const id = known ? wanted : source.value.overview.first;
  const opened = data.peek()?.info.id === id ? data.peek() : await source.value.open(id);
  if (arrival !== arrivals) return false;
  setRunLength(opened.info.end_ns - opened.info.start_ns);
  batch(() => {
    data.value = opened;
    read(hash);
    process.value = id;
    if (!toldMetrics(source.value.overview).some((it) => it.id === metric.value)) metric.value = 'live';
    setT(t.value);
    setRange(a.value, b.value);
  });
  return true;
}
