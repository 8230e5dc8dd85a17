// What the page computes of a report, held against what Rust says of its tape. Used by ../golden.mjs.

import { unfold } from '../src/data/coded/unfold.ts';
import { unpack, type Columns } from '../src/data/columns.ts';
import { InPage } from '../src/data/inpage/inpage.ts';
import { groundOf } from '../src/data/inpage/layout.ts';
import { finish } from '../src/data/inpage/slices.ts';
import type { Layout, Measure, Metric, Overview, Space, Weight } from '../src/data/types.ts';

type Sum = Weight & { top: [number, number, number][] };

export { bytesOf } from '../src/data/packed.ts';

/** As crates/heaptape/examples/golden.rs writes it. */
interface Golden {
  process: number;
  events: number;
  instants: ({ position: number } & Sum)[];
  ranges: ({ a: number; b: number; peak: { position: number } & Sum; temp: Sum | null } & Record<'kept' | 'leaked' | 'alloc' | 'freed' | 'diff', Sum>)[];
  layouts: ({ position: number; regions: ({ kind: string; start: string; end: string } & Space)[]; pins: { pages: number; held_bytes: number; own_bytes: number }[]; pin_sites: number[] } & Space)[];
  histograms: { sizes: Weight[]; exact: [number, Weight][]; lifetimes: Weight[]; unfreed: Weight };
  filters: Record<string, Weight>;
}

/** `inflated`: the bytes of an element of the report. */
export async function differences(overview: Overview, inflated: (id: string) => Uint8Array | null, golden: Golden): Promise<{ compared: number; found: string[] }> {
  const process = open(overview, inflated, golden.process);
  const found: string[] = [];
  let compared = 0;
  const same = (what: string, page: unknown, rust: unknown) => {
    compared++;
    if (JSON.stringify(page) !== JSON.stringify(rust)) found.push(`${what}: ${JSON.stringify(page)?.slice(0, 300)} is not ${JSON.stringify(rust)?.slice(0, 300)}`);
  };
  const measured = async (metric: Metric, rest: Partial<Measure>): Promise<Sum & { at: number }> => {
    const { bytes, blocks, total, at } = await process.weigh({ metric, t: 0, a: 0, b: golden.events, q: '', ...rest });
    const top: Sum['top'] = [];
    bytes.forEach((weight, stack) => (weight !== 0 || blocks[stack] !== 0) && top.push([stack, weight, blocks[stack]!]));
    top.sort(([s, x], [r, y]) => Math.abs(y) - Math.abs(x) || s - r);
    return { ...total, top: top.slice(0, 20), at };
  };
  const sum = ({ bytes, blocks, top }: Sum) => ({ bytes, blocks, top });
  same('events', process.info.event_count, golden.events);
  for (const it of golden.instants) same(`live at ${it.position}`, sum(await measured('live', { t: it.position })), sum(it));
  for (const it of golden.ranges) {
    const range = { a: it.a, b: it.b };
    for (const metric of ['kept', 'leaked', 'alloc', 'freed', 'temp', 'diff'] as const) {
      if (it[metric]) same(`${metric} in ${it.a}–${it.b}`, sum(await measured(metric, range)), sum(it[metric]));
    }
    const peak = await measured('peak', range);
    same(`peak in ${it.a}–${it.b}`, [peak.at, sum(peak)], [it.peak.position, sum(it.peak)]);
  }
  for (const it of golden.layouts) same(`layout at ${it.position}`, layoutOf(await process.layout(it.position)), theirs(it));
  const histograms = await process.histograms({ metric: 'alloc', t: 0, a: 0, b: golden.events, q: '' });
  same('sizes', histograms.sizes, golden.histograms.sizes);
  same('lifetimes', [histograms.lifetimes, histograms.unfreed], [golden.histograms.lifetimes, golden.histograms.unfreed]);
  same('exact sizes', histograms.exact.slice(0, 10).map((it) => [it.size, it.weight]), golden.histograms.exact);
  for (const [q, weight] of Object.entries(golden.filters)) {
    const { bytes, blocks } = await process.total({ metric: 'alloc', t: 0, a: 0, b: golden.events, q });
    same(q, { bytes, blocks }, weight);
  }
  return { compared, found };
}

function open(overview: Overview, inflated: (id: string) => Uint8Array | null, number: number): InPage {
  const info = overview.processes.find((it) => it.id === number)!;
  const table = (name: string): Columns | null => {
    const bytes = inflated(`p${number}-${name}`);
    return bytes && finish(unfold(name, unpack(bytes)));
  };
  const none = new Float64Array(0);
  const tables = {
    strings: table('strings')!, frames: table('frames')!, stacks: table('stacks')!, blocks: table('blocks')!, times: table('times')!,
    flows: table('flows'), timeline: table('timeline'), contents: table('contents'), source: null,
  };
  const ground = groundOf(info.page_bytes, overview.info.processes.find((it: { number: number }) => it.number === number));
  return new InPage(info, tables, { time_ns: none, rss: none, anon: none, file: none }, ground, overview.apis);
}

function spaceOf({ span_bytes, used_bytes, live_bytes, live_blocks, slack_bytes, holes, pages }: Space) {
  return { span_bytes, used_bytes, live_bytes, live_blocks, slack_bytes, holes, pages };
}

function layoutOf({ total, regions, pins }: Layout) {
  return {
    total: spaceOf(total),
    regions: regions.map(({ kind, start, end, space }) => ({ kind, start, end, space: spaceOf(space) })),
    pins: pins.slice(0, 10).map(({ site, pages, held_bytes, own_bytes }) => ({ site, pages, held_bytes, own_bytes })),
  };
}

function theirs(it: Golden['layouts'][0]) {
  return {
    total: spaceOf(it),
    regions: it.regions.map((region) => ({ kind: region.kind, start: Number(region.start), end: Number(region.end), space: spaceOf(region) })),
    pins: it.pins.map(({ pages, held_bytes, own_bytes }, k) => ({ site: it.pin_sites[k], pages, held_bytes, own_bytes })),
  };
}
