// What the page Layout shows: its own piece of the state in the URL, and what follows from it.

import { computed, signal } from '@preact/signals';
import type { Layout, Region } from '../../data/types.ts';
import { data, markA, markB } from '../../state/state.ts';
import { flag, integer, oneOf, param, text, type Codec } from '../../state/params.ts';
import type { ColourBy } from './classes.ts';
import { Columns, Geometry, LEAST_ZOOM, MOST_ZOOM, fitZoom, runsOf, type Segment } from './geometry.ts';

export type View = 'rows' | 'pages' | 'time';

const none: Codec<number | null> = {
  write: (value) => (value === null ? '' : String(value)),
  parse: (written) => integer.parse(written) ?? null,
};
const hex: Codec<number | null> = {
  write: (value) => (value === null ? '' : value.toString(16)),
  parse: (written) => (/^[0-9a-f]{1,13}$/.test(written) ? parseInt(written, 16) : null),
};

export const view = param<View>('map', 'rows', oneOf('rows', 'pages', 'time'));
export const colourBy = param<ColourBy>('map-colour', 'site', oneOf('site', 'size', 'age', 'lifetime', 'thread', 'leak'));
/** What blocks are coloured by. Over time not by age, which grows while a block lives: by site then. */
export const colouredBy = computed<ColourBy>(() => (view.value === 'time' && colourBy.value === 'age' ? 'site' : colourBy.value));
/** Rows of 2^k bytes; 0: so that all fits. */
export const zoom = param('map-zoom', 0, integer);
/** The address at the top; `null`: the first. */
export const top = param('map-top', null, hex);
/** An address of the region that alone is shown; `null`: all. */
export const region = param('map-region', null, hex);
/** The frame of the site whose blocks alone have colours. */
export const only = param('map-only', null, none);
/** The frame of the site whose nearly empty pages are outlined. */
export const pin = param('map-pin', null, none);
/** Whether what changed from mark A to mark B is shown. */
export const diff = param('map-changes', false, flag);
/** Blocks freed within so many milliseconds before T are shown as ghosts; 0: none. */
export const ghosts = param('map-ghosts', 0, integer);
/** Whether a table stands in the picture's place. */
export const asTable = param('map-table', false, flag);
/** The part of the time × address picture that is seen: `first position-last position`, `lowest-highest address`. */
export const timeWindow = param('map-time', '', text);
export const addressWindow = param('map-range', '', text);

/** All stretches of the address space in which blocks were seen, by address; grows as moments are looked at. */
export const ground = signal<Segment[]>([]);
/** Where the live blocks lie at a moment that T has rested at. */
export const layout = signal<{ t: number; layout: Layout } | null>(null);

/** Room for the picture, CSS pixels, without the gutter. */
export const room = signal({ width: 800, height: 500, scale: 1 });
export const GUTTER = 114;
const HEAD = 20;
/** Runs have heads if these take no more than so much of the height; else there is only space between them. */
const HEADS_SHARE = 0.3;
const GAP = 4;

/** Whether there is little room: the page's width, not the window's, decides, as the inspector takes some. */
export const narrow = computed(() => room.value.width < NARROW);
const NARROW = 640;

/** The segments in the picture. */
export const shown = computed<Segment[]>(() => {
  const wanted = region.value;
  const one = wanted === null ? undefined : ground.value.find(({ start, end }) => wanted >= start && wanted < end);
  return one === undefined ? ground.value : [one];
});

/** The regions of live blocks in a segment: at a moment it need not be full, nor begin where blocks were seen at others. */
export function regionsIn({ regions }: Layout, { start, end }: Segment): Region[] {
  return regions.filter((it) => it.start < end && it.end > start);
}

/** Those in the picture. */
export function regionsShown(now: Layout): Region[] {
  return region.value === null ? now.regions : shown.value.flatMap((segment) => regionsIn(now, segment));
}

/** Marks as positions; `null` until both are set. */
export const marks = computed(() => {
  const [from, to] = [integer.parse(markA.value), integer.parse(markB.value)];
  return from === undefined || to === undefined ? null : { a: Math.min(from, to), b: Math.max(from, to) };
});
/** Whether the picture is one of changes. */
export const changing = computed(() => diff.value && marks.value !== null && view.value !== 'time');

