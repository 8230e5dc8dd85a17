// The picture that is in sight, and what its colours mean. One question is on its way at a time: while T is dragged
// faster than answers come, each answer is shown and the newest moment is asked for next.

import { computed, effect, signal } from '@preact/signals';
import { data, filter, t } from '../../state/state.ts';
import { categories, difference, type Colour } from '../../ui/colour.ts';
import type { Theme } from '../../ui/theme.ts';
import { classesOf, scale, type Class, type Classes } from './classes.ts';
import type { Quiet } from './paint.ts';
import { changes, haunt, rasterAt, APPEARED, type Look, type Picture, type Sight } from './picture.ts';
import { changing, colouredBy, columns, geometry, ghosts, ground, layout, marks, only, scrolled, view, visibleRows } from './view.ts';

export const picture = signal<Picture | null>(null);
export const failure = signal('');
const ranks = signal<Map<number, number> | null>(null);

/** How blocks are coloured. */
export const classes = computed<Classes>(() => {
  const by = colouredBy.value;
  return classesOf(by, data.value, by === 'age' ? t.value : 0, ranks.value ?? new Map());
});

/** The fullest are not the brightest there are: what matters is hardly used pages. These are outlined, too. */
const FULL = 0.72;
const FILLS: Class[] = ['< 25 % used', '< 50 %', '< 75 %', '< 100 %', 'full'].map((label, index) => ({
  label,
  colour: (theme) => fillColour(index, theme),
}));

/** The colour of a class of `fillClass`, from 0. */
export function fillColour(index: number, theme: Theme): Colour {
  return scale((FULL * index) / 4, theme);
}

const CHANGES: Class[] = [
  { label: 'appeared', colour: (theme) => difference(1, theme) },
  { label: 'gone', colour: (theme) => difference(-1, theme) },
  { label: 'stayed', colour: (theme) => (theme === 'dark' ? 0x6b7682 : 0x7d8894) },
];

const wanted = computed<Look>(() => (changing.value ? 'changes' : view.value === 'pages' ? 'pages' : 'classes'));

/** What the colours of a picture of this kind mean. */
function classesFor(kind: Look): Class[] {
  return kind === 'classes' ? classes.value.classes : kind === 'pages' ? FILLS : CHANGES;
}
export const legend = computed(() => classesFor(wanted.value));
export const shownClasses = computed(() => classesFor(picture.value?.look ?? wanted.value));

/** What the filter keeps of a moment: the births of the blocks. */
export interface Kept {
  births: Set<number>;
  blocks: number;
  too_many: boolean;
}

/** Of the moment that T last rested at; `null`: there is no filter. */
export const kept = signal<Kept | null>(null);
const MOST_KEPT = 200_000;

/** What has no colour, because one site alone is shown or the filter does not keep it; `null`: all has. */
export const quiet = computed<Quiet | null>(() => {
  if (view.value === 'pages') return null;
  const [site, found] = [only.value, changing.value || kept.value?.too_many ? null : kept.value];
  if (site === null && found === null) return null;
  const of = data.value.stacks.site;
  return (stack, born) => (site !== null && of[stack] !== site) || (found !== null && !found.births.has(born));
});

/** Asks what the filter keeps whenever T rests; gives back how to stop. */
export function followFilter(): () => void {
  let abort = new AbortController();
  const stop = effect(() => {
    const [q, now] = [filter.value, layout.value];
    abort.abort();
    const own = (abort = new AbortController());
    if (q.trim() === '' || now === null) {
      kept.value = null;
      return;
    }
    const query = { metric: 'live', t: now.t, a: 0, b: 0, q, sort: 'id', descending: false, offset: 0, limit: MOST_KEPT } as const;
    void data.peek().blocks(query, own.signal).then(
      ({ rows, total }) => own.signal.aborted || (kept.value = { births: new Set(rows.born), blocks: total.blocks, too_many: total.blocks > MOST_KEPT }),
      (error: unknown) => own.signal.aborted || (failure.value = error instanceof Error ? error.message : String(error)),
    );
  });
  return () => {
    stop();
    abort.abort();
    kept.value = null;
  };
}

/** Asks which sites have colours of their own; gives back how to stop. */
export function followSites(): () => void {
  return effect(() => {
    const of = data.value;
    void categories(of, 'site').then((found) => data.peek() === of && (ranks.value = found));
  });
}

/** Asks for what is in sight of the map, again and again as it changes; gives back how to stop. */
export function followPicture(): () => void {
  const abort = new AbortController();
  let busy = false;
  let stale = false;
  const next = async () => {
    busy = true;
    stale = false;
    try {
      const asked = ask(abort.signal);
      const answer = await asked;
      if (abort.signal.aborted) return;
      picture.value = answer;
      failure.value = '';
    } catch (error) {
      if (!abort.signal.aborted) failure.value = error instanceof Error ? error.message : String(error);
    }
    busy = false;
    if (stale) void next();
  };
  const stop = effect(() => {
    // Everything that `ask` depends on.
    void [data.value, geometry.value, columns.value, visibleRows.value, scrolled.value, t.value, classes.value];
    void [wanted.value, marks.value, ghosts.value];
    if (ground.value.length === 0) return;
    if (busy) stale = true;
    else void next();
  });
  return () => {
    abort.abort();
    stop();
    picture.value = null;
  };
}

async function ask(signal: AbortSignal): Promise<Picture> {
  const [of, position, kind] = [data.peek(), t.peek(), wanted.peek()];
  const sight: Sight = { geometry: geometry.peek(), rows: visibleRows.peek(), columns: columns.peek(), pages: kind === 'pages' };
  const base = { data: of, geometry: sight.geometry, scrolled: scrolled.peek(), look: kind };
  const { classify } = classes.peek();
  if (kind === 'changes') {
    const { a, b } = marks.peek()!;
    const far = { ...sight, pages: false };
    const before = await rasterAt(of, far, a, () => APPEARED, signal);
    const after = await rasterAt(of, far, b, () => APPEARED, signal);
    return { ...base, raster: changes(before, after, a), t: b };
  }
  const raster = await rasterAt(of, sight, position, classify, signal);
  if (ghosts.peek() === 0 || kind === 'pages') return { ...base, raster, t: position };
  const earlier = of.times.at(of.times.of(position) - ghosts.peek() * 1e6);
  return { ...base, raster: haunt(await rasterAt(of, sight, earlier, classify, signal), raster), t: position };
}

