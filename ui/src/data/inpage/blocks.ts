// The blocks of a process, in order of birth, with the other orders that queries walk.

import { column, optional, type Columns } from '../columns.ts';
import { NEVER, type Blocks, type Metric } from '../types.ts';
import { lowerBound, orderByRank, orderInSlices, upperBound } from './search.ts';
import { Slices } from './slices.ts';
import { within } from './backtraces.ts';

/** Bits of `flags`. */
export const TEMPORARY = 1;
export const OF_REALLOC = 2;
export const INHERITED = 4;
export const ENDS_IN_REALLOC = 8;

/** Numbers by block: small ones as they came, others as doubles. */
export type Numbers = Uint32Array | Float64Array;

/** What metrics are about: blocks, or flows of them. One is live at `p` iff `start[i] <= p && p <= died[i]`. */
export interface Population {
  readonly count: number;
  /** First position at which it is live: 0 for inherited ones, else one after its birth. Ascends. */
  readonly start: Uint32Array;
  readonly died: Uint32Array;
  readonly stack: Uint32Array;
  readonly flags: Uint8Array;
  /** What each weighs; blocks `null`: one each. */
  weights(metric: Metric): { bytes: Numbers; blocks: Float64Array | null };
}

/** Blocks as columns; a block is its index. */
export class BlockTable implements Population {
  readonly count: number;
  readonly start: Uint32Array;
  readonly died: Uint32Array;
  readonly size: Numbers;
  readonly usable: Numbers;
  readonly stack: Uint32Array;
  readonly freedStack: Uint32Array;
  readonly thread: Uint16Array;
  readonly freedThread: Uint16Array;
  readonly api: Uint8Array;
  readonly flags: Uint8Array;
  readonly leak: Uint8Array;
  /** What a block weighs: its size, or in a sample what it stands for. */
  readonly weightBytes: Numbers;
  /** `null`: one each. */
  readonly weightBlocks: Float64Array | null;
  readonly #ids: Float64Array | null;
  /** Halves of the addresses, until the address order has them. */
  #halves: { low: Uint32Array; high: Uint32Array } | null;
  #byAddress: AddressOrder | undefined;
  #ordering: Promise<AddressOrder> | undefined;

  constructor(table: Columns, stacks: number) {
    const born = column(table, 'born', 'u32');
    const count = (this.count = born.length);
    this.died = diedAfter(column(table, 'life', 'u32', count), born);
    this.flags = column(table, 'flags', 'u8', count);
    this.start = startsOf(born, this.flags);
    this.size = wide(table, 'size_lo', 'size_hi', count);
    this.usable = wide(table, 'usable', 'usable_hi', count);
    this.#halves = { low: column(table, 'addr_lo', 'u32', count), high: column(table, 'addr_hi', 'u32', count) };
    this.stack = column(table, 'stack', 'u32', count);
    this.freedStack = column(table, 'freed_stack', 'u32', count);
    within(this.stack, stacks, 'backtrace');
    within(this.freedStack, stacks, 'backtrace');
    this.thread = column(table, 'thread', 'u16', count);
    this.freedThread = column(table, 'freed_thread', 'u16', count);
    this.api = column(table, 'api', 'u8', count);
    this.leak = column(table, 'leak', 'u8', count);
    this.weightBytes = optional(table, 'weight_bytes', 'f64', count) ?? this.size;
    this.weightBlocks = optional(table, 'weight_blocks', 'f64', count);
    const low = optional(table, 'id_lo', 'u32', count);
    const idHigh = optional(table, 'id_hi', 'u32', count);
    this.#ids = low && Float64Array.from(low, (value, i) => value + (idHigh?.[i] ?? 0) * 2 ** 32);
  }

  weights(): { bytes: Numbers; blocks: Float64Array | null } {
    return { bytes: this.weightBytes, blocks: this.weightBlocks };
  }

  /** `#id`. */
  id(block: number): number {
    return this.#ids ? this.#ids[block]! : block + 1;
  }

