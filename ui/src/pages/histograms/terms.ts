// Words of the filter that a bar stands for.

import { filter } from '../../state/state.ts';

/** The word for sizes of a bin: bin k holds 2^(k-1)+1 … 2^k, bin 0 holds 0 and 1. */
export function sizeTerm(bin: number): string {
  return bin === 0 ? 'size:0..1' : `size:${2 ** (bin - 1) + 1}..${2 ** bin}`;
}

/** Where a bin of lifetimes begins, in nanoseconds: bin k holds 10^(k/2) … 10^((k+1)/2) µs, its end not included. */
export function lifetimeFrom(bin: number): number {
  return bin === 0 ? 0 : Math.ceil(10 ** (bin / 2) * 1000);
}

export function lifetimeTerm(bin: number): string {
  return `life:${exactly(lifetimeFrom(bin))}..${exactly(lifetimeFrom(bin + 1) - 1)}`;
}

/** A time without loss, in the largest unit that it is one of: `31.622776ms`. */
function exactly(ns: number): string {
  for (const [unit, length] of [['s', 1e9], ['ms', 1e6], ['us', 1e3]] as const) {
    if (ns >= length) return `${ns / length}${unit}`;
  }
  return `${ns}ns`;
}

/** The words of a filter: what is in quotes is one. */
function words(text: string): string[] {
  return text.match(/(?:[^\s"]|"[^"]*"?)+/g) ?? [];
}

export function hasTerm(term: string): boolean {
  return words(filter.value).includes(term);
}

/** Puts words into the filter, each in place of the others of its kind; where they all are in it, takes them out. */
export function toggleTerms(...terms: string[]): void {
  const now = words(filter.peek());
  const kinds = terms.map((term) => term.slice(0, term.indexOf(':') + 1));
  const rest = now.filter((word) => !kinds.some((kind) => word.startsWith(kind)));
  filter.value = (terms.every((term) => now.includes(term)) ? rest : [...rest, ...terms]).join(' ');
}
