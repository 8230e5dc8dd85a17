// Bins in words.

import { bytes, duration, roundBytes, roundDuration } from '../../ui/units.ts';
import { lifetimeFrom } from './terms.ts';

/** Under an axis: every third bin, so that labels do not touch. */
export function sizeLabel(bin: number): string {
  return bin % 3 === 0 ? roundBytes(2 ** bin) : '';
}

export function sizeWords(bin: number): string {
  if (bin <= 1) return bin === 0 ? '0 or 1 B' : '2 B';
  return bin === 2 ? '3 or 4 B' : `${bytes(2 ** (bin - 1) + 1)} to ${bytes(2 ** bin)}`;
}

/** Every second bin: a power of ten. */
export function lifetimeLabel(bin: number): string {
  return bin % 2 === 0 ? roundDuration(10 ** (bin / 2) * 1000) : '';
}

/** The labels of bins; where none of a few has one, the first says what it is. */
export function labelled(from: number, to: number, label: (bin: number) => string, words: (bin: number) => string): string[] {
  const labels = Array.from({ length: to - from }, (_, k) => label(from + k));
  return labels.some((it) => it !== '') ? labels : labels.map((_, k) => (k === 0 ? words(from) : ''));
}

export function lifetimeWords(bin: number): string {
  const end = duration(lifetimeFrom(bin + 1));
  return bin === 0 ? `less than ${end}` : `${duration(lifetimeFrom(bin))} to ${end}`;
}
