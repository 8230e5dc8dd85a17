// The words of the filter (ui.md 4.8). To be filled in: for now any text is sought in functions, files and modules.

import type { BlockTable } from './inpage/blocks.ts';
import type { ProcessInfo, Stacks, Times } from './types.ts';

export interface Filter {
  words: string[];
}

export interface WrongToken {
  from: number;
  to: number;
  message: string;
}

export function parseFilter(text: string): { filter: Filter; wrong: WrongToken | null } {
  return { filter: { words: text.split(/\s+/).filter((word) => word !== '') }, wrong: null };
}

export function evaluate(filter: Filter, blocks: BlockTable, stacks: Stacks, _t: Times, _i: ProcessInfo, _at: number): Uint8Array {
  const { frames } = stacks;
  const texts = (f: number) => [frames.name[f], frames.file[f], frames.module[f]].map((s) => frames.strings[s!]!);
  const matching = new Uint8Array(stacks.count);
  const words = filter.words.map((word) => word.replace(/^(fn|file|mod):/, ''));
  for (let s = 1; s < stacks.count; s++) {
    const own = words.every((word) => texts(stacks.frame[s]!).some((text) => text.includes(word)));
    matching[s] = own || matching[stacks.parent[s]!] ? 1 : 0;
  }
  return Uint8Array.from(blocks.stack, (s) => matching[s]!);
}
