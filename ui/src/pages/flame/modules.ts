// The colours of modules in a flame graph: those that fill most of it have colours of their own.

import type { ProcessData } from '../../data/types.ts';
import { wholeRunWeights } from '../../state/weights.ts';
import { byRank } from '../../ui/colour.ts';

const known = new WeakMap<ProcessData, Promise<Map<number, number>>>();

/** Module → category, by the area of its frames: of bytes live at the peak of the run, and of those never freed. */
export function moduleColours(data: ProcessData): Promise<Map<number, number>> {
  const asked = known.get(data) ?? rank(data);
  known.set(data, asked);
  return asked;
}

async function rank(data: ProcessData): Promise<Map<number, number>> {
  const { stacks } = data;
  const [peak, leaked] = await Promise.all([wholeRunWeights(data, 'peak'), wholeRunWeights(data, 'leaked')]);
  const area = new Map<number, number>();
  for (let stack = 1; stack < stacks.count; stack++) {
    const bytes = peak.bytes[stack]! + leaked.bytes[stack]!;
    if (bytes === 0) continue;
    for (let at = stack; at > 0; at = stacks.parent[at]!) {
      const module = stacks.frames.module[stacks.frame[at]!]!;
      area.set(module, (area.get(module) ?? 0) + bytes);
    }
  }
  return byRank(area);
}
