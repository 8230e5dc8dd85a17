// The live blocks in order of birth: all, and those of each stack. As crates/heaptape-report/src/page/coded/live.rs.

/** No block. */
export const NONE = 0xffffffff;

/** Words of a block that are asked for together, and so lie together: memory is slow. */
export const WORDS = 8;
/** The stack while it is live, the room, the block below it in its pool; before them two neighbours in each of two chains. */
export const STACK = 4;
export const ROOM = 5;
export const BELOW = 6;

/** Blocks in order of birth, in lists that each has one of. */
export class Chain {
  readonly #words: Uint32Array;
  /** Where among a block's words the older neighbour stands; the younger one stands behind. */
  readonly #older: number;
  /** By list. */
  readonly youngest: Uint32Array;
  readonly oldest: Uint32Array;
  /** By list: the neighbours of the one that ended last. */
  readonly besideOlder: Uint32Array;
  readonly besideYounger: Uint32Array;

  /** `nth`: 0 or 1, of the chains of these words. */
  constructor(words: Uint32Array, nth: number, lists: number) {
    this.#words = words;
    this.#older = nth * 2;
    const none = () => new Uint32Array(lists).fill(NONE);
    [this.youngest, this.oldest] = [none(), none()];
    [this.besideOlder, this.besideYounger] = [none(), none()];
  }

  older(block: number): number {
    return this.#words[block * WORDS + this.#older]!;
  }

  younger(block: number): number {
    return this.#words[block * WORDS + this.#older + 1]!;
  }

  begin(list: number, block: number): void {
    const words = this.#words;
    const own = this.#older;
    const before = this.youngest[list]!;
    this.youngest[list] = block;
    words[block * WORDS + own] = before;
    words[block * WORDS + own + 1] = NONE;
    if (before === NONE) this.oldest[list] = block;
    else words[before * WORDS + own + 1] = block;
  }

  end(list: number, block: number): void {
    const words = this.#words;
    const own = this.#older;
    const older = words[block * WORDS + own]!;
    const younger = words[block * WORDS + own + 1]!;
    if (older === NONE) this.oldest[list] = younger;
    else words[older * WORDS + own + 1] = younger;
    if (younger === NONE) this.youngest[list] = older;
    else words[younger * WORDS + own] = older;
    this.besideOlder[list] = older;
    this.besideYounger[list] = younger;
  }
}
