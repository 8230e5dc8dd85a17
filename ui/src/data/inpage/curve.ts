// Live bytes by position, as steps: at one position, the most and least over a stretch, by clock time.

import type { Envelope, Weight } from '../types.ts';
import { byDeath, type Numbers, type Population } from './blocks.ts';
import type { Steps } from './slices.ts';
import type { TimeTable } from './times.ts';

/** Positions of one part of the index. */
const PART_BITS = 6;

/** A place in the curve: what is live at `position`, and what the next change is. */
interface Place extends Weight {
  position: number;
  /** Blocks that began at or before `position`, and deaths before it. */
  begun: number;
  dead: number;
}

/** Parts that are filled in one step. */
const STEP = 1 << 10;

/** What is live by position, and by time. */
export interface LiveCurve {
  at(position: number): Weight;
  /** The first position of most live bytes in `(a, b]`; `b` where that is empty. */
  peak(a: number, b: number): { position: number } & Weight;
  envelope(from_ns: number, to_ns: number, buckets: number): Envelope;
}

export class Curve implements LiveCurve {
  readonly #events: number;
  readonly #times: TimeTable | null;
  readonly #start: Uint32Array;
  readonly #died: Uint32Array;
  readonly #byDeath: Uint32Array;
  readonly #weightBytes: Numbers;
  readonly #weightBlocks: Float64Array | null;
  readonly #bytes: Float64Array;
  readonly #blocks: Float64Array;
  readonly #begun: Uint32Array;
  readonly #dead: Uint32Array;
  /** Over the positions of the part. */
  readonly #least: Float64Array;
  readonly #most: Float64Array;

  /** Of a population, in steps; without `times` it has no envelope. */
  static *of(population: Population, events: number, times: TimeTable | null = null): Steps<Curve> {
    const curve = new Curve(population, events, times);
    yield;
    const walk: Place = { position: 0, begun: 0, dead: 0, bytes: 0, blocks: 0 };
    for (let part = 0; part < curve.#bytes.length; part += STEP) {
      curve.#fill(walk, part, Math.min(curve.#bytes.length, part + STEP));
      yield;
    }
    return curve;
  }

  private constructor(population: Population, events: number, times: TimeTable | null) {
    this.#events = events;
    this.#times = times;
    this.#start = population.start;
    this.#died = population.died;
    this.#byDeath = byDeath(population, events);
    const { bytes, blocks } = population.weights('live');
    this.#weightBytes = bytes;
    this.#weightBlocks = blocks;
    const parts = (events >>> PART_BITS) + 1;
    this.#bytes = new Float64Array(parts);
    this.#blocks = new Float64Array(parts);
    this.#begun = new Uint32Array(parts);
    this.#dead = new Uint32Array(parts);
    this.#least = new Float64Array(parts);
    this.#most = new Float64Array(parts);
  }

