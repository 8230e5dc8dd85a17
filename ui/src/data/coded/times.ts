// When the events of a process happened, told as a story. As crates/heaptape-report/src/page/coded/times.rs.

import type { Columns } from '../columns.ts';
import type { Steps } from '../inpage/slices.ts';
import { Coder } from './coder.ts';
import { Guess, mix, Numbers, slot } from './models.ts';

/** Steps of the clock have their chances by how many bits the one before had, up to these. */
const KINDS = 32;
/** Times from here on are not exact. */
const END = 2 ** 53;
/** Changes of the clock between two rests. */
const STEP = 1 << 12;

/** The columns of a story: docs/page.md, `times`. Walk its steps. */
export function* tellTimes(bytes: Uint8Array, changes: number, unit_ns: number): Steps<Columns['columns']> {
  const coder = new Coder(bytes);
  const words = () => new Uint32Array(changes);
  const columns = { position: words(), time_lo: words(), time_hi: words() };
  const gaps = new Guess();
  const gapNumbers = new Numbers(1);
  const steps = new Numbers(KINDS);
  let [position, time, sum, gap, step] = [0, 0, changes, 0, 0];
  for (let row = 0; row < changes; row++) {
    const guess = gaps.read(coder, slot(gap, 0));
    gap = guess < 0 ? gapNumbers.read32(coder, 0) : guess;
    gaps.learn(gap);
    position = (position + gap) >>> 0;
    step = steps.read(coder, Math.min(bitsOf(step), KINDS - 1));
    time += step * unit_ns;
    if (time >= END) throw new Error('its story is damaged');
    sum = mix(mix(mix(sum, gap), step), step / 2 ** 32);
    columns.position[row] = position;
    columns.time_lo[row] = time;
    columns.time_hi[row] = time / 2 ** 32;
    if (row % STEP === 0) yield;
  }
  coder.check(sum);
  return columns;
}

/** How many bits a number has. */
function bitsOf(number: number): number {
  return number < 2 ** 32 ? 32 - Math.clz32(number) : 64 - Math.clz32(number / 2 ** 32);
}
