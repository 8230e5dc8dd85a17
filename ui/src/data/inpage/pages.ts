// How full the pages are, and who keeps the nearly empty ones: the rules of heaptape-analysis's pages.rs.

import type { Space } from '../types.ts';

export type PageCounts = Space['pages'];

/** Called with each page that is less than 25 % used: its number, and owners with their bytes in it. */
export type TakeSparse = (page: number, stacks: number[], bytes: number[]) => void;

/** Counts the pages of one region. Takes extents in address order; a block of any size costs the same. */
export class PageCounter {
  readonly counts: PageCounts = { empty: 0, under_25: 0, under_50: 0, under_75: 0, under_100: 0, full: 0 };
  readonly #page_bytes: number;
  readonly #sparse: TakeSparse;
  #index = -1;
  #used = 0;
  #stacks: number[] = [];
  #bytes: number[] = [];

  constructor(page_bytes: number, sparse: TakeSparse) {
    this.#page_bytes = page_bytes;
    this.#sparse = sparse;
  }

  /** The next block's extent. */
  add(stack: number, addr: number, end: number): void {
    const page = this.#page_bytes;
    const first = Math.floor(addr / page);
    const last = Math.floor(Math.max(end - 1, addr) / page);
    if (this.#index !== first) this.#turn(first);
    this.#touch(stack, Math.min(end, (first + 1) * page) - addr);
    if (last > first) {
      this.counts.full += last - first - 1;
      this.#turn(last);
      this.#touch(stack, end - last * page);
    }
  }

  /** The counts of a region that spans so many pages. */
  finish(pages: number): PageCounts {
    this.#close();
    const { under_25, under_50, under_75, under_100, full } = this.counts;
    this.counts.empty = Math.max(0, pages - (under_25 + under_50 + under_75 + under_100 + full));
    return this.counts;
  }

  #touch(stack: number, bytes: number): void {
    this.#used = Math.min(this.#used + bytes, this.#page_bytes);
    this.#stacks.push(stack);
    this.#bytes.push(bytes);
  }

  /** Closes the page in progress and opens another. */
  #turn(index: number): void {
    this.#close();
    this.#index = index;
    this.#used = 0;
    this.#stacks.length = 0;
    this.#bytes.length = 0;
  }

  #close(): void {
    if (this.#index < 0) return;
    const quarter = Math.floor((this.#used * 4) / this.#page_bytes);
    if (quarter === 0) {
      this.counts.under_25++;
      this.#sparse(this.#index, this.#stacks, this.#bytes);
    } else if (quarter === 1) this.counts.under_50++;
    else if (quarter === 2) this.counts.under_75++;
    else if (quarter === 3) this.counts.under_100++;
    else this.counts.full++;
    this.#index = -1;
  }
}
