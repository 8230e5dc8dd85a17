// The blocks of a process, told as the story of their events. As crates/heaptape-report/src/page/coded/story.rs.

import type { Columns } from '../columns.ts';
import type { Steps } from '../inpage/slices.ts';
import { chances, Coder } from './coder.ts';
import { Heap } from './heap.ts';
import { Chain, NONE, ROOM, STACK, WORDS } from './live.ts';
import { bits, bitsBy, Guess, Guesses, mix, Numbers, slot } from './models.ts';

/** Threads whose past is told apart. */
const THREADS = 256;
/** Places of chances that are many; those beyond begin again. */
const PLACES = 1 << 18;
/** Longer ways are not walked. */
const WALK = 32;
/** The rank of the event that began an inherited block. */
const INHERITED = 0xffffffff;
/** Tokens of a thread that are remembered. */
const PAST = 3;
/** Events between two rests. */
const STEP = 1 << 13;

/** What is known before the story. */
interface Extent {
  blocks: number;
  /** Of these: inherited ones, the first; freed ones. */
  inherited: number;
  freed: number;
  /** One more than the largest number of a stack. */
  stacks: number;
  /** One more than the largest number of a thread. */
  threads: number;
}

/** The columns of a story: docs/page.md, `blocks`. Walk its steps. */
export function* tell(bytes: Uint8Array, extent: Extent): Steps<Columns['columns']> {
  const story = new Story(bytes, extent);
  const events = extent.blocks + extent.freed;
  for (let nth = 0; nth < events; nth++) {
    story.event();
    if (nth % STEP === 0) yield;
  }
  story.finish();
  return story.columns;
}

class Story {
  readonly columns;
  readonly #coder: Coder;
  readonly #extent: Extent;
  /** Rank of the last event; of the first one what is before 0. */
  #rank = 0xffffffff;
  /** Of all that was said so far. */
  #sum = 0;
  #begun = 0;
  /** The last two threads. */
  #last = 0;
  #before = 0;
  /** Events that follow without a gap. */
  #run = 0;
  /** Whether the last begins were of new stacks. */
  #news = 0;
  #highest = 0;
  /** Bytes of the block that began last. */
  #size = 0;
  /** By thread: what it did last, the newest first. */
  readonly #past = new Uint32Array(THREADS * PAST);
  /** More of it, mixed: each token moves the older ones up, until they drop out. */
  readonly #narrow = new Int32Array(THREADS);
  /** By thread: the block that it began last. */
  readonly #lastBegun = new Uint32Array(THREADS).fill(NONE);
  /** By stack: bytes of its last block; the last two ways in which the block that ended was found. */
  readonly #sizes: Uint32Array;
  readonly #ways: Uint8Array;
  /** Of each block what is asked for together. */
  readonly #words: Uint32Array;
  readonly #live: Chain;
  readonly #liveOf: Chain;
  readonly #heap: Heap;
  /** By neighbour: whether it was that which ended, the last eight times. */
  readonly #neighbours = new Uint8Array(4);
  readonly #rows = new Uint32Array(6);

  readonly #threadGuesses = new Guess();
  readonly #threadBits = chances(1 << 16);
  readonly #ranks = new Numbers(2);
  readonly #tokens = new Guesses();
  readonly #neighbourChances = chances(4 << 8);
  readonly #endChances = chances(2);
  readonly #newChances = chances(16);
  readonly #new = new Numbers(1);
  readonly #tokenBits = chances(4 * PLACES);
  readonly #which = chances(PLACES);
  readonly #far = new Numbers(3);
  readonly #apis = new Guess();
  readonly #apiBits = chances(1 << 8);
  readonly #sizeGuesses = new Guesses();
  readonly #sizeNumbers = new Numbers(32);
  readonly #usables = new Guess();
  readonly #usable = new Numbers(1);
  readonly #freed = new Guesses();
  readonly #freedBits = chances(PLACES);
  readonly #ends = new Guess();
  readonly #endBits = chances(1 << 16);

