// The address of what is seen: every piece of shared state is a *param*, a signal that lives in the URL's hash.
//
// Changing a param anywhere changes it everywhere; Back and Forward undo it. Changes of one gesture (a drag, a held key)
// are one entry of the history, written when it ends. Unknown keys of a link are ignored; a param at its initial value is
// not written.

import { batch, effect, signal, type Signal } from '@preact/signals';

/** How a value is written in a link. `parse` gives undefined for what makes no sense. */
export interface Codec<T> {
  write(value: T): string;
  parse(text: string): T | undefined;
}

interface Param {
  signal: Signal<unknown>;
  initial: () => unknown;
  codec: Codec<unknown>;
}

const params = new Map<string, Param>();

/** Version of links. */
const VERSION = '1';

/** The page's id: `summary`, `flame`, … */
export const page = signal('summary');

/** A param; `initial` may depend on the recording, so it is asked each time. A key is of one param: throws where it is taken. */
export function param<T>(key: string, initial: T | (() => T), codec: Codec<T>): Signal<T> {
  if (params.has(key) || key === 'v') throw new Error(`there is a param ${key} already`);
  const first = typeof initial === 'function' ? (initial as () => T) : () => initial;
  const value = signal(first());
  params.set(key, { signal: value as Signal<unknown>, initial: first, codec: codec as Codec<unknown> });
  return value;
}

export const text: Codec<string> = { write: (v) => v, parse: (t) => t };
export const integer: Codec<number> = {
  write: String,
  parse: (t) => (/^\d{1,15}$/.test(t) ? Number(t) : undefined),
};
export const flag: Codec<boolean> = { write: (v) => (v ? '1' : '0'), parse: (t) => t === '1' };
/** One of these words. */
export function oneOf<T extends string>(...words: T[]): Codec<T> {
  return { write: (v) => v, parse: (t) => (words as string[]).includes(t) ? (t as T) : undefined };
}

/** The hash of the present state. */
export function hash(): string {
  const query = new URLSearchParams();
  for (const [key, { signal, initial, codec }] of params) {
    const written = codec.write(signal.value);
    if (written !== codec.write(initial())) query.set(key, written);
  }
  const rest = query.toString();
  return `#/${page.value}?v=${VERSION}${rest ? `&${rest}` : ''}`;
}

/** Sets the state from a hash: what it does not name gets its initial value. */
export function read(from: string): void {
  const match = /^#\/([a-z]+)(?:\?(.*))?$/.exec(from);
  const query = new URLSearchParams(match?.[2] ?? '');
  const known = !query.has('v') || query.get('v') === VERSION;
  batch(() => {
    page.value = match?.[1] ?? 'summary';
    for (const [key, { signal, initial, codec }] of params) {
      const written = known ? query.get(key) : null;
      const parsed = written === null ? undefined : codec.parse(written);
      signal.value = parsed === undefined ? initial() : parsed;
    }
  });
}

/** The value of a key in a hash, before it is read; null where it is not there. */
export function peek(from: string, key: string): string | null {
  return new URLSearchParams(/^#\/[a-z]+\?(.*)$/.exec(from)?.[1] ?? '').get(key);
}

const inGesture = signal('');

/** From here on, until `endGesture`, all changes are one entry of the history: it is written when the gesture ends. */
export function gesture(name: string): void {
  inGesture.value = name;
}

/** Ends the gesture of a name; without one, whichever it is. */
export function endGesture(name = inGesture.peek()): void {
  if (name === inGesture.peek()) inGesture.value = '';
}

/**
 * Begins to write the state into the URL and to follow Back and Forward. Call once, when all params have their values.
 * `arrive` sets the state from a hash, perhaps after data were fetched, and says whether it did: a newer one may have come.
 */
export function follow(arrive: (hash: string) => Promise<boolean>): void {
  write(false);
  let reading = 0;
  effect(() => {
    const now = hash();
    if (inGesture.value === '' && reading === 0 && now !== location.hash) write(true);
  });
  const back = async () => {
    reading++;
    endGesture();
    const arrived = await arrive(location.hash);
    reading--;
    if (arrived && hash() !== location.hash) write(false);
  };
  addEventListener('popstate', back);
  addEventListener('hashchange', () => location.hash !== hash() && back());
}

function write(entry: boolean): void {
  try {
    if (entry) history.pushState(null, '', hash());
    else history.replaceState(null, '', hash());
  } catch {
    // Browsers refuse more than some hundred entries in a few seconds: the next change is written again.
  }
}