const headPx = (height: number) => (count: number) => (count * HEAD > HEADS_SHARE * height ? GAP : HEAD);
/** Rows at a zoom that was chosen; of few bytes they have room for names. */
const rowHeight = (exponent: number) => (exponent <= 14 ? 20 : 13);
const leastRow = (exponent: number) => (exponent <= 14 ? 15 : 9);
const MOST_ROW = 28;
const MOST_CELL = 22;
const LEAST_CELL = 3;

/** Where everything is, for the rows and the pages. */
export const geometry = computed<Geometry>(() => {
  const segments = shown.value;
  const { width, height } = room.value;
  const head = headPx(height);
  const at = (exponent: number, rowPx: number) => new Geometry(segments, exponent, width, rowPx, head(runsOf(segments, 2 ** exponent).length));
  if (view.value === 'pages') {
    const { least, most, cell } = pageCells(width);
    const wanted = zoom.value !== 0 ? zoom.value : fitZoom(segments, height, cell, head, least);
    const exponent = Math.max(least, Math.min(most, wanted));
    return at(exponent, cell(exponent));
  }
  if (zoom.value !== 0) {
    const exponent = Math.max(LEAST_ZOOM, Math.min(MOST_ZOOM, zoom.value));
    return at(exponent, rowHeight(exponent));
  }
  const fit = fitZoom(segments, height, leastRow, head, LEAST_ZOOM);
  const tight = at(fit, leastRow(fit));
  const rows = (tight.height - tight.runs.length * tight.headPx) / tight.rowPx;
  const grown = Math.floor((height - tight.runs.length * tight.headPx) / Math.max(1, rows));
  return at(fit, Math.max(leastRow(fit), Math.min(MOST_ROW, grown)));
});

/** Cells of pages are squares: how large at a zoom, and the zooms at which they are neither too small nor too large. */
function pageCells(width: number) {
  const page = data.value.info.page_bytes;
  return {
    cell: (exponent: number) => width / (2 ** exponent / page),
    least: Math.ceil(Math.log2((page * width) / MOST_CELL)),
    most: Math.floor(Math.log2((page * width) / LEAST_CELL)),
  };
}

/** The columns of a row: pixels of the screen, or pages. */
export const columns = computed<Columns>(() => {
  const { rowBytes, width } = geometry.value;
  if (view.value === 'pages') return new Columns(rowBytes, rowBytes / data.value.info.page_bytes);
  return new Columns(rowBytes, Math.max(1, Math.round(width * room.value.scale)));
});

/** How far the picture is scrolled, CSS pixels. */
export const scrolled = computed(() => {
  const { height } = geometry.value;
  const wanted = top.value === null ? 0 : geometry.value.topOf(top.value);
  return Math.max(0, Math.min(wanted, height - room.value.height));
});

/** Whether there is more than is in sight. */
export const scrolls = computed(() => geometry.value.height > room.value.height + 1);

export const visibleRows = computed(() => geometry.value.rows(scrolled.value, room.value.height));

/** Shows the row at a height of the whole picture first. */
export function scrollTo(y: number): void {
  const { height } = geometry.value;
  const wanted = Math.max(0, Math.min(y, height - room.value.height));
  const row = geometry.value.rows(wanted, 1)[0] ?? geometry.value.rows(wanted, geometry.value.rowPx * 3 + HEAD)[0];
  top.value = row === undefined || wanted === 0 ? null : row.lo;
}

/** Zooms by steps of two, keeping an address where it is: `y` is its height in the visible picture. */
export function zoomBy(steps: number, address?: number, y = 0): void {
  const before = geometry.value;
  const kept = address ?? before.rows(scrolled.value, room.value.height)[0]?.lo;
  const next = before.zoom - steps;
  if (next < LEAST_ZOOM || next > MOST_ZOOM || kept === undefined) return;
  zoom.value = next;
  const place = geometry.value.place(kept);
  if (place !== null) scrollTo(place.row.y - y);
}

/** All of it again. */
export function zoomToFit(): void {
  zoom.value = 0;
  top.value = null;
}

/** Shows an address, in its own region if only another one is shown; closely where it is far out. */
export function showAddress(address: number, closest = 16): boolean {
  const segment = ground.value.find(({ start, end }) => address >= start && address < end);
  if (segment === undefined) return false;
  if (region.value !== null) region.value = segment.start;
  if (view.value === 'time') view.value = 'rows';
  if (geometry.value.zoom > closest && view.value === 'rows') zoom.value = closest;
  const place = geometry.value.place(address)!;
  scrollTo(place.row.y - room.value.height / 3);
  return true;
}
