// The JSON documents beside the columns, as docs/json.md describes them.

import type { Finding, ProcessInfo, RssExplained } from '../types.ts';

const frame = (fn: string, file: string, line: number, module = 'demo') => ({
  function: fn, short: fn, file: file && `/home/me/demo/src/${file}`, line, module, inlined: false, named: true, why: null,
});

const FILL = frame('demo::Session::fill', 'session.cpp', 72);
const LEAK = frame('demo::leak_context', 'session.cpp', 131);
const IMAGE = frame('demo::decode_image', 'image.cpp', 55);
const HANDLE = frame('demo::Server::serve', 'server.cpp', 118);
const MAIN = frame('main', 'main.cpp', 84);

export function summary(info: ProcessInfo) {
  const ranking = (bytes: number, blocks: number) => ({
    total: { bytes, blocks }, error: null, rest_sites: 3, rest: { bytes: Math.floor(bytes * 0.1), blocks: Math.floor(blocks * 0.1) },
    sites: [
      { frame: IMAGE, bytes: Math.floor(bytes * 0.6), blocks: 5, error: null, called: 'operator new', growing: false },
      { frame: FILL, bytes: Math.floor(bytes * 0.2), blocks: Math.floor(blocks * 0.7), error: null, called: 'operator new', growing: false },
      { frame: LEAK, bytes: Math.floor(bytes * 0.1), blocks: Math.floor(blocks * 0.2), error: null, called: null, growing: true },
    ],
  });
  return {
    process: { number: info.id, pid: info.pid, command: info.argv, ending: { how: 'signalled', signal: 11, core: false } },
    processes: 2, threads: info.threads.length, unrecorded: [],
    peak: { ...ranking(info.peak.bytes, info.peak.blocks), time_ns: info.peak.time_ns },
    never_freed: { ...ranking(info.at_exit.bytes, info.at_exit.blocks), inherited: { bytes: 0, blocks: 0 } },
    allocated: { bytes: 21_000_000, calls: info.block_count, frees: info.block_count - info.at_exit.blocks, failed: 0, unmatched_frees: 1,
      overlaid: 0, median_bytes: 64, largest_bytes: 3_145_728, error: null },
    temporary: { bytes: 512_000, blocks: 9000 },
  };
}

export function findings(events: number): Finding[] {
  return [
    { rule: 'one-site-peak', severity: 'high', sentence: '62 % of the peak is one call site: demo::decode_image, 9.00 MiB in 3 blocks.',
      place: 'demo::decode_image image.cpp:55', bytes: 9_437_184, links: [{ page: 'flame', params: { m: 'peak' } }, { page: 'layout', params: {} }] },
    { rule: 'growing-leak', severity: 'high', sentence: 'demo::leak_context never frees its blocks and grows all run: 60.1 KiB in 366 blocks.',
      place: 'demo::leak_context session.cpp:131', bytes: 61_488, links: [{ page: 'leaks', params: {} }] },
    { rule: 'temporary', severity: 'low', sentence: '25 % of all calls are temporary: read_header makes 7,512 strings that are freed at once.',
      place: 'demo::http::read_header parse.cpp:77', bytes: 365_000, links: [{ page: 'tables', params: { m: 'temp', u: 'blocks' } }] },
    { rule: 'pinned-pages', severity: 'medium', sentence: '140 pages are less than 25 % used at the end; demo::leak_context has a block in 96 of them.',
      place: 'demo::leak_context session.cpp:131', bytes: 393_216, links: [{ page: 'layout', params: { t: String(events) } }] },
  ];
}

export function rss(end_ns: number): RssExplained {
  const count = 101;
  const array = (value: (k: number) => number) => Array.from({ length: count }, (_, k) => Math.round(value(k)));
  const live = array((k) => 3e6 + 7e6 * Math.sin((k / 100) * Math.PI));
  const kept = array((k) => 4e5 + 8e3 * k);
  const other = array(() => 2.2e6);
  const files = array(() => 3.1e6);
  return {
    time_ns: array((k) => (k * end_ns) / 100),
    layers: [
      { name: 'asked for', explanation: 'bytes of live blocks', bytes: live },
      { name: 'kept by the allocator', explanation: 'headers, padding, holes and free lists', bytes: kept },
      { name: 'other anonymous memory', explanation: 'stacks, tables, memory mapped by the program itself', bytes: other },
      { name: 'files', explanation: 'code and mapped files', bytes: files },
    ],
    rss: array((k) => live[k]! + kept[k]! + other[k]! + files[k]!),
    note: 'Memory that is live but was never touched cannot be told from memory that is resident.',
  };
}

