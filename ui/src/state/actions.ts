// What a key or a button does to the state. Each is one word, so that the table of keys and the controls agree.

import { batch, signal } from '@preact/signals';
import { toldMetrics } from './metrics.ts';
import { hash, page } from './params.ts';
import * as state from './state.ts';
import { view } from './view.ts';

const info = () => state.data.value.info;
/** The width of the strip's plot in pixels: what a step of an arrow key is. */
export const stripWidth = signal(1000);

/** Moves T by pixels of the strip; always by an event at least. */
export function stepPixels(pixels: number): void {
  const { times } = state.data.value;
  const from = state.t.value;
  const ns = (view.value.to - view.value.from) / stripWidth.value;
  const to = times.at(times.of(from) + pixels * ns);
  if (pixels > 0) state.setT(to > from ? to : times.at(times.of(from + 1)));
  else state.setT(Math.min(to, from - 1));
}

export function stepEvents(events: number): void {
  state.setT(state.t.value + events);
}

export function toStart(): void {
  state.setT(0);
}

export function toEnd(): void {
  state.setT(info().event_count);
}

export async function toPeak(): Promise<void> {
  const { data, a, b, wholeRun } = state;
  const peak = wholeRun.value ? info().peak : await data.value.peak(a.value, b.value);
  state.setT(peak.position);
}

/** T becomes the range's beginning; the other end gives way if it lies before. */
export function beginAtT(): void {
  const t = state.t.value;
  state.setRange(t, t < state.b.value ? state.b.value : info().event_count);
}

export function endAtT(): void {
  const t = state.t.value;
  state.setRange(t > state.a.value ? state.a.value : 0, t);
}

export function wholeRange(): void {
  state.setRange(0, info().event_count);
}

export function mark(which: 'a' | 'b'): void {
  (which === 'a' ? state.markA : state.markB).value = String(state.t.value);
}

/** A mark's position; null where it is not set. */
export function marked(which: 'a' | 'b'): number | null {
  const written = (which === 'a' ? state.markA : state.markB).value;
  return /^\d{1,15}$/.test(written) ? Math.min(Number(written), info().event_count) : null;
}

/** Shows the difference between the marks; of one mark, between it and T; of none, between the ends of the range. */
export function showDifference(): void {
  const [a, b] = [marked('a'), marked('b')];
  batch(() => {
    if (a !== null || b !== null) state.setRange(a ?? state.t.value, b ?? state.t.value);
    state.metric.value = 'diff';
    page.value = 'diff';
  });
}

export function nextMetric(): void {
  const metrics = toldMetrics(state.source.value.overview);
  const at = metrics.findIndex((it) => it.id === state.metric.value);
  state.metric.value = metrics[(at + 1) % metrics.length]!.id;
}

export function otherUnit(): void {
  state.unit.value = state.unit.value === 'bytes' ? 'blocks' : 'bytes';
}

/** Sets the state that a link of a finding names; what it does not name stays. */
export function followLink(to: string, params: Record<string, string>): void {
  const query = new URLSearchParams(hash().slice(hash().indexOf('?') + 1));
  for (const [key, value] of Object.entries(params)) query.set(key, value);
  void state.arrive(`#/${to}?${query}`);
}

/** Whether the inspector is open; null: as long as something is selected and there is room. */
export const inspector = signal<boolean | null>(null);
const roomy = matchMedia('(min-width: 1101px)');

export function inspectorOpen(): boolean {
  return inspector.value ?? (state.selected.value !== null && roomy.matches);
}

export function toggleInspector(): void {
  inspector.value = !inspectorOpen();
}

/** What was last done, in words, for those who cannot see it: `Link copied`. */
export const said = signal('');

/** Copies a link to what is shown. A server's address holds a secret, so of a served page only the state is copied. */
export async function copyLink(): Promise<void> {
  const link = state.source.value.in_page ? location.href.replace(/#.*$/, '') + hash() : hash();
  said.value = (await copy(link)) ? 'Link copied' : `This browser does not let the page copy. The link: ${link}`;
}

/** Copies a text; false where the browser does not allow it. */
export async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement('textarea');
    area.value = text;
    document.body.append(area);
    area.select();
    const copied = document.execCommand('copy');
    area.remove();
    return copied;
  }
}
