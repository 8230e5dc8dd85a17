// A process that never ran, believable enough to build pages and to test them. Not part of the product.

import { InPage, type Tables } from '../inpage/inpage.ts';
import { groundOf } from '../inpage/layout.ts';
import type { DataSource, Overview, ProcessInfo, Samples } from '../types.ts';
import { crash, errors, findings, leaks, rss, summary } from './documents.ts';
import { blockTables, HEAP, nameTables } from './tables.ts';

export interface Wishes {
  contents: boolean;
  blocks: number;
  /** Backtraces at least. */
  stacks: number;
  seed: number;
  crash: boolean;
}

const MODULES = [
  { path: '/home/me/demo/demo', start: '0x559f6b400000', end: '0x559f6b7ce000' },
  { path: '/usr/lib/x86_64-linux-gnu/libc.so.6', start: '0x7f20d0000000', end: '0x7f20d0200000' },
];

/** What a report of it holds. */
export interface Synthetic {
  overview: Overview;
  tables: Tables;
  samples: Samples;
}

export function synthesize({ blocks = 30_000, stacks = 0, seed = 1, contents = true, crash: crashes = true }: Partial<Wishes> = {}): Synthetic & { process: InPage } {
  const { ends, ...names } = nameTables(stacks, seed);
  const made = blockTables(blocks, ends, seed);
  const tables: Tables = { ...names, blocks: made.blocks, times: made.times, flows: null, timeline: null, contents: contents ? contentsOf(made) : null, source: sourceOf() };
  const end_ns = 2_001_500_000;
  const info: ProcessInfo = {
    id: 0, pid: 22871, name: 'demo', argv: ['./demo', '--sessions', '3000'], start_ns: 0, end_ns,
    ending: crashes ? 'killed by SIGSEGV' : 'exit code 0', event_count: made.events, block_count: blocks,
    peak: { position: 0, time_ns: 0, bytes: 0, blocks: 0 }, at_exit: { bytes: 0, blocks: 0 },
    included: true, why_not: null, capped: null, page_bytes: 4096,
    threads: [{ tid: 22871, name: 'demo' }, { tid: 22873, name: 'worker-1' }, { tid: 22874, name: 'worker-2' }, { tid: 22875, name: 'codec' }],
    summary: null, findings: findings(made.events), checked: ['one large block', 'growth', 'temporary blocks', 'pinned pages', 'wrong frees'],
    rss: rss(end_ns), unnamed_frames: { unnamed: 2, of: 30, notice: null }, errors: errors(), leaks: leaks(), crash: crashes ? crash(end_ns) : null,
    snapshots: [0.3, 0.6, 1].map((share) => ({
      position: Math.floor(share * made.events), time_ns: Math.floor(share * end_ns), reason: share === 1 ? 'exit' : 'interval',
    })),
    has_contents: contents,
  };
  const samples: Samples = samplesOf(end_ns);
  const overview = overviewOf(info);
  // Which makes of the columns what it needs.
  const process = new InPage(info, structuredClone(tables), samples, groundOf(4096, overview.info.processes[0]), overview.apis);
  const peak = process.curve.peak(0, made.events);
  info.peak = { ...peak, time_ns: process.times.of(peak.position) };
  info.at_exit = process.curve.at(made.events);
  info.summary = summary(info);
  return { overview, tables, samples, process };
}

export function syntheticSource(wishes: Partial<Wishes> = {}): DataSource {
  const { overview, process } = synthesize(wishes);
  return { overview, in_page: true, open: async () => process };
}

function overviewOf(info: ProcessInfo): Overview {
  const child: ProcessInfo = {
    ...info, id: 1, pid: 22880, name: 'convert', argv: ['convert', 'in.png', 'out.webp'], included: false,
    why_not: 'only the process with most events is in this report: write it with --process all', crash: null, findings: [],
  };
  return {
    version: 1, tool: 'heaptape 0.0.0', tape: 'demo.tape', command: info.argv, recorded_at: '2025-03-01T14:03:11+01:00', host: 'example', tick_ns: 1000,
    sampling: null, apis: ['malloc', 'calloc', 'operator new', 'realloc'], processes: [info, child], first: 0,
    losses: ['2 backtraces were cut at 512 frames'],
    info: {
      command: info.argv, host: 'example', cwd: '/home/me/demo', tick_ns: 1000, format_version: 1, writer: 'heaptape 0.0.0', options: [], sample_bytes: 0,
      quality: { complete: true, good_bytes: 812_345, file_bytes: 812_345, damaged_blocks: 0, unknown_blocks: 0 },
      processes: [{ number: 0, pid: info.pid, exe: MODULES[0]!.path, modules: MODULES, threads: info.threads }],
    },
    left_out: 0, has_contents: true, has_other: false, third_party: '',
  };
}

/** The kernel's word every 10 ms: above what is live, and never much less than it was. */
function samplesOf(end_ns: number): Samples {
  const count = 201;
  const at = (k: number) => 6e6 + 9e6 * Math.min(1, k / 90) + 2e5 * Math.sin(k / 3);
  const array = (value: (k: number) => number) => Float64Array.from({ length: count }, (_, k) => value(k));
  return { time_ns: array((k) => (k * end_ns) / 200), rss: array(at), anon: array((k) => at(k) * 0.7), file: array((k) => at(k) * 0.3) };
}

/** The first 4 KiB of some blocks at the snapshots; every second 16 bytes are not known. */
function contentsOf({ blocks, events }: ReturnType<typeof blockTables>): Tables['contents'] {
  const { born, life, size_lo } = blocks.columns;
  const rows: { id: number; position: number; offset: number; length: number }[] = [];
  const bytes: number[] = [];
  for (const share of [0.3, 0.6, 1]) {
    const position = Math.floor(share * events);
    for (let b = 0; b < born!.length; b += 3) {
      if (born![b]! >= position || (life![b] !== 0 && born![b]! + life![b]! < position)) continue;
      for (let offset = 0; offset < Math.min(4096, size_lo![b]!); offset += 48) {
        const length = Math.min(32, size_lo![b]! - offset);
        rows.push({ id: b + 1, position, offset, length });
        for (let k = 0; k < length; k++) bytes.push(byteAt(b, offset + k, share));
      }
    }
  }
  const u32 = (of: (row: (typeof rows)[0]) => number) => Uint32Array.from(rows, of);
  return {
    meta: {},
    columns: {
      block_lo: u32((row) => row.id), block_hi: u32(() => 0), position: u32((row) => row.position), offset: u32((row) => row.offset),
      length: u32((row) => row.length), bytes: Uint8Array.from(bytes),
    },
  };
}

/** A pointer into the heap, then text. */
function byteAt(block: number, offset: number, share: number): number {
  if (offset < 8) return Math.floor((HEAP + 0x2b0 + block * 32) / 2 ** (8 * offset)) % 256;
  return `session-key-${block}-${share};`.charCodeAt((offset - 8) % 20) || 0;
}

function sourceOf(): Tables['source'] {
  const lines = (file: string, first: number, count: number) =>
    Array.from({ length: count }, (_, k) => `    auto value_${first + k} = ${file}.next(${k});  // line ${first + k}`);
  const file = (name: string, first: number) => ({ file: `/home/me/demo/src/${name}`, pieces: [{ first, lines: lines(name.replace(/\W/g, '_'), first, 40) }] });
  return { files: [file('session.cpp', 10), file('main.cpp', 60), file('http/parse.cpp', 190), file('image.cpp', 40), file('worker.cpp', 30)] };
}
