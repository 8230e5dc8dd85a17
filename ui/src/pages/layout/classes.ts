// What the picture's colours mean: each way to colour sorts blocks into a few classes, with a legend.
//
// Ages and lifetimes are in decades below the length of the run, so that a run of a second and one of a day both use
// all colours; which class is which colour never depends on T.

import { upperBound } from '../../data/inpage/search.ts';
import { FREED, NEVER, type GroupBy, type ProcessData } from '../../data/types.ts';
import { OTHER, SIZE_CLASSES, category, mix, sequential, type Colour } from '../../ui/colour.ts';
import { functionName, place } from '../../ui/name.tsx';
import type { Theme } from '../../ui/theme.ts';
import { roundDuration } from '../../ui/units.ts';
import type { Classify } from './raster.ts';

export type ColourBy = 'site' | 'size' | 'age' | 'lifetime' | 'thread' | 'leak';
export const COLOURS: { id: ColourBy; name: string; hint: string }[] = [
  { id: 'site', name: 'site', hint: 'Who allocated: the first function outside allocators and their wrappers' },
  { id: 'size', name: 'size', hint: 'How many bytes were asked for' },
  { id: 'age', name: 'age', hint: 'How long before T the block was allocated' },
  { id: 'lifetime', name: 'lifetime', hint: 'How long the block lives in all, from its allocation to its free' },
  { id: 'thread', name: 'thread', hint: 'Which thread allocated' },
  { id: 'leak', name: 'leak', hint: 'Whether the block is ever freed, and what the search for leaks found' },
];

/** A class: what it is called, and its colour in a theme. */
export interface Class {
  label: string;
  /** Quietly after the label: where it is. */
  note?: string;
  colour: (theme: Theme) => Colour;
}

/** A way to colour, ready to use: `classify` gives 1 + the index into `classes`. */
export interface Classes {
  classes: Class[];
  classify: Classify;
  /** The same over time; `null`: there is none, as a block's class changes while it lives. */
  groups: Groups | null;
}

/** How groups of blocks are asked for (types.ts, `TimeMapQuery`), and the class of each: 1 + the index. */
export interface Groups {
  by: GroupBy;
  limits: readonly number[];
  classOf: (group: number) => number;
}

const DECADES = 5;
/** How far down the scale ages go: the faintest colours are too much like the grey of what is older. */
const AGED = 0.75;

/**
 * More is brighter in the dark theme and darker in the light one; the least still stands out from a hole. In the light
 * theme these are viridis' darker colours and on to black, so that seven classes can be told apart.
 */
export function scale(share: number, theme: Theme): Colour {
  if (theme === 'dark') return sequential(FAINTEST + (1 - FAINTEST) * share, theme);
  const at = share * (ON_LIGHT.length - 1);
  const below = Math.min(ON_LIGHT.length - 2, Math.floor(at));
  return mix(ON_LIGHT[below]!, ON_LIGHT[below + 1]!, at - below);
}
const FAINTEST = 0.36;
const ON_LIGHT: readonly Colour[] = [0x199474, 0x2a788e, 0x3f4788, 0x440154, 0x140010];

/** How blocks are coloured at a position; `sites` is the category of a site's frame. */
export function classesOf(by: ColourBy, data: ProcessData, t: number, sites: Map<number, number>): Classes {
  switch (by) {
    case 'site':
      return bySite(data, sites);
    case 'size':
      return bySize();
    case 'age':
      return byAge(data, t);
    case 'lifetime':
      return byLifetime(data);
    case 'thread':
      return byThread(data);
    case 'leak':
      return byLeak(data);
  }
}

function bySize(): Classes {
  const classes = SIZE_CLASSES.map(({ label }, index) => ({ label, colour: (theme: Theme) => scale(index / (SIZE_CLASSES.length - 1), theme) }));
  const limits = SIZE_CLASSES.slice(0, -1).map(({ most }) => most + 1);
  return { classes, classify: ({ size }, index) => 1 + upperBound(limits, size[index]!), groups: { by: 'size', limits, classOf: (group) => 1 + group } };
}

