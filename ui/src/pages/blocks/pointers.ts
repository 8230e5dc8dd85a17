// Where words of memory lead: into a block that was live then, to where a freed one was, into a module.

import type { ProcessData } from '../../data/types.ts';
import { source } from '../../state/state.ts';
import { baseName } from '../../ui/name.tsx';
import { blockAt, startOf } from './block.ts';

export type Target =
  | { kind: 'live' | 'freed'; id: number; offset: number }
  | { kind: 'module'; name: string; offset: number };

/** Blocks that held an address, newest last, that are looked through for the one of a moment. */
const HISTORY = 64;

/** Whether a word may be an address of user space at all. */
export function looksLikeAddress(word: bigint): boolean {
  return word >= 0x10000n && word < 1n << 47n;
}

/** Where an address led at a position; `null`: nowhere that is known. */
export async function follow(data: ProcessData, word: number, position: number, signal: AbortSignal): Promise<Target | null> {
  const { rows } = await data.live(position, word, word + 1, 8, signal);
  if (rows.count > 0) return { kind: 'live', id: rows.id[0]!, offset: word - rows.addr[0]! };
  const module = moduleAt(data.info.id, word);
  if (module) return module;
  const before = await data.history(word, HISTORY, signal);
  for (let k = before.count - 1; k >= 0; k--) {
    const block = blockAt(before, k);
    if (startOf(block) <= position) return { kind: 'freed', id: block.id, offset: word - block.addr };
  }
  return null;
}

function moduleAt(process: number, word: number): Target | null {
  const processes: any[] = source.value.overview.info?.processes ?? [];
  const modules: { path: string; start: string; end: string }[] = processes.find((it) => it.number === process)?.modules ?? [];
  const found = modules.find((it) => Number(it.start) <= word && word < Number(it.end));
  return found ? { kind: 'module', name: baseName(found.path), offset: word - Number(found.start) } : null;
}
