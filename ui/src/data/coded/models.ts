// How decisions become numbers: the reader's half of crates/heaptape-report/src/page/coded/models.rs.

import { chances, type Chances, type Coder } from './coder.ts';

/** Mixes a number into another one; the top bits depend on all of both. */
export function mix(a: number, b: number): number {
  const both = Math.imul(a, 0x9e3779b1) ^ b;
  return Math.imul(both ^ (both >>> 15), 0x85ebca6b);
}

/** The slot of a context: a small number, which functions take without a box. */
export function slot(a: number, b: number): number {
  return mix(a, b) >>> 16;
}

/** A number of so many bits, each by those above it. `place`: where its chances begin, in a ring whose size is a power of 2. */
export function bits(coder: Coder, of: Chances, place: number, count: number): number {
  const ring = of.length - 1;
  let path = 1;
  for (let nth = 0; nth < count; nth++) path = (path << 1) | coder.decide(of, (place + path) & ring);
  return path - (1 << count);
}

/** The same by two places, the narrower first. */
export function bitsBy(coder: Coder, of: Chances, narrow: number, wide: number, count: number): number {
  const ring = of.length - 1;
  let path = 1;
  for (let nth = 0; nth < count; nth++) path = (path << 1) | coder.decideBy(of, (narrow + path) & ring, (wide + path) & ring);
  return path - (1 << count);
}

/** Chances of a kind of numbers: 64 for how many bits, 64 for the bits of each. */
const ROOM = 64 + 64 * 64;
/** Larger numbers are not exact. */
const MOST_BITS = 53;

/** Numbers of any size: how many bits they have, then the bits: the highest by those above, the others by their place. */
export class Numbers {
  readonly #chances: Chances;

  constructor(kinds: number) {
    this.#chances = chances(kinds * ROOM);
  }

  read(coder: Coder, kind: number): number {
    const base = kind * ROOM;
    let count = 1;
    for (let nth = 0; nth < 6; nth++) count = (count << 1) | coder.decide(this.#chances, base + count);
    count -= 64;
    if (count > MOST_BITS) throw new Error('its story is damaged');
    if (count === 0) return 0;
    let number = 1;
    for (let nth = count - 2; nth >= 0; nth--) {
      const place = count - 1 - nth <= 4 ? number : 16 + nth;
      number = number * 2 + coder.decide(this.#chances, base + 64 + count * 64 + place);
    }
    return number;
  }

  /** One of 32 bits. */
  read32(coder: Coder, kind: number): number {
    const number = this.read(coder, kind);
    if (number > 0xffffffff) throw new Error('its story is damaged');
    return number;
  }
}

/** Of each context. */
const SLOTS = 1 << 16;
/** A slot has a value; below are the last four times, the newest lowest: whether it was right. */
const KNOWN = 16;

/** A value that comes again where it was before: its context remembers the last one, and how often that was right. */
export class Guess {
  /** By slot: value, how it went. */
  readonly #slots = new Uint32Array(SLOTS * 2);
  readonly #chances = chances(16 * 8);
  #place = 0;

  /** The value, by the slot of its context; -1: it is said otherwise. In any case it is to be learnt. */
  read(coder: Coder, context: number): number {
    const place = (this.#place = context << 1);
    const right = this.#slots[place + 1]!;
    if (right === 0 || !coder.decide(this.#chances, (right & 15) << 3)) return -1;
    return this.#slots[place]!;
  }

  learn(value: number): void {
    learn(this.#slots, this.#place, value);
  }
}

/** A context keeps its value until it was wrong twice. */
function learn(slots: Uint32Array, place: number, value: number): void {
  const before = slots[place + 1]!;
  if (before !== 0 && slots[place] === value) slots[place + 1] = KNOWN | ((before << 1) & 15) | 1;
  else if (before & 1) slots[place + 1] = KNOWN | ((before << 1) & 15);
  else {
    slots[place] = value;
    slots[place + 1] = KNOWN | 1;
  }
}

/** The same of three contexts, the narrowest first. */
export class Guesses {
  /** By slot: value, how it went. */
  readonly #slots = new Uint32Array(3 * SLOTS * 2);
  readonly #chances = chances(3 * 3 * 16 * 8);
  #first = 0;
  #second = 0;
  #third = 0;
  /** What was guessed, and wrong. */
  #wrongs = 0;
  #wrong = 0;
  #wrongToo = 0;
  #wrongLast = 0;

  /** The value, by the slots of its contexts; -1: it is said otherwise. In any case it is to be learnt. */
  read(coder: Coder, narrow: number, wider: number, wide: number): number {
    const slots = this.#slots;
    const first = (this.#first = narrow << 1);
    const second = (this.#second = (SLOTS + wider) << 1);
    const third = (this.#third = (2 * SLOTS + wide) << 1);
    const a = slots[first]!;
    const b = slots[second]!;
    const c = slots[third]!;
    const rightA = slots[first + 1]!;
    const rightB = slots[second + 1]!;
    const rightC = slots[third + 1]!;
    let wrongs = 0;
    this.#wrongs = 0;
    if (rightA !== 0) {
      const agree = (rightB !== 0 && b === a ? 2 : 0) | (rightC !== 0 && c === a ? 1 : 0);
      if (coder.decide(this.#chances, ((rightA & 15) << 3) | agree)) return a;
      this.#wrong = a;
      this.#wrongs = wrongs = 1;
    }
    if (rightB !== 0 && !(wrongs === 1 && a === b)) {
      const agree = rightC !== 0 && c === b ? 1 : 0;
      if (coder.decide(this.#chances, ((((wrongs * 3 + 1) << 4) | (rightB & 15)) << 3) | agree)) return b;
      if (wrongs === 0) this.#wrong = b;
      else this.#wrongToo = b;
      this.#wrongs = ++wrongs;
    }
    if (rightC !== 0 && !this.wasWrong(c)) {
      if (coder.decide(this.#chances, (((wrongs * 3 + 2) << 4) | (rightC & 15)) << 3)) return c;
      if (wrongs === 0) this.#wrong = c;
      else if (wrongs === 1) this.#wrongToo = c;
      else this.#wrongLast = c;
      this.#wrongs = wrongs + 1;
    }
    return -1;
  }

  wasWrong(value: number): boolean {
    const wrongs = this.#wrongs;
    return (wrongs > 0 && value === this.#wrong) || (wrongs > 1 && value === this.#wrongToo) || (wrongs > 2 && value === this.#wrongLast);
  }

  learn(value: number): void {
    learn(this.#slots, this.#first, value);
    learn(this.#slots, this.#second, value);
    learn(this.#slots, this.#third, value);
  }
}
