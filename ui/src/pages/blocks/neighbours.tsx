// The blocks before and after one at T, and what is at its own place then.

import { useQuery } from '../../state/query.ts';
import { data, select, t } from '../../state/state.ts';
import { time } from '../../ui/units.ts';
import { blocksOf, isLive, startOf, type Block } from './block.ts';
import { Neighbourhood, withHoles, type Brick } from './neighbourhood.tsx';

/** On each side. */
const NEIGHBOURS = 2;
const NEAREST = 1 << 10;
const FARTHEST = 1 << 26;

export function Neighbours({ block }: { block: Block }) {
  const answer = useQuery((signal) => around(block, t.value, signal), [block.id]);
  const { value, error } = answer.value;
  return (
    <section class="detail-part" aria-label="Neighbours">
      <h3>Neighbours <span class="muted">at T = {time(data.value.times.of(t.value))}</span></h3>
      {error !== '' && <p class="failure">{error}</p>}
      {value && <Neighbourhood bricks={value} onOpen={(id) => id !== block.id && select('block', id)} label="Blocks around this one, lower addresses left" />}
    </section>
  );
}

/** A block and what lies around it at a position. */
export async function around(block: Place, position: number, signal: AbortSignal): Promise<Brick[]> {
  const end = block.addr + Math.max(1, block.size);
  let found: Block[] = [];
  for (let reach = NEAREST; reach <= FARTHEST; reach *= 16) {
    const { rows, too_many } = await data.value.live(position, Math.max(0, block.addr - reach), end + reach, 4096, signal);
    if (too_many) break;
    found = blocksOf(rows);
    if (found.some((it) => it.addr < block.addr) && found.some((it) => it.addr >= end)) break;
  }
  return bricks(block, found, position);
}

/** As much of a block as its neighbours must know. */
export type Place = Pick<Block, 'id' | 'addr' | 'size' | 'born' | 'died' | 'inherited'>;

function bricks(block: Place, live: Block[], position: number): Brick[] {
  const end = block.addr + Math.max(1, block.size);
  const there = live.filter((it) => it.addr < end && it.addr + Math.max(1, it.size) > block.addr);
  const before = live.filter((it) => it.addr < block.addr && !there.includes(it)).slice(-NEIGHBOURS);
  const after = live.filter((it) => it.addr >= end).slice(0, NEIGHBOURS);
  const brick = (it: Block): Brick => ({ kind: 'live', id: it.id, addr: it.addr, size: it.size, main: it.id === block.id });
  // Not live at T: the place of it that nobody else has.
  const ghost: Brick = { kind: position < startOf(block) ? 'hole' : 'freed', id: block.id, addr: block.addr, size: block.size, main: true };
  const own = isLive(block, position) || there.length > 0 ? there.map(brick) : [ghost];
  return withHoles([...before.map(brick), ...own, ...after.map(brick)]);
}