  constructor(bytes: Uint8Array, extent: Extent) {
    const { blocks, stacks } = (this.#extent = extent);
    this.#coder = new Coder(bytes);
    const words = () => new Uint32Array(blocks);
    this.columns = {
      born: words(), stack: words(), life: words(), freed_stack: words(), size_lo: words(), usable: words(), addr_lo: words(), addr_hi: words(),
      thread: new Uint16Array(blocks), freed_thread: new Uint16Array(blocks),
      api: new Uint8Array(blocks), flags: new Uint8Array(blocks), leak: new Uint8Array(blocks),
    };
    this.#sizes = new Uint32Array(stacks);
    this.#ways = new Uint8Array(stacks);
    this.#words = new Uint32Array(blocks * WORDS);
    this.#live = new Chain(this.#words, 0, 1);
    this.#liveOf = new Chain(this.#words, 1, stacks);
    this.#heap = new Heap(this.#words);
  }

  event(): void {
    const thread = this.#readThread();
    const inherited = this.#begun < this.#extent.inherited;
    if (!inherited) this.#rank = this.#readRank();
    const token = this.#readToken(thread % THREADS);
    const stack = token >>> 1;
    if (stack >= this.#extent.stacks) throw new Error('its story is damaged');
    if (token & 1) this.#end(this.#readWhich(stack), stack, thread);
    else this.#begin(stack, thread, inherited ? INHERITED : this.#rank);
  }

  /** What is known of blocks that nothing ended, and the end. */
  finish(): void {
    const { born, life, thread, freed_thread } = this.columns;
    for (let row = this.#live.oldest[0]!; row !== NONE; row = this.#live.younger(row)) {
      this.#readEnd(row, this.#stackOf(row), 2);
      freed_thread[row] = thread[row]!;
      // As if nothing: below.
      life[row] = born[row]!;
    }
    for (let row = 0; row < life.length; row++) life[row]! -= born[row]!;
    this.#coder.check(this.#sum);
  }

  #readThread(): number {
    if (this.#extent.threads === 1) return 0;
    let thread = this.#threadGuesses.read(this.#coder, slot(this.#last, this.#before));
    if (thread < 0) thread = bits(this.#coder, this.#threadBits, 0, 16);
    this.#threadGuesses.learn(thread);
    this.#before = this.#last;
    return (this.#last = thread);
  }

  /** Nearly every event is one of a block: so said is how many follow each other. */
  #readRank(): number {
    if (this.#run > 0) {
      this.#run--;
      return (this.#rank + 1) >>> 0;
    }
    const gap = this.#ranks.read32(this.#coder, 0);
    this.#run = this.#ranks.read(this.#coder, 1);
    return (this.#rank + gap) >>> 0;
  }

  /** A block of a stack begins (even), or one ends (odd). */
  #readToken(own: number): number {
    const past = this.#past;
    const at = own * PAST;
    const older = this.#live.besideOlder[0]!;
    const younger = this.#live.besideYounger[0]!;
    const youngest = this.#live.youngest[0]!;
    const last = past[at]!;
    const beside = mix(this.#label(older), this.#label(youngest));
    let token = this.#tokens.read(this.#coder, this.#narrow[own]! >>> 16, slot(mix(last, past[at + 1]!), beside), slot(last, 0));
    if (token < 0) token = this.#readNeighbour(older, younger, youngest);
    if (token < 0) token = this.#readOther(last);
    this.#tokens.learn(token);
    if ((token & 1) === 0 && token >>> 1 > this.#highest) this.#highest = token >>> 1;
    past[at + 2] = past[at + 1]!;
    past[at + 1] = last;
    past[at] = token;
    this.#narrow[own] = Math.imul(this.#narrow[own]! << 5, 0x9e3779b1) ^ mix(token, 0);
    return token;
  }

  /** The stack of a block, from 1; 0 of none. */
  #label(row: number): number {
    return row === NONE ? 0 : this.#stackOf(row) + 1;
  }

  /** While it is live. */
  #stackOf(row: number): number {
    return this.#words[row * WORDS + STACK]!;
  }

  /** One of some blocks ends; -1: of none of their stacks one does. */
  #readNeighbour(older: number, younger: number, youngest: number): number {
    const rows = this.#rows;
    rows[0] = older;
    rows[1] = younger;
    rows[2] = youngest;
    rows[3] = older === NONE ? NONE : this.#live.older(older);
    for (let nth = 0; nth < 4; nth++) {
      const row = rows[nth]!;
      if (row === NONE) continue;
      const stack = this.#stackOf(row);
      const guess = ((stack << 1) | 1) >>> 0;
      let said = this.#tokens.wasWrong(guess);
      for (let other = 0; other < nth; other++) said ||= rows[other] !== NONE && this.#stackOf(rows[other]!) === stack;
      if (said) continue;
      const right = this.#coder.decide(this.#neighbourChances, (nth << 8) | this.#neighbours[nth]!);
      this.#neighbours[nth] = (this.#neighbours[nth]! << 1) | right;
      if (right) return guess;
    }
    return -1;
  }

  #readOther(last: number): number {
    const coder = this.#coder;
    const ends = coder.decide(this.#endChances, last & 1);
    if (!ends) {
      const isNew = coder.decide(this.#newChances, this.#news);
      this.#news = ((this.#news << 1) & 15) | isNew;
      if (isNew) return ((this.#highest + this.#new.read32(coder, 0)) << 1) >>> 0;
    }
    const count = 32 - Math.clz32(this.#highest);
    const low = Math.min(count, 8);
    // By the last token, and by none.
    const place = mix(last, ends);
    const wide = mix(0, ends);
    const high = bitsBy(coder, this.#tokenBits, placeOf(place), placeOf(wide), count - low);
    const stack = (high << low) | bitsBy(coder, this.#tokenBits, placeOf(mix(place, high + 1)), placeOf(mix(wide, high + 1)), low);
    return ((stack << 1) | ends) >>> 0;
  }

  /** Which block of a stack ends. */
  #readWhich(stack: number): number {
    const own = this.#liveOf;
    const youngest = own.youngest[stack]!;
    if (youngest === own.oldest[stack]) {
      if (youngest === NONE) throw new Error('its story is damaged');
      return youngest;
    }
    const rows = this.#rows;
    rows[0] = this.#live.besideOlder[0]!;
    rows[1] = this.#live.besideYounger[0]!;
    rows[2] = own.besideOlder[stack]!;
    rows[3] = own.besideYounger[stack]!;
    rows[4] = youngest;
    rows[5] = own.oldest[stack]!;
    const ways = this.#ways[stack]!;
    for (let nth = 0; nth < 6; nth++) {
      const row = rows[nth]!;
      if (row === NONE || this.#stackOf(row) !== stack) continue;
      let said = false;
      for (let other = 0; other < nth; other++) said ||= rows[other] === row;
      if (said) continue;
      if (this.#coder.decide(this.#which, ((stack << 7) | (ways << 3) | nth) & (PLACES - 1))) {
        this.#ways[stack] = ((ways << 2) & 15) | (nth < 4 ? nth & 1 : 2);
        return row;
      }
    }
    const row = this.#readOlder(youngest, rows[2] === NONE ? youngest : rows[2]!);
    this.#ways[stack] = ((ways << 2) & 15) | 3;
    if (!(row >= 0 && row < this.#begun) || this.#stackOf(row) !== stack) throw new Error('its story is damaged');
    return row;
  }

  /** A block of a stack by how many younger ones there are; where these are many, by its distance from another one. */
  #readOlder(youngest: number, near: number): number {
    const steps = this.#far.read(this.#coder, 0);
    if (steps >= WALK) {
      const younger = this.#coder.toss();
      const distance = this.#far.read32(this.#coder, 1 + younger);
      return younger ? near + distance : near - distance;
    }
    let row = youngest;
    for (let nth = 0; nth < steps && row !== NONE; nth++) row = this.#liveOf.older(row);
    return row;
  }

  #begin(stack: number, thread: number, born: number): void {
    const row = this.#begun++;
    if (row >= this.#extent.blocks) throw new Error('its story is damaged');
    const coder = this.#coder;
    const columns = this.columns;
    const own = thread % THREADS;
    columns.born[row] = born;
    columns.stack[row] = stack;
    columns.thread[row] = thread;
    let api = this.#apis.read(coder, slot(stack, 0));
    if (api < 0) api = bits(coder, this.#apiBits, 0, 8);
    this.#apis.learn(api);
    columns.api[row] = api;

    const ofStack = mix(stack, this.#sizes[stack]!);
    const past = mix(mix(this.#past[own * PAST + 1]!, this.#past[own * PAST + 2]!), this.#size);
    let size = this.#sizeGuesses.read(coder, slot(ofStack, past), ofStack >>> 16, slot(stack, 0));
    if (size < 0) size = this.#sizeNumbers.read32(coder, stack % 32);
    this.#sizeGuesses.learn(size);
    columns.size_lo[row] = this.#sizes[stack] = this.#size = size;

    let more = this.#usables.read(coder, slot(size, 0));
    if (more < 0) more = this.#usable.read32(coder, 0);
    this.#usables.learn(more);
    columns.usable[row] = size + more;

    // What an allocator has for it.
    const room = Math.max(columns.usable[row]!, size, 24);
    this.#words[row * WORDS + ROOM] = room;
    const address = this.#heap.begin(coder, row, thread, room);
    columns.addr_lo[row] = address;
    columns.addr_hi[row] = address / 2 ** 32;
    this.#add(this.#rank, stack, (thread << 8) | api);
    this.#add(size, more, columns.addr_lo[row]!);
    this.#sum = mix(this.#sum, columns.addr_hi[row]!);
    this.#live.begin(0, row);
    this.#liveOf.begin(stack, row);
    this.#words[row * WORDS + STACK] = stack;
    this.#lastBegun[own] = row;
  }

  #end(row: number, stack: number, thread: number): void {
    const columns = this.columns;
    const own = thread % THREADS;
    // Less its birth in the end: so that is not looked for here.
    columns.life[row] = this.#rank;
    if (thread !== 0) columns.freed_thread[row] = thread;
    const before = mix(stack, this.#past[own * PAST + 1]!);
    let freed = this.#freed.read(this.#coder, slot(before, this.#past[own * PAST + 2]!), before >>> 16, slot(stack, 0));
    if (freed < 0) freed = bits(this.#coder, this.#freedBits, 0, 32 - Math.clz32(this.#extent.stacks));
    this.#freed.learn(freed);
    if (freed !== 0) columns.freed_stack[row] = freed;
    this.#add(this.#rank, row, freed);
    this.#sum = mix(this.#sum, thread);
    this.#readEnd(row, stack, this.#lastBegun[own] === row ? 1 : 0);
    this.#live.end(0, row);
    this.#liveOf.end(stack, row);
    this.#words[row * WORDS + STACK] = NONE;
    this.#heap.end(row, thread);
  }

  /** Adds what was said to the sum. */
  #add(first: number, second: number, third: number): void {
    this.#sum = mix(mix(mix(this.#sum, first), second), third);
  }

  /** What is known when it has ended, or all has. `how`: 1 if it ended before anything else of its thread began. */
  #readEnd(row: number, stack: number, how: number): void {
    let end = this.#ends.read(this.#coder, slot(stack, how));
    if (end < 0) end = bits(this.#coder, this.#endBits, 0, 16);
    this.#ends.learn(end);
    this.#sum = mix(this.#sum, end);
    if (end === 0) return;
    this.columns.flags[row] = end;
    this.columns.leak[row] = end >>> 8;
  }
}

/** Where chances begin that are for a context of a token. */
function placeOf(context: number): number {
  return (context >>> 12) & ~0xff;
}
