// Where the live blocks of one moment lie: regions, holes, pages, and who pins them. The rules are those of
// heaptape-analysis's layout.rs, under the same names.
//
// A region's *span* reaches from the page of its first live block to the page of its last one. What the allocator keeps
// mapped outside of it is not recorded.

import type { Layout, Pin, Region, Space, Stacks } from '../types.ts';
import type { AddressOrder, BlockTable } from './blocks.ts';
import { extents, STEP, type TakeExtent } from './extents.ts';
import { PageCounter, type TakeSparse } from './pages.ts';
import { lowerBound } from './search.ts';
import { compareSites } from './sites.ts';
import type { Slices } from './slices.ts';

/** Blocks further apart than this lie in different regions. */
const REGION_GAP_BYTES = 2 ** 20;
/** The kernel places the brk heap at most so far after the executable. */
const MAX_BRK_DISTANCE = 2 ** 30;
/** A block at least this large may have a mapping of its own (glibc's smallest threshold). */
const MIN_OWN_MAPPING = 128 * 1024;
/** glibc's header at the start of a mapping. */
const MAPPING_HEADER = 16;

type Kind = Region['kind'];

/** What is known about the address space of a process. */
export interface Ground {
  page_bytes: number;
  /** First address after the executable; `null`: not known. */
  executable_end: number | null;
  /** First addresses of modules, ascending. */
  modules: number[];
}

/** From `heaptape info --json` of the process. */
export function groundOf(page_bytes: number, info: unknown): Ground {
  const { exe, modules } = (info ?? {}) as { exe?: string; modules?: { path: string; start: string; end: string }[] };
  const own = modules ?? [];
  const executable = own.find((it) => it.path === exe) ?? own[0];
  const plausible = Number.isInteger(Math.log2(page_bytes)) && page_bytes >= 512 && page_bytes <= 2 ** 24;
  return {
    page_bytes: plausible ? page_bytes : 4096,
    executable_end: executable ? Number(executable.end) : null,
    modules: own.map((it) => Number(it.start)).sort((x, y) => x - y),
  };
}

/** The blocks that are live: of a table, in its order, the places of those, ascending. */
export interface Live {
  table: BlockTable;
  order: AddressOrder;
  places: Uint32Array;
}

export async function layoutOf(live: Live, ground: Ground, stacks: Stacks, slices: Slices): Promise<Layout> {
  const pins = new Pins(stacks);
  const regions: Region[] = [];
  const total = emptySpace();
  for (const range of await regionsOf(live, ground, slices)) {
    const region = await measure(live, range, ground.page_bytes, (_, stacks, bytes) => pins.add(stacks, bytes), slices);
    regions.push(region);
    addSpace(total, region.space);
  }
  return { page_bytes: ground.page_bytes, total, regions, pins: pins.ranked(ground.page_bytes) };
}

/** First addresses of the pages that a site pins. */
export async function pinnedBy(live: Live, ground: Ground, stacks: Stacks, site: number, slices: Slices): Promise<Float64Array> {
  const pages: number[] = [];
  const sparse: TakeSparse = (page, owners) => {
    if (owners.some((stack) => stacks.site[stack] === site)) pages.push(page * ground.page_bytes);
  };
  for (const range of await regionsOf(live, ground, slices)) await measure(live, range, ground.page_bytes, sparse, slices);
  return Float64Array.from(pages);
}

interface Range {
  kind: Kind;
  from: number;
  to: number;
}

/** Cuts sorted blocks into regions. */
async function regionsOf({ table, order, places }: Live, ground: Ground, slices: Slices): Promise<Range[]> {
  const regions: Range[] = [];
  let reached = 0;
  const add = (k: number) => {
    const place = places[k]!;
    const addr = order.addr[place]!;
    const kind = kindOf(table, order.block[place]!, addr, ground);
    const last = regions.at(-1);
    if (last?.kind === kind && addr - reached <= REGION_GAP_BYTES && !moduleBetween(ground, reached, addr)) last.to = k + 1;
    else regions.push({ kind, from: k, to: k + 1 });
    reached = Math.max(reached, order.end(place));
  };
  const some = (from: number, to: number) => {
    for (let k = from; k < to; k++) add(k);
  };
  await slices.each(0, places.length, some, STEP);
  return regions;
}

