// Stands in for data/connect.ts in the developer's page: `dev.html?blocks=2000000&seed=2&crash=0`.

import type { DataSource } from '../types.ts';
import { syntheticSource } from './synthetic.ts';

export async function connect(): Promise<DataSource> {
  const wishes = new URLSearchParams(location.search);
  return syntheticSource({
    blocks: Number(wishes.get('blocks') ?? 30_000),
    seed: Number(wishes.get('seed') ?? 1),
    crash: wishes.get('crash') !== '0',
  });
}
