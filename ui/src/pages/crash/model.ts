// What `heaptape crash --json` says (docs/json.md), with the types that this page relies on, and the picture made of it.

import type { ProcessData } from '../../data/types.ts';
import { exactTime } from '../../ui/units.ts';
import { withHoles, type Brick } from '../blocks/neighbourhood.tsx';
import { around } from '../blocks/neighbours.tsx';

export interface JsonFrame {
  function: string;
  short: string;
  file: string | null;
  line: number;
  module: string;
  inlined: boolean;
  named: boolean;
  why: string | null;
}

export interface Act {
  time_ns: number;
  tid: number;
  thread: string;
  function: string;
  backtrace: JsonFrame[];
}

export interface CrashBlock {
  block: number | null;
  relation: string;
  address: string;
  size: number;
  usable: number;
  offset: number;
  allocated: Act | null;
  freed: Act | null;
  freed_ago_ns: number | null;
}

export interface CrashEvent {
  time_ns: number;
  tid: number;
  action: string;
  function: string;
  address: string;
  size: number;
  block: number | null;
  note: string | null;
  site: { frame: JsonFrame } | null;
}

export interface CrashThread {
  tid: number;
  name: string;
  crashed: boolean;
  backtrace: JsonFrame[];
  complete: boolean;
}

export interface CrashReport {
  time_ns: number;
  signal: number;
  code: number;
  access: string | null;
  address: string | null;
  instruction: string | null;
  message: string | null;
  sender: number | null;
  verdict: { kind: string; confidence: string; what: string; reason: string };
  blocks: CrashBlock[];
  registers: { name: string; value: string; points_to: string | null }[];
  threads: CrashThread[];
  threads_missing: number;
  mappings: { start: string; end: string; access: string; name: string; holds: boolean }[];
  last_events: CrashEvent[];
}

export interface Death {
  signal: number | null;
  core: boolean;
  out_of_memory: boolean;
  reason: string;
  rss_bytes: number | null;
  rss_time_ns: number | null;
  last_events: CrashEvent[];
}

export interface CrashResult {
  crashes: CrashReport[];
  death: Death | null;
}

const SIGNALS: Record<number, string> = {
  1: 'SIGHUP', 2: 'SIGINT', 3: 'SIGQUIT', 4: 'SIGILL', 5: 'SIGTRAP', 6: 'SIGABRT', 7: 'SIGBUS', 8: 'SIGFPE', 9: 'SIGKILL',
  11: 'SIGSEGV', 13: 'SIGPIPE', 14: 'SIGALRM', 15: 'SIGTERM', 16: 'SIGSTKFLT', 24: 'SIGXCPU', 25: 'SIGXFSZ', 31: 'SIGSYS',
};

export function signalName(number: number): string {
  return SIGNALS[number] ?? `signal ${number}`;
}

/** `write to 0x7f…`; empty where no address is known. */
export function accessOf(crash: CrashReport): string {
  if (crash.address === null) return '';
  const words: Record<string, string> = { read: 'read of', write: 'write to', execute: 'execution of' };
  return `${words[crash.access ?? ''] ?? 'access to'} ${crash.address}`;
}

/** How a block stands to the address, in words. */
export function relationOf(block: CrashBlock): string {
  const words: Record<string, string> = {
    holds: 'holds the address',
    held: 'was the last to hold the address',
    held_before: 'held the address earlier',
    before: 'is the nearest live block before',
    after: 'is the nearest live block after',
    pointed_to: 'a register points to it',
    given_back: 'is the one that was given back',
    suspected: 'is suspected',
  };
  return words[block.relation] ?? block.relation.replaceAll('_', ' ');
}

