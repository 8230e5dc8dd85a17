// What is marked on the map because it was asked for: the selected block, and the pages that a site pins.

import { effect, signal } from '@preact/signals';
import { data, selected, t } from '../../state/state.ts';
import { blockAt, isLive } from '../blocks/block.ts';
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
        const block = found.count === 1 ? blockAt(found, 0) : null;
        const there = block !== null && isLive(block, position);
        selectedBlock.value = there ? { id: block.id, lo: block.addr, hi: block.addr + Math.max(1, block.size, block.usable) } : null;
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
