// Addresses, guessed by a small model of an allocator. As crates/heaptape-report/src/page/coded/heap.rs.

import { chances, type Coder } from './coder.ts';
import { BELOW, NONE, ROOM, WORDS } from './live.ts';
import { Guesses, mix, Numbers, slot } from './models.ts';

/** Pools: blocks of one size that one thread freed. */
const POOLS = 1 << 16;
/** So many of a pool are tried, from its top. */
const DEEP = 8;
/** Threads that are told apart. */
const THREADS = 256;
/** Chances of what is tried: by the pool, its last four ways, the last two of its thread, and how full the pool is. */
const PLACES = 1 << 14;
/** Those of one place, which are asked for together, lie in one line of the cache. */
const ROW = 16;
/** All addresses are below. */
const END = 2 ** 53;

/** What is tried, in this order; after ENDED the others of the pool. */
const TOP = 1;
const OTHER_TOP = 2;
const ENDED = 3;
/** None of them. */
const FAR = ENDED + DEEP;
/** What is remembered of all but the first three. */
const OTHERWISE = 3;
/** Distances are mostly multiples of this. */
const UNIT = 16;
/** A step that is none, or too far. */
const NO_STEP = 0;

export class Heap {
  readonly #words: Uint32Array;
  /** By block. */
  readonly #addresses: Float64Array;
  /** By pool. */
  readonly #top = new Uint32Array(POOLS).fill(NONE);
  readonly #blocks = new Uint32Array(POOLS);
  readonly #poolWays = new Uint8Array(POOLS);
  /** By pool: where its last block lay that was found in no way, and the last two steps from such a one to the next. */
  readonly #last = new Float64Array(POOLS);
  readonly #newerStep = new Int32Array(POOLS);
  readonly #olderStep = new Int32Array(POOLS);
  /** By thread: behind the last block that took the place of none, behind such a one elsewhere, the last that it ended. */
  readonly #tops = new Float64Array(THREADS);
  readonly #otherTops = new Float64Array(THREADS);
  readonly #ended = new Float64Array(THREADS);
  readonly #threadWays = new Uint8Array(THREADS);
  readonly #chances = chances(PLACES * ROW + 2);
  readonly #steps = new Guesses();
  readonly #far = new Numbers(4);
  readonly #wrong = new Float64Array(FAR);
  #address = 0;

  /** `words`: of each block, with its room. */
  constructor(words: Uint32Array) {
    this.#words = words;
    this.#addresses = new Float64Array(words.length / WORDS);
  }

  /** The address of a block that a thread begins, of so many bytes of room. */
  begin(coder: Coder, block: number, thread: number, room: number): number {
    const pool = poolOf(thread, room);
    const own = thread % THREADS;
    const found = this.#find(coder, pool, own);
    if (found === FAR) this.#address = this.#readStep(coder, pool, own, room);
    const address = this.#address;
    const way = found < OTHERWISE ? found : OTHERWISE;
    this.#poolWays[pool] = (this.#poolWays[pool]! << 2) | way;
    this.#threadWays[own] = ((this.#threadWays[own]! << 2) & 15) | way;
    if (found === OTHER_TOP || found === FAR) this.#otherTops[own] = this.#tops[own]!;
    if (found === TOP || found === OTHER_TOP || found === FAR) this.#tops[own] = behind(address, room);
    this.#addresses[block] = address;
    return address;
  }

  end(block: number, thread: number): void {
    const pool = poolOf(thread, this.#words[block * WORDS + ROOM]!);
    this.#words[block * WORDS + BELOW] = this.#top[pool]!;
    this.#top[pool] = block;
    this.#blocks[pool]!++;
    this.#ended[thread % THREADS] = this.#addresses[block]!;
  }

  /** Tries what is likely: which it was; the address is left. What is of the pool is taken out of it. */
  #find(coder: Coder, pool: number, own: number): number {
    const ways = (this.#poolWays[pool]! << 8) | (this.#threadWays[own]! << 4);
    const place = mix(ways | Math.min(this.#blocks[pool]!, 9), pool) >>> 18;
    const top = this.#top[pool]!;
    let above = NONE;
    let next = top;
    for (let tried = 0; tried < FAR; tried++) {
      const ofPool = tried === 0 || tried > ENDED;
      let guess: number;
      if (tried === TOP) guess = this.#tops[own]!;
      else if (tried === OTHER_TOP) guess = this.#otherTops[own]!;
      else if (tried === ENDED) guess = this.#ended[own]!;
      else guess = next === NONE ? 0 : this.#addresses[next]!;
      if (guess !== 0 && !this.#wasWrong(guess, tried) && coder.decide(this.#chances, place * ROW + tried)) {
        if (ofPool) this.#take(pool, above, next);
        else if (top !== NONE && this.#addresses[top] === guess) this.#take(pool, NONE, top);
        this.#address = guess;
        return tried;
      }
      this.#wrong[tried] = guess;
      if (ofPool && next !== NONE) {
        above = next;
        next = this.#words[next * WORDS + BELOW]!;
      }
    }
    return FAR;
  }

  #wasWrong(guess: number, tried: number): boolean {
    for (let nth = 0; nth < tried; nth++) if (this.#wrong[nth] === guess) return true;
    return false;
  }

  #take(pool: number, above: number, block: number): void {
    const below = this.#words[block * WORDS + BELOW]!;
    if (above === NONE) this.#top[pool] = below;
    else this.#words[above * WORDS + BELOW] = below;
    this.#blocks[pool]!--;
  }

  /** An address by its step from the last such one of its pool. */
  #readStep(coder: Coder, pool: number, own: number, room: number): number {
    const last = this.#last[pool]!;
    const newer = this.#newerStep[pool]!;
    const older = this.#olderStep[pool]!;
    const guess = this.#steps.read(coder, slot(mix(room, newer), older), slot(newer, older), slot(newer, 0));
    const address = guess > NO_STEP ? last + (guess & 1 ? -((guess + 1) >> 1) : guess >> 1) * UNIT : this.#readFar(coder, own);
    if (address < 0 || address >= END) throw new Error('its story is damaged');
    const step = stepOf((address - last) / UNIT);
    this.#steps.learn(step);
    this.#last[pool] = address;
    this.#olderStep[pool] = newer;
    this.#newerStep[pool] = step;
    return address;
  }

  /** An address by its distance from the top. */
  #readFar(coder: Coder, own: number): number {
    const units = coder.decide(this.#chances, PLACES * ROW);
    const down = coder.decide(this.#chances, PLACES * ROW + 1);
    const distance = this.#far.read(coder, (units << 1) | down) * (units ? UNIT : 1);
    return this.#tops[own]! + (down ? -distance : distance);
  }
}

/** Upwards as even numbers, downwards as odd ones. They stay below 2^30: such numbers need no box. */
function stepOf(units: number): number {
  if (!Number.isInteger(units) || Math.abs(units) >= 1 << 29) return NO_STEP;
  return units < 0 ? -2 * units - 1 : 2 * units;
}

/** Where the allocator's next block would begin; 0: nowhere. */
function behind(address: number, room: number): number {
  const next = address + room + 8;
  return next < END ? next : 0;
}

function poolOf(thread: number, room: number): number {
  return mix(thread, room >>> 4) >>> 16;
}
