// The backtraces of a process, told as the story of their tree. As crates/heaptape-report/src/page/coded/stacks.rs.

import type { Columns } from '../columns.ts';
import type { Steps } from '../inpage/slices.ts';
import { chances, Coder } from './coder.ts';
import { bits, Guesses, mix, Numbers, slot } from './models.ts';

/** So many callers of the one before are asked at most. */
const CLIMB = 64;
/** Places of chances of a frame that none of the guesses was; those beyond begin again. */
const PLACES = 1 << 18;
/** Backtraces between two rests. */
const STEP = 1 << 12;

/** The columns of a story: docs/page.md, `stacks`. Walk its steps. */
export function* tellStacks(bytes: Uint8Array, count: number): Steps<Columns['columns']> {
  const tree = new Tree(bytes, count);
  for (let row = 1; row < count; row++) {
    tree.next(row);
    if (row % STEP === 0) yield;
  }
  tree.finish();
  return tree.columns;
}

class Tree {
  readonly columns;
  readonly #coder: Coder;
  readonly #back: Uint32Array;
  readonly #frame: Uint32Array;
  /** By backtrace: one more than the frame of the last one that it calls (0: it calls none yet), and how many it calls, up to 3. */
  readonly #called: Uint32Array;
  readonly #calls: Uint8Array;
  /** Whether the last ones were called by the one before; whether the last frames that were not guessed were new; the highest frame. */
  #downs = 0;
  #news = 0;
  #highest = 0;
  /** Of all that was said so far. */
  #sum: number;
  readonly #down = chances(1 << 16);
  readonly #climb = chances(1 << 14);
  readonly #far = new Numbers(1);
  readonly #new = chances(32);
  readonly #above = new Numbers(1);
  readonly #frames = new Guesses();
  readonly #frameBits = chances(PLACES);

  constructor(bytes: Uint8Array, count: number) {
    this.#coder = new Coder(bytes);
    this.#sum = count;
    const back = (this.#back = new Uint32Array(count));
    const frame = (this.#frame = new Uint32Array(count));
    this.#called = new Uint32Array(count);
    this.#calls = new Uint8Array(count);
    this.columns = { back, frame };
  }

  next(row: number): void {
    const back = this.#readBack(row);
    const caller = row - back;
    const frame = this.#readFrame(row, caller);
    this.#sum = mix(mix(this.#sum, back), frame);
    this.#back[row] = back;
    this.#frame[row] = frame;
    this.#called[caller] = frame + 1;
    if (this.#calls[caller]! < 3) this.#calls[caller]!++;
  }

  finish(): void {
    this.#coder.check(this.#sum);
  }

  /** Which one is its caller: the one before, one that called that, or any other. */
  #readBack(row: number): number {
    const coder = this.#coder;
    let at = row - 1;
    const context = mix(this.#frame[at]!, this.#frame[at - this.#back[at]!]!);
    const down = coder.decide(this.#down, ((context >>> 18) << 2) | (this.#downs & 3));
    this.#downs = (this.#downs << 1) | down;
    if (down) return 1;
    for (let nth = 0; nth < CLIMB && at !== 0; nth++) {
      at -= this.#back[at]!;
      const place = ((mix(this.#frame[at]!, this.#called[at]!) >>> 20) << 2) | this.#calls[at]!;
      if (coder.decide(this.#climb, place)) return row - at;
    }
    const back = this.#far.read(coder, 0);
    if (back < 1 || back > row) throw new Error('its story is damaged');
    return back;
  }

  #readFrame(row: number, caller: number): number {
    const below = this.#frame[caller]!;
    const path = mix(below, this.#frame[caller - this.#back[caller]!]!);
    const before = this.#called[caller]!;
    let frame = this.#frames.read(this.#coder, slot(mix(path, this.#frame[row - 1]!), before), slot(below, before), slot(before, 1));
    if (frame < 0) frame = this.#readOtherFrame(below, caller === row - 1);
    this.#frames.learn(frame);
    return frame;
  }

  /** A frame that none of the guesses was: one that is not there yet, or bit by bit. */
  #readOtherFrame(below: number, down: boolean): number {
    const coder = this.#coder;
    const isNew = coder.decide(this.#new, (down ? 16 : 0) | (this.#news & 15));
    this.#news = (this.#news << 1) | isNew;
    if (isNew) return (this.#highest = (this.#highest + this.#above.read32(coder, 0)) >>> 0);
    return bits(coder, this.#frameBits, mix(below, 0) >>> 14, 32 - Math.clz32(this.#highest));
  }
}
