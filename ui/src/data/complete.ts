// What may be written where the caret stands in a filter.

import { apiName, KEYS, LEAKS, WORDS } from './filter.ts';
import type { Overview, ProcessInfo, Stacks } from './types.ts';

/** Most offers at once. */
const MOST = 12;

export interface Offers {
  /** What of the text an offer replaces. */
  from: number;
  to: number;
  offers: { text: string; what: string }[];
}

export function complete(text: string, caret: number, stacks: Stacks, info: ProcessInfo, overview: Overview): Offers {
  let from = caret;
  while (from > 0 && !/\s/.test(text[from - 1]!)) from--;
  if (text[from] === '-' && from < caret) from++;
  let to = caret;
  while (to < text.length && !/\s/.test(text[to]!)) to++;
  const word = text.slice(from, caret);
  const colon = word.indexOf(':');
  const offers = colon < 0 ? keys(word) : values(word.slice(0, colon), word.slice(colon + 1), stacks, info, overview);
  return { from, to, offers: offers.slice(0, MOST) };
}

function keys(word: string): Offers['offers'] {
  const all = [
    ...Object.entries(KEYS).map(([key, what]) => ({ text: `${key}:`, what })),
    ...Object.entries(WORDS).map(([text, what]) => ({ text, what })),
  ];
  return all.filter(({ text }) => text.startsWith(word) && text !== word);
}

function values(key: string, begun: string, stacks: Stacks, info: ProcessInfo, overview: Overview): Offers['offers'] {
  const { frames } = stacks;
  const strings = (of: Uint32Array) => [...new Set(of)].map((index) => frames.strings[index]!);
  switch (key) {
    case 'fn':
    case 'site':
      return offered(key, begun, strings(frames.short));
    case 'file':
      return offered(key, begun, strings(frames.file).map((path) => path.slice(path.lastIndexOf('/') + 1)));
    case 'mod':
      return offered(key, begun, strings(frames.module));
    case 'thread':
      return offered(key, begun, info.threads.map(({ tid }) => String(tid)), (tid) => info.threads.find((it) => String(it.tid) === tid)!.name);
    case 'leak':
      return offered(key, begun, LEAKS);
    case 'api':
      return offered(key, begun, overview.apis.map(apiName));
    default:
      return [];
  }
}

/** Texts that begin with what is written come first. */
function offered(key: string, begun: string, texts: string[], what: (text: string) => string = () => ''): Offers['offers'] {
  const sought = begun.toLowerCase();
  const found = [...new Set(texts)].filter((text) => text !== '' && text.toLowerCase().includes(sought));
  const rank = (text: string) => Number(!text.toLowerCase().startsWith(sought));
  found.sort((x, y) => rank(x) - rank(y) || x.length - y.length || (x < y ? -1 : 1));
  return found.slice(0, MOST).map((text) => ({ text: `${key}:${/[\s"]/.test(text) ? `"${text.replaceAll('"', '')}"` : text}`, what: what(text) }));
}
