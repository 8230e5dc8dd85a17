// What the filter's box offers: its words, and after `fn:`, `file:`, `mod:` and `thread:` what there is in the recording.

import type { ProcessData } from '../data/types.ts';
import { baseName } from '../ui/name.tsx';

export interface Offer {
  word: string;
  does: string;
}

const MOST = 12;

const WORDS: Offer[] = [
  { word: 'fn:', does: 'a function of the backtrace' },
  { word: 'file:', does: 'a source file of the backtrace: src/*.cpp' },
  { word: 'mod:', does: 'a module of the backtrace' },
  { word: 'size:', does: 'asked for: size:>=64Ki, size:100..200' },
  { word: 'life:', does: 'lifetime: life:<1ms' },
  { word: 'age:', does: 'age at T: age:>1s' },
  { word: 'thread:', does: 'the thread that allocated' },
  { word: 'born:', does: 'when it was allocated: born:0.2s..0.4s' },
  { word: 'died:', does: 'when it was freed: died:0.2s..0.4s' },
  { word: 'alive:', does: 'live at a time: alive:0.5s' },
  { word: 'addr:', does: 'address: addr:0x5555..0x6666' },
  { word: 'leaked', does: 'never freed' },
  { word: 'realloc>', does: 'moved by realloc more often than: realloc>3' },
];

/** The word that a caret is in. */
export function wordAt(text: string, caret: number): { from: number; to: number } {
  const from = text.slice(0, caret).search(/\S*$/);
  return { from, to: caret + (/^\S*/.exec(text.slice(caret))?.[0].length ?? 0) };
}

export function completions(text: string, caret: number, data: ProcessData): Offer[] {
  const { from } = wordAt(text, caret);
  const begun = text.slice(from, caret);
  const [, not = '', key, value = ''] = /^(-?)(fn|file|mod|thread):(.*)$/.exec(begun) ?? [];
  if (key === undefined) return WORDS.filter((it) => it.word.startsWith(begun) && it.word !== begun);
  const sought = value.toLowerCase();
  const found = [...values(key, data)].filter(([name]) => name.toLowerCase().includes(sought) && !/\s/.test(name) && name !== value);
  return found.slice(0, MOST).map(([name, does]) => ({ word: `${not}${key}:${name}`, does }));
}

/** Names that a word of this key may have, shortest first, with what tells them apart. */
function values(key: string, { info, stacks: { frames } }: ProcessData): Map<string, string> {
  const found = new Map<string, string>();
  if (key === 'thread') {
    info.threads.forEach((it, k) => found.set(String(it.tid), it.name || `thread ${k + 1}`));
    return found;
  }
  const column = { fn: frames.short, file: frames.file, mod: frames.module }[key]!;
  for (let k = 0; k < frames.count; k++) {
    const name = frames.strings[column[k]!]!;
    const short = key === 'fn' ? name : baseName(name);
    if (short !== '' && !found.has(short)) found.set(short, key === 'fn' ? baseName(frames.strings[frames.file[k]!]!) : name);
  }
  return new Map([...found].sort(([x], [y]) => x.length - y.length || (x < y ? -1 : 1)));
}
