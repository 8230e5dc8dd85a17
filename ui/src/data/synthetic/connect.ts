// Stands in for data/connect.ts in the developer's page: `dev.html?blocks=2000000&seed=2&crash=0&second=3`; `second` is the
// seed of a recording to compare with.

import type { DataSource } from '../types.ts';
import { syntheticSource } from './synthetic.ts';

export async function connect(): Promise<DataSource> {
  const wishes = new URLSearchParams(location.search);
  const recording = (seed: number) =>
    syntheticSource({ blocks: Number(wishes.get('blocks') ?? 30_000), seed, crash: wishes.get('crash') !== '0' });
  const first = recording(Number(wishes.get('seed') ?? 1));
  const second = wishes.get('second');
  return second === null ? first : { ...first, other: recording(Number(second)) };
}