function bySite(data: ProcessData, sites: Map<number, number>): Classes {
  const { site, frames } = data.stacks;
  const ranked = [...sites].sort((x, y) => x[1] - y[1]).slice(0, OTHER);
  const classes: Class[] = ranked.map(([frame, rank]) => ({
    label: functionName(frames, frame) || '(no name)',
    note: place(frames, frame),
    colour: (theme) => category(rank, theme),
  }));
  classes.push({ label: 'other sites', colour: (theme) => category(OTHER, theme) });
  const index = new Map(ranked.map(([frame], at) => [frame, at]));
  const classOf = (frame: number) => 1 + (index.get(frame) ?? ranked.length);
  const ofStack = Uint8Array.from(site, classOf);
  return { classes, classify: ({ stack }, at) => ofStack[stack[at]!]!, groups: { by: 'site', limits: [], classOf } };
}

/** Lengths of time in decades: ends of all classes but the last, which has none. Nanoseconds. */
function decades(data: ProcessData): number[] {
  const run = Math.max(1e4, data.info.end_ns - data.info.start_ns);
  const top = Math.ceil(Math.log10(run) - 1e-9) - 1;
  return Array.from({ length: DECADES }, (_, step) => 10 ** (top - DECADES + 1 + step));
}

function byAge(data: ProcessData, t: number): Classes {
  const ends = decades(data);
  const now = data.times.of(t);
  // Positions compare faster than times: the first position of each age.
  const since = ends.map((age) => data.times.at(now - age));
  const classes: Class[] = ends.map((age, step) => ({
    label: `< ${roundDuration(age)}`,
    colour: (theme) => scale(1 - (AGED * step) / (DECADES - 1), theme),
  }));
  // What has been there all along recedes.
  classes.push({ label: 'older', colour: (theme) => category(OTHER, theme) });
  const classify: Classify = ({ born }, index) => {
    const position = born[index]!;
    if (position === NEVER) return 1 + DECADES;
    for (let step = 0; step < DECADES; step++) if (position >= since[step]!) return 1 + step;
    return 1 + DECADES;
  };
  return { classes, classify, groups: null };
}

function byLifetime(data: ProcessData): Classes {
  const ends = decades(data);
  const { times } = data;
  const classes: Class[] = ends.map((length, step) => ({
    label: `< ${roundDuration(length)}`,
    colour: (theme) => scale(step / DECADES, theme),
  }));
  classes.push({ label: 'longer', colour: (theme) => scale(1, theme) });
  classes.push({ label: 'never freed', colour: (theme) => category(6, theme) });
  const classify: Classify = ({ born, died }, index) => {
    if (died[index] === NEVER) return 2 + DECADES;
    const first = born[index] === NEVER ? data.info.start_ns : times.of(born[index]! + 1);
    return 1 + upperBound(ends, times.of(died[index]! + 1) - first);
  };
  return { classes, classify, groups: { by: 'lifetime', limits: ends, classOf: (group) => 1 + group } };
}

function byThread(data: ProcessData): Classes {
  const { threads } = data.info;
  const named = threads.slice(0, OTHER);
  const classes: Class[] = named.map(({ tid, name }, index) => ({
    label: name === '' ? `thread ${tid}` : name,
    note: name === '' ? '' : String(tid),
    colour: (theme) => category(index, theme),
  }));
  if (threads.length > OTHER) classes.push({ label: `${threads.length - OTHER} other threads`, colour: (theme) => category(OTHER, theme) });
  const classOf = (thread: number) => 1 + Math.min(OTHER, thread);
  return { classes, classify: ({ thread }, index) => classOf(thread[index]!), groups: { by: 'thread', limits: [], classOf } };
}

const ENDED = { label: 'freed later', category: OTHER };
const NOT_ENDED = { label: 'never freed', category: 1 };
/** By `Blocks.leak`, from 1. */
const FOUND: { label: string; category: number }[] = [
  { label: 'definite leak', category: 6 },
  { label: 'indirect leak', category: 3 },
  { label: 'possible leak', category: 4 },
  { label: 'never freed, reachable', category: 0 },
];

function byLeak(data: ProcessData): Classes {
  const shown = data.info.leaks === null ? [ENDED, NOT_ENDED] : [ENDED, ...FOUND, NOT_ENDED];
  const classes: Class[] = shown.map(({ label, category: index }) => ({ label, colour: (theme) => category(index, theme) }));
  const classOf = (found: number) => {
    if (found === FREED) return 1;
    return found === 0 || found > FOUND.length || classes.length === 2 ? classes.length : 1 + found;
  };
  const classify: Classify = ({ died, leak }, index) => classOf(died[index] !== NEVER ? FREED : leak[index]!);
  return { classes, classify, groups: { by: 'leak', limits: [], classOf } };
}
