// How frames look: their colour, their words.

import type { Stacks } from '../../data/types.ts';
import { nodeName } from '../../tree/shared.ts';
import { value, type View } from '../../tree/view.ts';
import { category, type Colour, difference, mix, OTHER } from '../../ui/colour.ts';
import type { Theme } from '../../ui/theme.ts';
import { inUnit, percent } from '../../ui/units.ts';
import type { Box } from './boxes.ts';
import type { Look } from './paint.ts';

export interface Looks {
  view: View;
  stacks: Stacks;
  theme: Theme;
  colouring: 'module' | 'site' | 'change';
  /** Key of a module or a site's function → its category. */
  categories: Map<number, number>;
  /** Functions that are the call site of something. */
  sites: ReadonlySet<number>;
  /** Functions that fit what is searched for; null: nothing is. */
  fits: Uint8Array | null;
}

export function look(looks: Looks, box: Box): Look {
  const { view, stacks } = looks;
  const own = value(view, box.node);
  const fn = view.shape.fn(box.node);
  return {
    colour: colourOf(looks, box.node),
    words: () => ({ name: lineOf(view, stacks, box.node), number: inUnit(own, view.unit, view.signed) }),
    dim: looks.fits !== null && looks.fits[fn] !== 1,
    change: looks.colouring === 'change' ? Math.sign(own) : 0,
  };
}

/** Names on one line, by their frame: they are drawn again and again while T moves. */
const lines = new WeakMap<Stacks, Map<number, string>>();

function lineOf({ shape }: View, stacks: Stacks, node: number): string {
  if (shape.fn(node) < 0) return nodeName(shape, stacks, node);
  const known = lines.get(stacks) ?? new Map<number, string>();
  lines.set(stacks, known);
  const frame = shape.frame(node);
  let line = known.get(frame);
  if (line === undefined) known.set(frame, (line = nodeName(shape, stacks, node).replace(/\s+/g, ' ')));
  return line;
}

/** A change as a share of what there was, with its sign. */
export function shownShare(change: number, before: number): string {
  return `${change > 0 ? '+' : change < 0 ? '\u2212' : ''}${percent(Math.abs(change), before)}`;
}

const NEUTRAL: Record<Theme, Colour> = { dark: 0x303a44, light: 0xd9e0e7 };

function colourOf({ view, stacks, theme, colouring, categories, sites }: Looks, node: number): Colour {
  const fn = view.shape.fn(node);
  if (colouring === 'change') {
    const most = view.width.total(node);
    if (most === 0) return NEUTRAL[theme];
    // Any change is seen as one; where more and less cancel out, the colour is weaker.
    const net = value(view, node);
    return quiet(difference(0.25 * Math.sign(net) + (0.75 * net) / most, theme), theme);
  }
  if (fn < 0) return NEUTRAL[theme];
  if (colouring === 'site') return sites.has(fn) ? soft(category(categories.get(fn) ?? OTHER, theme), fn, theme) : NEUTRAL[theme];
  return soft(category(categories.get(stacks.frames.module[view.shape.frame(node)]!) ?? OTHER, theme), fn, theme);
}

/** Quieter than in a small mark: frames are large, and text stands on them. */
export function quiet(colour: Colour, theme: Theme): Colour {
  return theme === 'dark' ? mix(colour, 0x0f1317, 0.46) : mix(colour, 0xffffff, 0.5);
}

/** A little different for each function, so that neighbours can be told apart. */
function soft(colour: Colour, fn: number, theme: Theme): Colour {
  const shade = ((Math.imul(fn + 1, 0x9e3779b1) >>> 24) / 255 - 0.5) * 0.2;
  const base = quiet(colour, theme);
  return shade > 0 ? mix(base, 0xffffff, shade) : mix(base, 0x000000, -shade);
}
