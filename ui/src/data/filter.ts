// The filter: one line of words that all must hold of a block; docs/page.md, The filter.
//
//   fn:parse file:src/*.cpp size:>=64Ki life:<1ms thread:2 born:0.2s..0.4s alive:0.5s leaked -mod:libfoo addr:0x5555..
//
// This file reads it; `inpage/mask.ts` asks blocks, `complete.ts` offers what may be written.

/** Numbers from `lo` to `hi`; the ends belong to it unless they are open. */
export interface Interval {
  lo: number;
  hi: number;
  openLo: boolean;
  openHi: boolean;
}

/** What a word asks of a block. Times in nanoseconds since the recording began. */
export type Test =
  | { kind: 'text'; field: TextField; pattern: Pattern }
  | { kind: 'measure'; field: MeasureField; within: Interval }
  | { kind: 'alive'; time_ns: number }
  | { kind: 'thread'; thread: string }
  | { kind: 'addr'; within: Interval }
  | { kind: 'id'; id: number }
  | { kind: 'flag'; flag: Flag }
  | { kind: 'leak'; kinds: number[] }
  | { kind: 'api'; name: string };

/** `any`: a word without a key: function, file or module. `site`: of the call site only. */
export type TextField = 'fn' | 'file' | 'mod' | 'site' | 'any';
export type MeasureField = 'size' | 'usable' | 'life' | 'age' | 'born' | 'freed' | 'realloc';
export type Flag = 'leaked' | 'temp' | 'inherited';

/** A word, and where in the text it stands. */
export interface Token {
  from: number;
  to: number;
  /** `-word`: it must not hold. */
  not: boolean;
  test: Test;
}

export interface WrongToken {
  from: number;
  to: number;
  message: string;
}

/** The keys, with what they ask. */
export const KEYS: Record<string, string> = {
  fn: 'a function of the backtrace: fn:parse',
  file: 'a source file of the backtrace: file:src/*.cpp',
  mod: 'a module of the backtrace: mod:libfoo',
  site: 'the function of the call site: site:main',
  size: 'bytes asked for: size:>=64Ki, size:16..64',
  usable: 'bytes usable: usable:>1Mi',
  life: 'from allocation to free: life:<1ms',
  age: 'from allocation to the moment shown: age:>1s',
  born: 'when allocated: born:0.2s..0.4s',
  freed: 'when freed: freed:>1s',
  alive: 'live at this time: alive:0.5s',
  thread: 'the thread that allocated: thread:2, thread:worker',
  addr: 'where it lies: addr:0x5555…, addr:0x5555..0x6666',
  id: 'its number: id:41237',
  leak: 'leak class: leak:definite',
  api: 'the function called: api:realloc, api:operator-new',
  realloc: 'reallocs that led to it: realloc:>3',
};

/** Words without a value. */
export const WORDS: Record<string, string> = {
  leaked: 'never freed',
  temp: 'freed before the same thread’s next allocation',
  inherited: 'from the parent, over fork',
  realloc: 'came of a realloc',
};

export const LEAKS = ['none', 'definite', 'indirect', 'possible', 'reachable'];

/** Reads a filter. Wrong words are told of and left out; a page keeps its last right filter while there are any. */
export function parseFilter(text: string): { tokens: Token[]; wrong: WrongToken[] } {
  const tokens: Token[] = [];
  const wrong: WrongToken[] = [];
  for (const { 0: word, index: from } of text.matchAll(/(?:"[^"]*"?|[^\s"])+/g)) {
    const to = from + word.length;
    const not = word.startsWith('-') && word.length > 1;
    const test = testOf(not ? word.slice(1) : word);
    if (typeof test === 'string') wrong.push({ from, to, message: test });
    else tokens.push({ from, to, not, test });
  }
  return { tokens, wrong };
}

/** What a word asks, or why it asks nothing. */
function testOf(word: string): Test | string {
  const written = /^([a-z]+)(:|(?=[<>=]))(.*)$/s.exec(word);
  const value = unquoted(written?.[3] ?? '');
  const key = written?.[1] ?? '';
  // `std::string` and `operator<` are names.
  const isName = !written || (!Object.hasOwn(KEYS, key) && (written[2] === '' || value.startsWith(':')));
  if (isName) return wordTest(word, unquoted(word));
  if (!Object.hasOwn(KEYS, key)) {
    return `there is no ${key}: — known are ${Object.keys(KEYS).join(', ')}`;
  }
  if (value === '') return `${key}: needs a value, as in ${example(key)}`;
  return keyTest(key, value) ?? `${key}: cannot be “${value}”; write it as in ${example(key)}`;
}

function wordTest(word: string, value: string): Test | string {
  if (word === 'realloc') return { kind: 'measure', field: 'realloc', within: { lo: 1, hi: Infinity, openLo: false, openHi: false } };
  if (word === 'leaked' || word === 'temp' || word === 'inherited') return { kind: 'flag', flag: word };
  const id = /^#(\d{1,15})$/.exec(word);
  if (id) return { kind: 'id', id: Number(id[1]) };
  return value === '' ? 'there is nothing between the quotes' : { kind: 'text', field: 'any', pattern: new Pattern(value) };
}

