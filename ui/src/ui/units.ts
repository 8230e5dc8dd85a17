// Bytes, counts and times as text; the same rules as the terminal's. The only place that knows them.

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** Three significant digits: `29.9 MiB`, `109 KiB`, `848 B`; negative ones with a minus sign. */
export function bytes(value: number): string {
  const sign = value < 0 ? '\u2212' : '';
  let rest = Math.abs(value);
  let unit = 0;
  while (unit < UNITS.length - 1 && Math.round(rest) >= 1024) {
    rest /= 1024;
    unit++;
  }
  return `${sign}${unit === 0 ? Math.round(rest) : significant(rest)} ${UNITS[unit]}`;
}

function significant(value: number): string {
  if (value >= 99.95) return value.toFixed(0);
  return value >= 9.995 ? value.toFixed(1) : value.toFixed(2);
}

/** For scales and settings, where numbers are round: `4 KiB`, `1.5 MiB`. */
export function roundBytes(value: number): string {
  return withoutZeros(bytes(value));
}

function withoutZeros(text: string): string {
  return text.replace(/(\.\d*?)0+ /, '$1 ').replace('. ', ' ');
}

/** `31,332,104`. */
export function count(value: number): string {
  return (value < 0 ? '\u2212' : '') + Math.abs(Math.round(value)).toString().replace(/\B(?=(\d{3})+$)/g, ',');
}

/** `1 block`, `1,200 blocks`. */
export function counted(value: number, what: string): string {
  return `${count(value)} ${what}${Math.abs(value) === 1 ? '' : 's'}`;
}

/** `31,332,104 B`. */
export function exactBytes(value: number): string {
  return `${count(value)} B`;
}

let runDigits = 3;

/** How many digits tell moments of a stretch of time apart: milliseconds, of short ones down to microseconds. */
export function timeDigits(length_ns: number): number {
  if (length_ns >= 1e8) return 3;
  return length_ns >= 1e7 ? 4 : length_ns >= 1e6 ? 5 : 6;
}

/** Times are written so that moments of a run of this length are told apart. */
export function setRunLength(length_ns: number): void {
  runDigits = timeDigits(length_ns);
}

/** Time since the start: `0.609 s`; of a short run, or with `digits`, finer. */
export function time(ns: number, digits = runDigits): string {
  return `${(ns / 1e9).toFixed(digits)} s`;
}

/** The same to the microsecond: `0.609031 s`. */
export function exactTime(ns: number): string {
  return `${(ns / 1e9).toFixed(6)} s`;
}

/** A length of time, three significant digits: `12.4 ms`. */
export function duration(ns: number): string {
  for (const [unit, length] of [['s', 1e9], ['ms', 1e6], ['µs', 1e3]] as const) {
    if (ns >= length) return `${significant(ns / length)} ${unit}`;
  }
  return `${Math.round(ns)} ns`;
}

/** The same of times that are multiples of the tape's tick: one of none is shorter than a tick. */
export function ticked(ns: number, tick_ns: number): string {
  return ns === 0 ? `< ${roundDuration(tick_ns)}` : duration(ns);
}

/** For settings, where numbers are round: `1 µs`. */
export function roundDuration(ns: number): string {
  return withoutZeros(duration(ns));
}

/** `80.3 %`; `<0.1 %` of what is not nothing, `>99.9 %` of what is not all; `–` of nothing. */
export function percent(part: number, whole: number): string {
  if (whole === 0) return '–';
  const value = (100 * part) / whole;
  if (value !== 0 && Math.abs(value) < 0.05) return '<0.1 %';
  if (value < 100 && value >= 99.95) return '>99.9 %';
  return `${Math.abs(value) >= 99.95 || value === 0 ? value.toFixed(0) : value.toFixed(1)} %`;
}

/** `0x559f6c0cccf0`. */
export function address(value: number): string {
  return `0x${value.toString(16)}`;
}

/** A value in the unit of the metric; of a change, `signed`, with its sign. */
export function inUnit(value: number, unit: 'bytes' | 'blocks', signed = false): string {
  return `${signed && value > 0 ? '+' : ''}${unit === 'bytes' ? bytes(value) : count(value)}`;
}
