// The table of keys: what a key does, and the words in which the help says so. Pages add theirs while they are shown.
// Never bound in text inputs; whatever has a key has a visible control too.

import { signal } from '@preact/signals';
import { useLayoutEffect } from 'preact/hooks';
import * as act from './actions.ts';
import { togglePlay } from './play.ts';
import { endGesture, gesture } from './params.ts';
import { data, goTo, selection, t, tall } from './state.ts';
import { showWholeRun, zoom } from './view.ts';
import { toggleTheme } from '../ui/theme.ts';

export interface Key {
  /** As `KeyboardEvent.key` has them, with `Ctrl+` and `Shift+` before names that are no single letter. */
  keys: string[];
  does: string;
  group: 'Pages' | 'Time' | 'Range and marks' | 'What is measured' | 'This page' | 'Selection' | 'Window';
  run: (event: KeyboardEvent) => void;
}

/** Whether the help is open. */
export const helpOpen = signal(false);

/** Pages by key: the digits stay with their pages whether or not there is a crash. */
const PAGE_KEYS: Record<string, string> = {
  1: 'summary',
  2: 'flame',
  3: 'tables',
  4: 'layout',
  5: 'blocks',
  6: 'histograms',
  7: 'leaks',
  8: 'diff',
  9: 'source',
  0: 'about',
  e: 'crash',
};

export function keyOfPage(id: string): string | undefined {
  return Object.keys(PAGE_KEYS).find((key) => PAGE_KEYS[key] === id);
}

const step = (pixels: number) => () => act.stepPixels(pixels);
const aroundT = () => data.value.times.of(t.value);

const KEYS: Key[] = [
  { keys: [...'1234567890'], does: 'Pages, in their order', group: 'Pages', run: (event) => goTo(PAGE_KEYS[event.key]!) },
  { keys: ['e'], does: 'Crash, if there was one', group: 'Pages', run: () => data.value.info.crash !== null && goTo('crash') },
  { keys: ['ArrowLeft', 'ArrowRight'], does: 'T by a pixel of the strip', group: 'Time', run: (event) => step(event.key === 'ArrowLeft' ? -1 : 1)() },
  { keys: ['Shift+ArrowLeft', 'Shift+ArrowRight'], does: 'T by ten', group: 'Time', run: (event) => step(event.key === 'ArrowLeft' ? -10 : 10)() },
  { keys: ['Ctrl+ArrowLeft', 'Ctrl+ArrowRight'], does: 'T to the event before, after', group: 'Time', run: (event) => act.stepEvents(event.key === 'ArrowLeft' ? -1 : 1) },
  { keys: ['Home'], does: 'T to the start', group: 'Time', run: act.toStart },
  { keys: ['End'], does: 'T to the end', group: 'Time', run: act.toEnd },
  { keys: ['P', 'p'], does: 'T to the peak of the range', group: 'Time', run: () => void act.toPeak() },
  { keys: [' '], does: 'Play, pause', group: 'Time', run: togglePlay },
  { keys: ['+', '='], does: 'Zoom in around T', group: 'Time', run: () => zoom(0.5, aroundT()) },
  { keys: ['-'], does: 'Zoom out', group: 'Time', run: () => zoom(2, aroundT()) },
  { keys: ['w'], does: 'Strip shows the whole run', group: 'Time', run: showWholeRun },
  { keys: ['t'], does: 'Strip tall, low', group: 'Time', run: () => void (tall.value = !tall.value) },
  { keys: ['['], does: 'Range begins at T', group: 'Range and marks', run: act.beginAtT },
  { keys: [']'], does: 'Range ends at T', group: 'Range and marks', run: act.endAtT },
  { keys: ['r'], does: 'Range is the whole run', group: 'Range and marks', run: act.wholeRange },
  { keys: ['a'], does: 'Mark A at T', group: 'Range and marks', run: () => act.mark('a') },
  { keys: ['b'], does: 'Mark B at T', group: 'Range and marks', run: () => act.mark('b') },
  { keys: ['x'], does: 'Difference between the marks', group: 'Range and marks', run: act.showDifference },
  { keys: ['m'], does: 'Next metric', group: 'What is measured', run: act.nextMetric },
  { keys: ['u'], does: 'Bytes, blocks', group: 'What is measured', run: act.otherUnit },
  { keys: ['/'], does: 'Filter; Esc leaves it', group: 'What is measured', run: () => document.getElementById('filter')?.focus() },
  { keys: ['s'], does: 'Source of the selection', group: 'Selection', run: () => goTo('source') },
  { keys: ['l'], does: 'Selection on the map', group: 'Selection', run: () => goTo('layout') },
  { keys: ['k'], does: 'Blocks of the selection', group: 'Selection', run: () => goTo('blocks') },
  { keys: ['i'], does: 'Inspector', group: 'Selection', run: () => act.toggleInspector() },
  { keys: ['Escape'], does: 'Select nothing', group: 'Selection', run: () => void (selection.value = '') },
  { keys: ['c'], does: 'Copy a link to this view', group: 'Window', run: () => void act.copyLink() },
  { keys: ['d'], does: 'Light, dark', group: 'Window', run: toggleTheme },
  { keys: ['?'], does: 'This help', group: 'Window', run: () => void (helpOpen.value = !helpOpen.value) },
];

const ofPage = signal<Key[]>([]);

/** All keys that work now; those of the page come first and take precedence. */
export function keysNow(): Key[] {
  return [...ofPage.value, ...KEYS];
}

/** Keys of a page, for as long as it is shown. */
export function useKeys(keys: Omit<Key, 'group'>[], deps: unknown[] = []): void {
  // At once with what is drawn: a key pressed right afterwards acts on what is seen, not on what was there before.
  useLayoutEffect(() => {
    const own = keys.map((key): Key => ({ ...key, group: 'This page' }));
    ofPage.value = [...ofPage.peek(), ...own];
    return () => {
      ofPage.value = ofPage.peek().filter((key) => !own.includes(key));
    };
  }, deps);
}

/** Begins to listen. A held key is one gesture. */
export function listen(): void {
  addEventListener('keydown', (event) => {
    if (event.defaultPrevented || event.altKey || event.metaKey || isTyping(event)) return;
    const key = keysNow().find((it) => it.keys.includes(nameOf(event)));
    if (!key) return;
    event.preventDefault();
    gesture(`key ${event.key}`);
    key.run(event);
  });
  addEventListener('keyup', (event) => endGesture(`key ${event.key}`));
  addEventListener('blur', () => endGesture());
}

function nameOf(event: KeyboardEvent): string {
  const named = event.key.length > 1;
  return `${event.ctrlKey ? 'Ctrl+' : ''}${event.shiftKey && named ? 'Shift+' : ''}${event.key}`;
}

/** Whether the key belongs to what has the focus: text in an input, a choice in a list, a press of a button, an open dialog
 * (one that was closed keeps the focus until the next frame). */
function isTyping(event: KeyboardEvent): boolean {
  const target = event.target instanceof Element ? event.target : null;
  if (target?.closest('input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable], dialog[open]')) return true;
  const presses = event.key === ' ' || event.key === 'Enter';
  return presses && target?.closest('button, a, summary, input') != null;
}