export function errors() {
  const act = { time_ns: 1_400_000_000, tid: 22873, thread: 'worker-1', function: 'free', backtrace: [FILL, HANDLE, MAIN] };
  const error = { kind: 'double_free', confidence: 'certain', why: '', times: 1, last_ns: 1_400_000_000, address: '0x559f6b7d0450', act, block: null, former: null };
  return { total: 1, kinds: [{ kind: 'double_free', errors: 1, times: 1 }], errors: [error], overwrites: [], more_errors: 0, undecided_total: 0,
    undecided: [], more_undecided: 0, guard: null, unexamined: 0 };
}

export function leaks() {
  const weight = (bytes: number, blocks: number) => ({ bytes, blocks });
  return {
    search: { number: 1, time_ns: 2_001_000_000, pause_ns: 3_400_000, bytes_read: 9_000_000, doubts: ['registers of 1 thread are not known'], is_open: false },
    searches: [{ number: 1, time_ns: 2_001_000_000 }], since: null,
    summary: { definite: weight(61_488, 366), indirect: weight(8_000, 40), possible: weight(320, 2), reachable: weight(120_000, 300), suppressed: weight(0, 0) },
    records: [
      { kind: 'definite', bytes: 61_488, blocks: 366, indirect: weight(8_000, 40), function: 'malloc', stack: 24,
        block: { block: 812, address: '0x559f6b7d0450', size: 168, retained: 336 }, path: [] },
      { kind: 'possible', bytes: 320, blocks: 2, indirect: weight(0, 0), function: 'operator new', stack: 16,
        block: { block: 4123, address: '0x559f6b7d9450', size: 160, retained: 160 },
        path: [{ in: 'root', what: 'variable', name: 'demo::registry', module: 'demo', tid: null, address: '0x559f6b7c8010' }] },
    ],
    hidden: { records: 0, bytes: 0, blocks: 0 }, suppressions: [],
  };
}

export function crash(end_ns: number) {
  const freed = { time_ns: end_ns - 12_400_000, tid: 22871, thread: 'demo', function: 'free', backtrace: [FILL, HANDLE, MAIN] };
  const allocated = { time_ns: end_ns - 400_000_000, tid: 22871, thread: 'demo', function: 'operator new', backtrace: [FILL, HANDLE, MAIN] };
  return {
    crashes: [{
      time_ns: end_ns, signal: 11, code: 1, access: 'read', address: '0x559f6b7d0468', ip: '0x559f6b412340', sp: '0x7ffd1c0012a0',
      instruction: 'mov rax, qword ptr [rdi+0x18]', message: null, sender: null,
      verdict: { kind: 'use_after_free', confidence: 'certain', what: 'use after free: 24 bytes into block #812',
        reason: 'The address lies in block #812, freed 12.4 ms earlier; nothing was allocated there since.' },
      blocks: [{ block: 812, relation: 'held', address: '0x559f6b7d0450', size: 168, usable: 168, offset: 24, allocated, freed, freed_ago_ns: 12_400_000 }],
      registers: [{ name: 'rdi', value: '0x559f6b7d0450', points_to: 'freed block #812' }, { name: 'rax', value: '0x0', points_to: null }],
      threads: [{ tid: 22873, name: 'worker-1', crashed: true, backtrace: [HANDLE, MAIN], complete: true },
        { tid: 22871, name: 'demo', crashed: false, backtrace: [MAIN], complete: true }],
      threads_missing: [], mappings: [{ start: '0x559f6b7cf000', end: '0x559f6c400000', access: 'rw-p', name: '[heap]', holds: true }],
      last_events: [],
    }],
    death: null,
  };
}
