// Ways from one page to another that set what is looked at.

import { goTo, select, setT, data } from '../state/state.ts';

/** A block's contents, neighbours and history. */
export function openBlock(id: number): void {
  select('block', id);
  goTo('blocks');
}

/** The source of a frame. */
export function openSource(frame: number): void {
  select('site', frame);
  goTo('source');
}

/** The map at a time, with a block of it. */
export function openMap(time_ns: number, id: number | null): void {
  setT(data.value.times.at(time_ns));
  if (id !== null) select('block', id);
  goTo('layout');
}
