// The colours of modules in a flame graph: those of other pages first, then the modules that only lie on the way.

import type { ProcessData } from '../../data/types.ts';
import { categories, OTHER } from '../../ui/colour.ts';

const known = new WeakMap<ProcessData, Promise<Map<number, number>>>();

/** Module → category. Of the modules without a call site, the heaviest at the peak of the run come first. */
export function moduleColours(data: ProcessData): Promise<Map<number, number>> {
  const asked = known.get(data) ?? rank(data);
  known.set(data, asked);
  return asked;
}

async function rank(data: ProcessData): Promise<Map<number, number>> {
  const { stacks, info } = data;
  const [colours, { bytes }] = await Promise.all([
    categories(data, 'module'),
    data.weigh({ metric: 'peak', t: 0, a: 0, b: info.event_count, q: '' }),
  ]);
  const onTheWay = new Map<number, number>();
  for (let stack = 1; stack < stacks.count; stack++) {
    if (bytes[stack] === 0) continue;
    const modules = new Set<number>();
    for (let at = stack; at > 0; at = stacks.parent[at]!) modules.add(stacks.frames.module[stacks.frame[at]!]!);
    for (const module of modules) onTheWay.set(module, (onTheWay.get(module) ?? 0) + bytes[stack]!);
  }
  const all = new Map(colours);
  for (const [module] of [...onTheWay].sort((x, y) => y[1] - x[1] || x[0] - y[0])) {
    if (all.size < OTHER && !all.has(module)) all.set(module, all.size);
  }
  return all;
}
