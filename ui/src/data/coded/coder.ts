// The reader of a range coder: crates/heaptape-report/src/page/coded/coder.rs writes. docs/page.md, Stories.

/** Chances by number: 65536ths of a yes, times 256, and how many decisions there were, up to MOST. */
export type Chances = Int32Array;

/** From here on old decisions count less and less. */
const MOST = 20;
/** How far a decision moves its chance, after so many before: 1 / (seen + 1.6), in 65536ths. */
const STEPS = Int32Array.from({ length: MOST + 1 }, (_, seen) => Math.floor(655_360 / (10 * seen + 16)));
/** How much a narrow place counts after so many decisions, in 16384ths: as them, where a wide one counts as two. */
const SHARES = Int32Array.from({ length: MOST + 1 }, (_, seen) => Math.floor((seen << 14) / (seen + 2)));
const EVEN = 0x8000 << 8;
/** The range is below 2^30: such numbers need no box. */
const WIDE = 2 ** 30 - 1;
/** Below this it is widened by a byte. */
const NARROW = 1 << 22;

export function chances(count: number): Chances {
  return new Int32Array(count).fill(EVEN);
}

/** A chance after a decision. */
function moved(known: number, yes: boolean): number {
  const chance = known >> 8;
  const seen = known & 0xff;
  const step = STEPS[seen]!;
  const to = yes ? chance + (Math.imul(65535 - chance, step) >>> 16) : chance - (Math.imul(chance, step) >>> 16);
  return (to << 8) | (seen < MOST ? seen + 1 : MOST);
}

export class Coder {
  readonly #bytes: Uint8Array;
  #at = 0;
  #range = WIDE;
  #code = 0;
  /** Of a decision that has no place of its own. */
  readonly #once = chances(1);

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    for (let nth = 0; nth < 5; nth++) this.#shift();
  }

  /** A decision: 1 is yes. */
  decide(of: Chances, place: number): number {
    const known = of[place]!;
    const chance = known >> 8;
    const seen = known & 0xff;
    const step = STEPS[seen]!;
    const more = seen < MOST ? seen + 1 : MOST;
    const bound = Math.imul(this.#range >> 15, chance >> 1);
    if (this.#code < bound) {
      of[place] = ((chance + (Math.imul(65535 - chance, step) >>> 16)) << 8) | more;
      this.#range = bound;
      if (bound < NARROW) this.#widen();
      return 1;
    }
    of[place] = ((chance - (Math.imul(chance, step) >>> 16)) << 8) | more;
    this.#code -= bound;
    const range = (this.#range -= bound);
    if (range < NARROW) this.#widen();
    return 0;
  }

  /** A decision of even chance, of which nothing is learnt. */
  toss(): number {
    this.#once[0] = EVEN;
    return this.decide(this.#once, 0);
  }

  /** A decision by two places, the narrower first: that is believed once it knows something. They may be the same. */
  decideBy(of: Chances, narrow: number, wide: number): number {
    if (narrow === wide) return this.decide(of, narrow);
    const known = of[narrow]!;
    const beside = of[wide]!;
    const both = (beside >> 8) + (Math.imul((known >> 8) - (beside >> 8), SHARES[known & 0xff]!) >> 14);
    const bound = Math.imul(this.#range >> 15, both >> 1);
    const yes = this.#code < bound;
    of[narrow] = moved(known, yes);
    of[wide] = moved(beside, yes);
    if (yes) this.#range = bound;
    else {
      this.#code -= bound;
      this.#range -= bound;
    }
    if (this.#range < NARROW) this.#widen();
    return yes ? 1 : 0;
  }

  /** Reads the sum of all that was said before, and compares. */
  check(sum: number): void {
    let read = 0;
    for (let nth = 0; nth < 32; nth++) read = (read << 1) | this.toss();
    if (read !== sum) throw new Error('its story is damaged');
  }

  #widen(): void {
    do {
      this.#shift();
      this.#range <<= 8;
    } while (this.#range < NARROW);
  }

  #shift(): void {
    if (this.#at >= this.#bytes.length) throw new Error('its story is cut off');
    this.#code = ((this.#code << 8) | this.#bytes[this.#at++]!) & WIDE;
  }
}