/** The block that the verdict is about, what lay around it at the crash, and a hole up to the address if it is near. */
export async function picture(crash: CrashReport, data: ProcessData, signal: AbortSignal): Promise<Brick[]> {
  const main = crash.blocks[0];
  if (!main) return [];
  const near = ['holds', 'held', 'before', 'after', 'given_back'];
  const named = crash.blocks.slice(1).filter((it) => near.includes(it.relation)).map((it) => brick(it, false));
  const own = brick(main, true);
  // A freed block's place may have been given to others since: what is under the main brick is not drawn twice.
  const known = [own, ...named.filter((it) => !overlap(it, own))];
  const live = await around({ ...own, id: own.id ?? 0, ...SPAN }, data.times.at(crash.time_ns), signal);
  const more = live.filter((it) => it.kind === 'live' && known.every((brick) => !overlap(it, brick)));
  return withMark(withHoles([...known, ...more]), crash.address === null ? undefined : Number(crash.address));
}

/** The crash itself says what is live. */
const SPAN = { born: 0, died: 0, inherited: true };

function brick(block: CrashBlock, main: boolean): Brick {
  return { kind: block.freed ? 'freed' : 'live', id: block.block, addr: Number(block.address), size: block.size, main };
}

function overlap(x: Brick, y: Brick): boolean {
  return x.addr < y.addr + Math.max(1, y.size) && y.addr < x.addr + Math.max(1, x.size);
}

/** Room for a marked address outside of all bricks: a hole up to it, if it is not far away. */
function withMark(bricks: Brick[], mark: number | undefined): Brick[] {
  const first = bricks[0];
  const last = bricks.at(-1);
  const far = 1 << 24;
  if (mark === undefined || !first || !last) return bricks;
  const end = last.addr + Math.max(1, last.size);
  if (mark >= end && mark - end < far) return [...bricks, { kind: 'hole', id: null, addr: end, size: mark - end + 1 }];
  if (mark < first.addr && first.addr - mark < far) return [{ kind: 'hole', id: null, addr: mark, size: first.addr - mark }, ...bricks];
  return bricks;
}

/** All of it as plain text, for a bug report. */
export function asText(crash: CrashReport, command: string): string {
  const lines = [`${signalName(crash.signal)} ${accessOf(crash)} at ${exactTime(crash.time_ns)}`.replace('  ', ' '), command];
  lines.push(`${crash.verdict.what} [${crash.verdict.confidence}]`, crash.verdict.reason);
  if (crash.message) lines.push(`libc said: ${crash.message}`);
  if (crash.instruction) lines.push(`instruction: ${crash.instruction}`);
  const crashed = crash.threads.find((it) => it.crashed);
  if (crashed) lines.push('', `crashed in thread ${crashed.tid} (${crashed.name}):`, ...frameLines(crashed.backtrace));
  for (const [index, block] of crash.blocks.entries()) {
    lines.push('', `${blockName(block)}, ${block.size} B at ${block.address}: ${relationOf(block)}`);
    if (index > 0) continue;
    if (block.allocated) lines.push(`allocated by ${actLine(block.allocated)}:`, ...frameLines(block.allocated.backtrace));
    lines.push(block.freed ? `freed by ${actLine(block.freed)}:` : 'not freed', ...frameLines(block.freed?.backtrace ?? []));
  }
  if (crash.registers.length > 0) lines.push('', 'registers:');
  for (const it of crash.registers) lines.push(`  ${it.name.padEnd(6)} ${it.value}${it.points_to ? `  ${it.points_to}` : ''}`);
  return `${lines.join('\n')}\n`;
}

export function blockName(block: { block: number | null }): string {
  return block.block === null ? 'a block' : `#${block.block}`;
}

function actLine(act: Act): string {
  return `thread ${act.tid} (${act.thread}) with ${act.function} at ${exactTime(act.time_ns)}`;
}

function frameLines(frames: JsonFrame[]): string[] {
  if (frames.length === 0) return ['  (no backtrace recorded)'];
  return frames.map((it) => `  ${it.function}  ${it.file ? `${it.file}:${it.line}` : it.module}`);
}