function keyTest(key: string, value: string): Test | null {
  switch (key) {
    case 'fn':
    case 'file':
    case 'mod':
    case 'site':
      return { kind: 'text', field: key, pattern: new Pattern(value) };
    case 'size':
    case 'usable':
      return measure(key, interval(value, parseBytes));
    case 'realloc':
      return measure(key, interval(value, parseCount));
    case 'life':
    case 'age':
    case 'born':
    case 'freed':
      return measure(key, interval(value, parseTime));
    case 'alive': {
      const time_ns = parseTime(value);
      return time_ns === null ? null : { kind: 'alive', time_ns };
    }
    case 'thread':
      return { kind: 'thread', thread: value };
    case 'addr': {
      const within = interval(value, parseAddress);
      return within && { kind: 'addr', within };
    }
    case 'id': {
      const id = parseCount(value);
      return id === null ? null : { kind: 'id', id };
    }
    case 'leak': {
      const kinds = LEAKS.flatMap((name, kind) => (value.split(',').includes(name) ? [kind] : []));
      return kinds.length === value.split(',').length ? { kind: 'leak', kinds } : null;
    }
    default:
      return { kind: 'api', name: apiName(value) };
  }
}

function measure(field: MeasureField, within: Interval | null): Test | null {
  return within && { kind: 'measure', field, within };
}

/** `>=64Ki`, `<1ms`, `=8`, `8`, `1..4` (both ends belong to it), `1..`, `..4`. */
function interval(text: string, parse: (text: string) => number | null): Interval | null {
  const range = /^(.*?)\.\.(.*)$/.exec(text);
  if (range) {
    const lo = range[1] === '' ? -Infinity : parse(range[1]!);
    const hi = range[2] === '' ? Infinity : parse(range[2]!);
    return lo === null || hi === null || lo > hi || text === '..' ? null : { lo, hi, openLo: false, openHi: false };
  }
  const [, sign, rest] = /^(<=|>=|<|>|=|)(.*)$/s.exec(text)!;
  const value = parse(rest!);
  if (value === null) return null;
  if (sign === '<' || sign === '<=') return { lo: -Infinity, hi: value, openLo: false, openHi: sign === '<' };
  if (sign === '>' || sign === '>=') return { lo: value, hi: Infinity, openLo: sign === '>', openHi: false };
  return { lo: value, hi: value, openLo: false, openHi: false };
}

export function isWithin(value: number, { lo, hi, openLo, openHi }: Interval): boolean {
  return (openLo ? value > lo : value >= lo) && (openHi ? value < hi : value <= hi);
}

const NUMBER = /^(\d+(?:\.\d+)?|\.\d+)\s*([a-zA-Zµμ]*)$/;

/** `64`, `64Ki`, `64K`, `64KiB`, `1.5M`: powers of 1024. */
export function parseBytes(text: string): number | null {
  const match = NUMBER.exec(text);
  const power = match ? ['', 'k', 'm', 'g', 't'].indexOf(match[2]!.replace(/i?b?$/i, '').toLowerCase()) : -1;
  return power < 0 ? null : Number(match![1]) * 1024 ** power;
}

const TIMES: Record<string, number> = { '': 1e9, s: 1e9, ms: 1e6, us: 1e3, 'µs': 1e3, 'μs': 1e3, ns: 1, min: 60e9 };

/** `0.5s`, `20ms`, `17us`, `17µs`; without a unit seconds. In nanoseconds. */
export function parseTime(text: string): number | null {
  const match = NUMBER.exec(text);
  const unit = match && Object.hasOwn(TIMES, match[2]!) ? TIMES[match[2]!]! : null;
  // Rounded: 0.521013 s is that many microseconds, not a little less.
  return unit === null ? null : Math.round(Number(match![1]) * unit);
}

function parseCount(text: string): number | null {
  return /^\d{1,15}$/.test(text) ? Number(text) : null;
}

function parseAddress(text: string): number | null {
  return /^0x[0-9a-f]{1,14}$/i.test(text) || /^\d{1,15}$/.test(text) ? Number(text) : null;
}

function unquoted(text: string): string {
  return text.replaceAll('"', '');
}

/** The function called, in one word: `operator-new`. */
export function apiName(api: string): string {
  return api.replaceAll(' ', '-');
}

/** The example of a key. */
function example(key: string): string {
  return KEYS[key]!.slice(KEYS[key]!.indexOf(': ') + 2);
}

/** A text that is sought anywhere; `*` stands for any text. Case counts only where a capital is written. */
export class Pattern {
  readonly text: string;
  readonly #pieces: string[];
  readonly #exact: boolean;

  constructor(text: string) {
    this.text = text;
    this.#exact = text !== text.toLowerCase();
    this.#pieces = text.split('*');
  }

  matches(text: string): boolean {
    const where = this.#exact ? text : text.toLowerCase();
    let at = 0;
    for (const piece of this.#pieces) {
      const found = where.indexOf(piece, at);
      if (found < 0) return false;
      at = found + piece.length;
    }
    return true;
  }
}
