// What every page shows the same of: the process, the moment T, the range A–B, metric, unit, filter and selection.

import { batch, computed, signal } from '@preact/signals';
import type { DataSource, Measure, Metric, ProcessData, Unit } from '../data/types.ts';
import { flag, integer, oneOf, page, param, text } from './params.ts';

/** Where the data come from; set once, before anything is drawn. */
export const source = signal<DataSource>(undefined as unknown as DataSource);
/** The data of the process that is shown. */
export const data = signal<ProcessData>(undefined as unknown as ProcessData);

const eventCount = () => data.value?.info.event_count ?? 0;

/** Of which process; `Overview.processes[].id`. */
export const process = param('p', () => source.value?.overview.first ?? 0, integer);
/** The moment, a position; in the beginning the peak. */
export const t = param('t', () => data.value?.info.peak.position ?? 0, integer);
/** The range, positions; in the beginning the whole run. */
export const a = param('a', 0, integer);
export const b = param('b', eventCount, integer);
export const metric = param<Metric>(
  'm', 'live', oneOf('live', 'peak', 'kept', 'leaked', 'alloc', 'freed', 'temp', 'diff'));
export const unit = param<Unit>('u', 'bytes', oneOf('bytes', 'blocks'));
/** The filter (ui.md 4.8's words); always one that parses: what is typed and does not, stays in its box. */
export const filter = param('q', '', text);
/** `stack:12`, `site:7` (a frame), `block:41237`, `fn:3`; empty: nothing. */
export const selection = param('sel', '', text);
/** Marked instants for diffs, positions; -1 is written as nothing. */
export const markA = param('ma', '', text);
export const markB = param('mb', '', text);
/** Whether the strip is tall. */
export const tall = param('tall', false, flag);

/** Whether the range is the whole run. */
export const wholeRun = computed(() => a.value === 0 && b.value === eventCount());

/** What all pages measure. */
export const measure = computed<Measure>(() => ({
  metric: metric.value,
  t: t.value,
  a: a.value,
  b: b.value,
  q: filter.value,
}));

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
