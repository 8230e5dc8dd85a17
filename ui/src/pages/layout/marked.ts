// What is marked on the map because it was asked for: the selected block, and the pages that a site pins.

import { effect, signal } from '@preact/signals';
import { data, selected, t } from '../../state/state.ts';
import { pin } from './view.ts';

/** The footprint of the selected block, where it is live at T. */
export const selectedBlock = signal<{ id: number; lo: number; hi: number } | null>(null);
/** First addresses of the pages under 25 % used that hold blocks of the site that was clicked. */
export const pinnedPages = signal<Float64Array | null>(null);

/** Keeps both true as T and the selection change; gives back how to stop. */
export function followMarks(): () => void {
  const stops = [
    effect(() => {
      const chosen = selected.value;
      const position = t.value;
      if (chosen?.kind !== 'block') {
        selectedBlock.value = null;
        return;
      }
      void data.value.block(chosen.id).then((found) => {
        if (selected.peek() !== chosen || t.peek() !== position) return;
        const there = found.count === 1 && liveAt(found.born[0]!, found.died[0]!, found.flags[0]!, position);
        const lo = found.addr[0]!;
        selectedBlock.value = there ? { id: chosen.id, lo, hi: lo + Math.max(1, found.size[0]!, found.usable[0]!) } : null;
      });
    }),
    effect(() => {
      const site = pin.value;
      const position = t.value;
      if (site === null) {
        pinnedPages.value = null;
        return;
      }
      void data.value.pinned(position, site).then((pages) => {
        if (pin.peek() === site && t.peek() === position) pinnedPages.value = pages;
      });
    }),
  ];
  return () => stops.forEach((stop) => stop());
}

const INHERITED = 4;

/** Whether a block is live at a position (docs/page.md, Time). */
export function liveAt(born: number, died: number, flags: number, position: number): boolean {
  return ((flags & INHERITED) !== 0 || born < position) && position <= died;
}