  /** The block of an id; -1: there is none. */
  withId(id: number): number {
    if (this.#ids) return this.#ids.indexOf(id);
    return Number.isInteger(id) && id >= 1 && id <= this.count ? id - 1 : -1;
  }

  inherited(block: number): boolean {
    return (this.flags[block]! & INHERITED) !== 0;
  }

  born(block: number): number {
    return this.inherited(block) ? NEVER : this.start[block]! - 1;
  }

  addr(block: number): number {
    if (this.#byAddress) return this.#byAddress.addr[this.#byAddress.place[block]!]!;
    return this.#halves!.high[block]! * 2 ** 32 + this.#halves!.low[block]!;
  }

  /** The bytes that are its own: asked for or usable, whichever is more. */
  extent(block: number): number {
    return Math.max(this.size[block]!, this.usable[block]!);
  }

  /** Made when it is first asked for, in slices. */
  byAddress(): Promise<AddressOrder> {
    return (this.#ordering ??= this.#orderByAddress(new Slices()));
  }

  async #orderByAddress(slices: Slices): Promise<AddressOrder> {
    const addresses = new Float64Array(this.count);
    await slices.each(0, this.count, (from, to) => {
      for (let i = from; i < to; i++) addresses[i] = this.addr(i);
    });
    const order = new AddressOrder(await orderInSlices(addresses, false, slices), this);
    await slices.each(0, this.count, (from, to) => order.fill(this, addresses, from, to));
    this.#byAddress = order;
    this.#halves = null;
    return order;
  }

  /** The blocks at these places, as the pages take them. */
  async rowsAt(places: Uint32Array, slices: Slices): Promise<Blocks> {
    const order = this.#byAddress!;
    const indices = places.map((place) => order.block[place]!);
    const rows = emptyRows(indices.length);
    await slices.each(0, indices.length, (from, to) => this.#fill(rows, indices, from, to), ROWS_STEP);
    return rows;
  }

  /** The blocks of these indices. */
  rows(indices: ArrayLike<number>): Blocks {
    const rows = emptyRows(indices.length);
    this.#fill(rows, indices, 0, indices.length);
    return rows;
  }

  #fill(rows: Blocks, indices: ArrayLike<number>, from: number, to: number): void {
    for (let k = from; k < to; k++) {
      const i = indices[k]!;
      rows.id[k] = this.id(i);
      rows.addr[k] = this.addr(i);
      rows.size[k] = this.size[i]!;
      rows.usable[k] = this.usable[i]!;
      rows.born[k] = this.born(i);
      rows.died[k] = this.died[i]!;
      rows.stack[k] = this.stack[i]!;
      rows.freed_stack[k] = this.freedStack[i]!;
      rows.thread[k] = this.thread[i]!;
      rows.freed_thread[k] = this.freedThread[i]!;
      rows.api[k] = this.api[i]!;
      rows.flags[k] = this.flags[i]!;
      rows.leak[k] = this.leak[i]!;
    }
  }
}

/** Blocks between two looks at the clock. */
const ROWS_STEP = 1 << 12;

function emptyRows(count: number): Blocks {
  return {
    count,
    id: new Float64Array(count), addr: new Float64Array(count), size: new Float64Array(count), usable: new Float64Array(count),
    born: new Uint32Array(count), died: new Uint32Array(count), stack: new Uint32Array(count),
    freed_stack: new Uint32Array(count), thread: new Uint16Array(count), freed_thread: new Uint16Array(count),
    api: new Uint8Array(count), flags: new Uint8Array(count), leak: new Uint8Array(count),
  };
}

/**
 * Blocks by address, then birth, with what walks read beside each other: a walk reads all, and memory is slow. A block is
 * its *place* here.
 */
export class AddressOrder {
  readonly count: number;
  /** By place: the block. */
  readonly block: Uint32Array;
  /** By block: its place. */
  readonly place: Uint32Array;
  readonly addr: Float64Array;
  /** As `BlockTable.extent`. */
  readonly extent: Numbers;
  readonly start: Uint32Array;
  readonly died: Uint32Array;
  readonly stack: Uint32Array;
  /** The largest end of all blocks up to every 256th: where to begin for what reaches into a range. */
  readonly #reach: Float64Array;

  #reached = 0;

  /** To be filled from the first place to the last. */
  constructor(block: Uint32Array, table: BlockTable) {
    const count = (this.count = table.count);
    this.block = block;
    this.place = new Uint32Array(count);
    this.addr = new Float64Array(count);
    this.extent = table.size instanceof Uint32Array && table.usable instanceof Uint32Array ? new Uint32Array(count) : new Float64Array(count);
    this.start = new Uint32Array(count);
    this.died = new Uint32Array(count);
    this.stack = new Uint32Array(count);
    this.#reach = new Float64Array(Math.ceil(count / 256));
  }

  fill(table: BlockTable, addresses: Float64Array, from: number, to: number): void {
    for (let k = from; k < to; k++) {
      const i = this.block[k]!;
      this.place[i] = k;
      this.addr[k] = addresses[i]!;
      this.extent[k] = table.extent(i);
      this.start[k] = table.start[i]!;
      this.died[k] = table.died[i]!;
      this.stack[k] = table.stack[i]!;
      this.#reached = Math.max(this.#reached, this.end(k), this.addr[k]! + 1);
      this.#reach[k >>> 8] = this.#reached;
    }
  }

  /** The first address after the block's own bytes. */
  end(place: number): number {
    return this.addr[place]! + this.extent[place]!;
  }

  /** Whether a block holds an address of `[lo, hi)`; one without bytes holds its own address. */
  touches(place: number, lo: number, hi: number): boolean {
    const addr = this.addr[place]!;
    return addr < hi && (addr >= lo || this.end(place) > lo);
  }

  /** Places of the blocks that may touch `[lo, hi)`: from the first number up to the second. */
  range(lo: number, hi: number): [number, number] {
    return [Math.min(this.count, upperBound(this.#reach, lo) << 8), lowerBound(this.addr, hi)];
  }
}

/** Those that were freed, by death, then birth; of so many events. */
export function byDeath({ died }: Population, events: number): Uint32Array {
  return byOwnDeath(died, events) ?? orderByRank(freed(died), died);
}

/** Where no event ended two, each can be put at its death's place at once; else `null`. */
function byOwnDeath(died: Uint32Array, events: number): Uint32Array | null {
  const at = new Uint32Array(events);
  for (let i = 0; i < died.length; i++) {
    const death = died[i]!;
    if (death === NEVER) continue;
    if (death >= events || at[death] !== 0) return null;
    at[death] = i + 1;
  }
  let count = 0;
  for (let death = 0; death < events; death++) {
    const block = at[death]!;
    if (block !== 0) at[count++] = block - 1;
  }
  return at.slice(0, count);
}

function freed(died: Uint32Array): Uint32Array<ArrayBuffer> {
  const blocks = new Uint32Array(died.length);
  let count = 0;
  for (let i = 0; i < died.length; i++) if (died[i] !== NEVER) blocks[count++] = i;
  return blocks.slice(0, count);
}

/** First positions at which blocks are live: by birth, inherited ones first. */
export function startsOf(born: Uint32Array, flags: Uint8Array): Uint32Array {
  const start = new Uint32Array(born.length);
  for (let i = 0; i < born.length; i++) {
    start[i] = flags[i]! & INHERITED ? 0 : born[i]! + 1;
    if (i > 0 && start[i]! < start[i - 1]!) throw new Error('the blocks are not in order of birth');
  }
  return start;
}

/** Ranks of ends, in place of how many events each block lived through: 0 stands for never. */
function diedAfter(life: Uint32Array, born: Uint32Array): Uint32Array {
  for (let i = 0; i < life.length; i++) life[i] = life[i] === 0 ? NEVER : life[i]! + born[i]!;
  return life;
}

function wide(table: Columns, low: string, high: string, count: number): Numbers {
  const narrow = column(table, low, 'u32', count);
  const upper = optional(table, high, 'u32', count);
  return upper ? Float64Array.from(narrow, (value, i) => value + upper[i]! * 2 ** 32) : narrow;
}