function kindOf(table: BlockTable, block: number, addr: number, ground: Ground): Kind {
  const page = ground.page_bytes;
  const usable = table.usable[block]!;
  const wholePages = usable === 0 || (usable + MAPPING_HEADER) % page === 0;
  if (Math.max(table.size[block]!, usable) >= MIN_OWN_MAPPING && addr % page === MAPPING_HEADER && wholePages) return 'mmap';
  const end = ground.executable_end;
  const inBrk = end !== null && addr >= end && addr - end < MAX_BRK_DISTANCE && !moduleBetween(ground, end, addr);
  return inBrk ? 'heap' : 'arena';
}

function moduleBetween(ground: Ground, from: number, to: number): boolean {
  const next = ground.modules[lowerBound(ground.modules, from)];
  return next !== undefined && next < to;
}

async function measure({ table, order, places }: Live, range: Range, page_bytes: number, sparse: TakeSparse, slices: Slices): Promise<Region> {
  const space = emptySpace();
  const pages = new PageCounter(page_bytes, sparse);
  const first = order.addr[places[range.from]!]!;
  let reached = first;
  const take: TakeExtent = (place, end, hole) => {
    const addr = order.addr[place]!;
    const block = order.block[place]!;
    pages.add(order.stack[place]!, addr, end);
    if (hole > 0) addHoles(space.holes, { count: 1, bytes: hole, largest_bytes: hole });
    space.used_bytes += end - Math.min(Math.max(reached, addr), end);
    space.live_bytes += table.size[block]!;
    space.live_blocks++;
    space.slack_bytes += Math.max(0, table.usable[block]! - table.size[block]!);
    reached = Math.max(reached, end);
  };
  await extents(order, places, range.from, range.to, take, slices);
  const firstPage = Math.floor(first / page_bytes);
  const lastPage = Math.floor(Math.max(reached - 1, first) / page_bytes);
  const count = lastPage - firstPage + 1;
  space.pages = pages.finish(count);
  space.span_bytes = count * page_bytes;
  const start = firstPage * page_bytes;
  return { kind: range.kind, start, end: start + space.span_bytes, space };
}

/** Nearly empty pages by site. */
class Pins {
  readonly #bySite = new Map<number, { pages: number; own: number }>();
  readonly #onPage = new Set<number>();
  readonly #stacks: Stacks;

  constructor(stacks: Stacks) {
    this.#stacks = stacks;
  }

  add(stacks: number[], bytes: number[]): void {
    this.#onPage.clear();
    stacks.forEach((stack, k) => {
      const site = this.#stacks.site[stack]!;
      let entry = this.#bySite.get(site);
      if (!entry) this.#bySite.set(site, (entry = { pages: 0, own: 0 }));
      if (!this.#onPage.has(site)) entry.pages++;
      this.#onPage.add(site);
      entry.own += bytes[k]!;
    });
  }

  ranked(page_bytes: number): Pin[] {
    return [...this.#bySite]
      .sort(([x, p], [y, q]) => q.pages - p.pages || q.own - p.own || compareSites(this.#stacks.frames, x, y))
      .map(([site, { pages, own }]) => ({ site, pages, held_bytes: pages * page_bytes, own_bytes: own }));
  }
}

function emptySpace(): Space {
  return {
    span_bytes: 0, used_bytes: 0, live_bytes: 0, live_blocks: 0, slack_bytes: 0,
    holes: { count: 0, bytes: 0, largest_bytes: 0 },
    pages: { empty: 0, under_25: 0, under_50: 0, under_75: 0, under_100: 0, full: 0 },
  };
}

function addHoles(to: Space['holes'], other: Space['holes']): void {
  to.count += other.count;
  to.bytes += other.bytes;
  to.largest_bytes = Math.max(to.largest_bytes, other.largest_bytes);
}

function addSpace(to: Space, other: Space): void {
  for (const key of ['span_bytes', 'used_bytes', 'live_bytes', 'live_blocks', 'slack_bytes'] as const) to[key] += other[key];
  addHoles(to.holes, other.holes);
  for (const key of ['empty', 'under_25', 'under_50', 'under_75', 'under_100', 'full'] as const) to.pages[key] += other.pages[key];
}
