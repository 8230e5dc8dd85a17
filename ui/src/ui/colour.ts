// The colours of data. A colour is a number, 0xRRGGBB.
//
// Categories are Okabe and Ito's seven and a grey for the rest; in the light theme darker, so that each has at least
// 3:1 against a hole, and so chosen that neighbours differ for those who do not see green. Which thing has which colour
// is decided by its rank in the whole run: it does not change while T moves. Meaning is never in colour alone.

import type { ProcessData } from '../data/types.ts';
import { wholeRunWeights } from '../state/weights.ts';
import type { Theme } from './theme.ts';

export type Colour = number;

/** Seven colours for the seven largest, the last for all others. */
const CATEGORIES: Record<Theme, readonly Colour[]> = {
  dark: [0x56b4e9, 0xe69f00, 0x009e6e, 0xcc79a7, 0xf0e442, 0x0077bb, 0xd55e00, 0x6b7094],
  light: [0x398fc4, 0xb37b00, 0x008049, 0x9b3f92, 0x6a6300, 0x004f80, 0xc04008, 0x7d8894],
};

/** The category of what has no colour of its own. */
export const OTHER = 7;

export function category(index: number, theme: Theme): Colour {
  return CATEGORIES[theme][Math.min(index, OTHER)]!;
}

/** Viridis at sixteenths. */
const VIRIDIS = [
  0x440154, 0x48186a, 0x472d7b, 0x424086, 0x3b528b, 0x33638d, 0x2c728e, 0x26828e, 0x21918c, 0x1fa088, 0x28ae80, 0x3fbc73,
  0x5ec962, 0x84d44b, 0xaddc30, 0xd8e219, 0xfde725,
];

/** More is brighter in the dark theme and darker in the light one; `share` is 0 to 1. */
export function sequential(share: number, theme: Theme): Colour {
  const x = Math.max(0, Math.min(1, share));
  return viridis(theme === 'dark' ? 0.15 + 0.85 * x : 0.85 * (1 - x));
}

function viridis(x: number): Colour {
  const at = x * (VIRIDIS.length - 1);
  const below = Math.min(VIRIDIS.length - 2, Math.floor(at));
  return mix(VIRIDIS[below]!, VIRIDIS[below + 1]!, at - below);
}

const DIFF: Record<Theme, { less: Colour; same: Colour; more: Colour }> = {
  dark: { less: 0x56b4e9, same: 0x3a434d, more: 0xe8853a },
  light: { less: 0x0072b2, same: 0xd5dbe1, more: 0xd55e00 },
};

/** Blue for less, orange for more, grey for the same; `change` is -1 to 1. */
export function difference(change: number, theme: Theme): Colour {
  const { less, same, more } = DIFF[theme];
  return mix(same, change < 0 ? less : more, Math.min(1, Math.abs(change)));
}

/** Classes of block sizes, by their largest size. */
export const SIZE_CLASSES: readonly { most: number; label: string }[] = [
  { most: 16, label: '≤ 16 B' },
  { most: 64, label: '64 B' },
  { most: 256, label: '256 B' },
  { most: 1024, label: '1 KiB' },
  { most: 4096, label: '4 KiB' },
  { most: 16384, label: '16 KiB' },
  { most: Infinity, label: '> 16 KiB' },
];

/** Between two colours; `share` 0 is the first. */
export function mix(from: Colour, to: Colour, share: number): Colour {
  const part = (shift: number) => {
    const [x, y] = [(from >> shift) & 255, (to >> shift) & 255];
    return Math.round(x + (y - x) * share) << shift;
  };
  return part(16) | part(8) | part(0);
}

export function css(colour: Colour): string {
  return `#${colour.toString(16).padStart(6, '0')}`;
}

/** As `ImageData` seen as little-endian words wants it, opaque. */
export function pixel(colour: Colour): number {
  return (0xff000000 | ((colour & 0xff) << 16) | (colour & 0xff00) | (colour >> 16)) >>> 0;
}

/** Black or white, whichever is easier to read on a colour. */
export function inkOn(colour: Colour): string {
  return luminance(colour) > 0.19 ? '#0b0f13' : '#ffffff';
}

/** Relative luminance, as WCAG defines it. */
export function luminance(colour: Colour): number {
  const part = (shift: number) => {
    const value = ((colour >> shift) & 255) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  };
  return 0.2126 * part(16) + 0.7152 * part(8) + 0.0722 * part(0);
}

/** The categories of things by their weight in the whole run: the seven heaviest have one each, ties by the smaller key. */
export function byRank(weights: Map<number, number>): Map<number, number> {
  const heaviest = [...weights].filter(([, weight]) => weight > 0).sort((x, y) => y[1] - x[1] || x[0] - y[0]);
  return new Map(heaviest.slice(0, OTHER).map(([key], rank) => [key, rank]));
}

/** What stacks are told apart by. */
export type Kind = 'site' | 'fn';

/** The key by which a call site's frame is told apart; frames of one key have one colour. */
export function keyOf(data: ProcessData, frame: number, kind: Kind): number {
  return kind === 'site' ? frame : data.stacks.frames[kind][frame]!;
}

const ranked = new WeakMap<ProcessData, Map<Kind, Promise<Map<number, number>>>>();

/** Key of `keyOf` → category, by the call site's bytes at the peak and those never freed, of the whole run. */
export function categories(data: ProcessData, kind: Kind): Promise<Map<number, number>> {
  const known = ranked.get(data) ?? new Map<Kind, Promise<Map<number, number>>>();
  ranked.set(data, known);
  const asked = known.get(kind) ?? rank(data, kind);
  known.set(kind, asked);
  return asked;
}

async function rank(data: ProcessData, kind: Kind): Promise<Map<number, number>> {
  const weights = new Map<number, number>();
  for (const metric of ['peak', 'leaked'] as const) {
    const { bytes } = await wholeRunWeights(data, metric);
    for (let stack = 0; stack < bytes.length; stack++) {
      if (bytes[stack] === 0) continue;
      const key = keyOf(data, data.stacks.site[stack]!, kind);
      weights.set(key, (weights.get(key) ?? 0) + bytes[stack]!);
    }
  }
  return byRank(weights);
}