  /** Walks the positions of some parts once; as `#step` does, but this is most of what a page waits for when it opens. */
  #fill(walk: Place, from: number, to: number): void {
    const [start, died, order] = [this.#start, this.#died, this.#byDeath];
    const [weightBytes, weightBlocks] = [this.#weightBytes, this.#weightBlocks];
    let { position, begun, dead, bytes, blocks } = walk;
    for (let part = from; part < to; part++) {
      let [least, most] = [Infinity, -Infinity];
      const next = Math.min(this.#events + 1, (part + 1) << PART_BITS);
      for (let first = true; position < next; position++, first = false) {
        for (; begun < start.length && start[begun] === position; begun++) {
          bytes += weightBytes[begun]!;
          blocks += weightBlocks ? weightBlocks[begun]! : 1;
        }
        if (first) {
          this.#bytes[part] = bytes;
          this.#blocks[part] = blocks;
          this.#begun[part] = begun;
          this.#dead[part] = dead;
        }
        if (bytes < least) least = bytes;
        if (bytes > most) most = bytes;
        for (; dead < order.length && died[order[dead]!] === position; dead++) {
          const block = order[dead]!;
          bytes -= weightBytes[block]!;
          blocks -= weightBlocks ? weightBlocks[block]! : 1;
        }
      }
      this.#least[part] = least;
      this.#most[part] = most;
    }
    Object.assign(walk, { position, begun, dead, bytes, blocks });
  }

  /** What is live at a position. */
  at(position: number): Weight {
    const place = this.#seek(position);
    return { bytes: place.bytes, blocks: place.blocks };
  }

  peak(a: number, b: number): { position: number } & Weight {
    const first = Math.min(a + 1, b);
    const most = this.range(first, b).most;
    const place = this.#seek(first);
    while (place.position < b && place.bytes < most) {
      const part = place.position >>> PART_BITS;
      const next = (part + 1) << PART_BITS;
      if (place.position === part << PART_BITS && this.#most[part]! < most && next <= b) this.#load(place, part + 1);
      else this.#step(place);
    }
    return { position: place.position, bytes: place.bytes, blocks: place.blocks };
  }

  /** Least and most live bytes at the positions from `first` to `last`, and those at `last`. */
  range(first: number, last: number): { least: number; most: number; last: number } {
    const place = this.#seek(first);
    let [least, most] = [place.bytes, place.bytes];
    while (place.position < last) {
      const part = place.position >>> PART_BITS;
      const next = (part + 1) << PART_BITS;
      if (place.position === part << PART_BITS && next <= last) {
        least = Math.min(least, this.#least[part]!);
        most = Math.max(most, this.#most[part]!);
        this.#load(place, part + 1);
      } else {
        this.#step(place);
      }
      if (place.bytes < least) least = place.bytes;
      if (place.bytes > most) most = place.bytes;
    }
    return { least, most, last: place.bytes };
  }

  /** By buckets of clock time, as `heaptape summary` cuts them: a time's bucket is `⌊(time − from) × buckets / span⌋`. */
  envelope(from_ns: number, to_ns: number, buckets: number): Envelope {
    const times = this.#times!;
    const envelope: Envelope = {
      from_ns, to_ns, min: new Float64Array(buckets), max: new Float64Array(buckets), last: new Float64Array(buckets),
    };
    const span = Math.max(1, to_ns - from_ns);
    let first = times.before(from_ns);
    for (let k = 0; k < buckets; k++) {
      const last = Math.max(first, k + 1 === buckets ? times.at(to_ns) : times.before(from_ns + Math.ceil((span * (k + 1)) / buckets)));
      const range = this.range(first, last);
      envelope.min[k] = range.least;
      envelope.max[k] = range.most;
      envelope.last[k] = range.last;
      first = last;
    }
    return envelope;
  }

  #seek(position: number): Place {
    const at = Math.max(0, Math.min(this.#events, position));
    const place: Place = { position: 0, begun: 0, dead: 0, bytes: 0, blocks: 0 };
    this.#load(place, at >>> PART_BITS);
    while (place.position < at) this.#step(place);
    return place;
  }

  #load(place: Place, part: number): void {
    place.position = part << PART_BITS;
    place.bytes = this.#bytes[part]!;
    place.blocks = this.#blocks[part]!;
    place.begun = this.#begun[part]!;
    place.dead = this.#dead[part]!;
  }

  /** To the next position: what died there goes, what began there comes. */
  #step(place: Place): void {
    const order = this.#byDeath;
    for (; place.dead < order.length && this.#died[order[place.dead]!] === place.position; place.dead++) {
      const block = order[place.dead]!;
      place.bytes -= this.#weightBytes[block]!;
      place.blocks -= this.#weightBlocks ? this.#weightBlocks[block]! : 1;
    }
    place.position++;
    this.#begin(place);
  }

  #begin(place: Place): void {
    for (; place.begun < this.#start.length && this.#start[place.begun] === place.position; place.begun++) {
      place.bytes += this.#weightBytes[place.begun]!;
      place.blocks += this.#weightBlocks ? this.#weightBlocks[place.begun]! : 1;
    }
  }
}
