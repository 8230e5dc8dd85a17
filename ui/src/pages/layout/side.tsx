// Beside the map: how fragmented the heap is at T, and who keeps nearly empty pages.

import { batch, signal } from '@preact/signals';
import type { Layout, Space } from '../../data/types.ts';
import { useQuery } from '../../state/query.ts';
import { data, select } from '../../state/state.ts';
import { Bar } from '../../ui/bar.tsx';
import { css } from '../../ui/colour.ts';
import { FrameName } from '../../ui/name.tsx';
import { theme } from '../../ui/theme.ts';
import { bytes, count, counted, exactBytes, percent, roundBytes } from '../../ui/units.ts';
import { holesBySize } from './holes.ts';
import { fillColour } from './seen.ts';
import { layout, pin, region, regionsIn, regionsShown, shown, view } from './view.ts';

const PAGES: { key: keyof Space['pages']; label: string; fill: number | null }[] = [
  { key: 'empty', label: 'empty', fill: null },
  { key: 'under_25', label: '< 25 %', fill: 0 },
  { key: 'under_50', label: '< 50 %', fill: 1 },
  { key: 'under_75', label: '< 75 %', fill: 2 },
  { key: 'under_100', label: '< 100 %', fill: 3 },
  { key: 'full', label: 'full', fill: 4 },
];

/** What is known of the region that alone is shown, or of all. */
function shownSpace(now: Layout): Space {
  return region.value === null ? now.total : regionsShown(now).map((it) => it.space).reduce(sum, NOTHING);
}

const NOTHING: Space = {
  span_bytes: 0, used_bytes: 0, live_bytes: 0, live_blocks: 0, slack_bytes: 0,
  holes: { count: 0, bytes: 0, largest_bytes: 0 },
  pages: { empty: 0, under_25: 0, under_50: 0, under_75: 0, under_100: 0, full: 0 },
};

function sum(x: Space, y: Space): Space {
  const pages = Object.fromEntries(PAGES.map(({ key }) => [key, x.pages[key] + y.pages[key]])) as unknown as Space['pages'];
  return {
    span_bytes: x.span_bytes + y.span_bytes,
    used_bytes: x.used_bytes + y.used_bytes,
    live_bytes: x.live_bytes + y.live_bytes,
    live_blocks: x.live_blocks + y.live_blocks,
    slack_bytes: x.slack_bytes + y.slack_bytes,
    holes: {
      count: x.holes.count + y.holes.count,
      bytes: x.holes.bytes + y.holes.bytes,
      largest_bytes: Math.max(x.holes.largest_bytes, y.holes.largest_bytes),
    },
    pages,
  };
}

/** Bytes above the last live block of each region shown, up to where blocks were seen at other moments. */
function topSlack(now: Layout): number {
  let slack = 0;
  for (const segment of shown.value) {
    if (segment.kind !== 'mmap') slack += segment.end - Math.max(segment.start, ...regionsIn(now, segment).map((it) => it.end));
  }
  return slack;
}

export function Fragmentation() {
  const now = layout.value;
  if (now === null) return null;
  const space = shownSpace(now.layout);
  const { holes, pages } = space;
  const external = holes.bytes === 0 ? '0 %' : percent(holes.bytes - holes.largest_bytes, holes.bytes);
  const allPages = PAGES.reduce((all, { key }) => all + pages[key], 0);
  const most = Math.max(...PAGES.map(({ key }) => pages[key]));
  return (
    <section class="layout-box" data-testid="layout-fragmentation" aria-label="Fragmentation">
      <h2>Fragmentation{region.value !== null && <span class="quiet"> of this region</span>}</h2>
      <dl>
        <Fact
          name="used"
          value={percent(space.used_bytes, space.span_bytes)}
          title={`Bytes of live blocks with headers and padding, of the bytes of all pages from the first live block to the last: ${exactBytes(space.used_bytes)} of ${exactBytes(space.span_bytes)}`}
        >
          of {bytes(space.span_bytes)}
        </Fact>
        <Fact
          name="external"
          value={external}
          title="External fragmentation: 1 − largest hole / bytes of all holes. Near 100 %: much is free, but in small pieces."
        >
          largest {bytes(holes.largest_bytes)}
        </Fact>
        <Fact
          name="internal"
          value={percent(space.slack_bytes, space.live_bytes + space.slack_bytes)}
          title="Internal fragmentation: usable bytes that nobody asked for, of all usable bytes."
        >
          {bytes(space.slack_bytes)} spare
        </Fact>
        <Fact name="holes" value={count(holes.count)} title="Unused stretches between live blocks, of 32 bytes and more">
          {bytes(holes.bytes)} in all
        </Fact>
        <Fact
          name="top"
          value={bytes(topSlack(now.layout))}
          title="Above the last live block of each heap and arena, up to where blocks were seen at other moments. Whether the allocator still has it mapped is not recorded."
        >
          above last block
        </Fact>
      </dl>
      <HoleSizes />
      <h3>
        Pages by fill <span class="quiet">{count(allPages)} of {roundBytes(now.layout.page_bytes)}</span>
      </h3>
      <div class="layout-fills">
        {PAGES.map(({ key, label, fill }) => (
          <div key={key} class="layout-fill" data-testid={`pages-${key}`}>
            <span>{label}</span>
            <Bar share={most === 0 ? 0 : pages[key] / most} colour={fill === null ? 'var(--muted)' : css(fillColour(fill, theme.value))} />
            <span class="numeric">{count(pages[key])}</span>
          </div>
        ))}
      </div>
    </section>
  );
}

function Fact({ name, value, title, children }: { name: string; value: string; title: string; children: preact.ComponentChildren }) {
  return (
    <div title={title}>
      <dt>{name}</dt>
      <dd class="numeric">{value}</dd>
      <dd class="quiet">{children}</dd>
    </div>
  );
}

/** Up to so many live blocks the holes between them are sorted by size; this takes its time, so T must rest for longer. */
const MOST_BLOCKS = 200_000;
const PATIENCE_MS = 500;

function HoleSizes() {
  const answer = useQuery(async (signal) => {
    const now = layout.value;
    if (now === null) return null;
    const chosen = regionsShown(now.layout);
    if (chosen.reduce((all, { space }) => all + space.live_blocks, 0) > MOST_BLOCKS) return 'too many';
    await new Promise((done) => setTimeout(done, PATIENCE_MS));
    if (signal.aborted) return null;
    const parts = await Promise.all(chosen.map(({ start, end }) => data.peek().live(now.t, start, end, MOST_BLOCKS, signal)));
    return holesBySize(parts.map(({ rows }) => rows));
  });
  const found = answer.value.value;
  if (found === 'too many') return <p class="quiet">More than {count(MOST_BLOCKS)} live blocks: their holes are not sorted by size.</p>;
  if (!found || found.every((it) => it.count === 0)) return null;
  const most = Math.max(...found.map((it) => it.bytes));
  return (
    <div class="layout-holes" role="img" aria-label={`Bytes in holes by size: ${found.map((it) => `${it.label}: ${bytes(it.bytes)}`).join(', ')}`}>
      {found.map((it) => (
        <div key={it.label} title={`${count(it.count)} holes of ${it.label}, ${bytes(it.bytes)} in all`}>
          <span style={{ height: it.count === 0 ? '0' : `max(2px, ${(100 * it.bytes) / most}%)` }} />
          <small>{it.short}</small>
        </div>
      ))}
    </div>
  );
}

/** So many sites are listed at first, and so many at all. */
const FEW_PINS = 5;
const MOST_PINS = 200;
const allPins = signal(false);

export function Pins() {
  const now = layout.value;
  if (now === null) return null;
  const { pins, page_bytes, total } = now.layout;
  const { frames } = data.value.stacks;
  const outline = (site: number) =>
    batch(() => {
      const again = pin.value === site;
      pin.value = again ? null : site;
      if (again) return;
      select('site', site);
      if (view.value === 'time') view.value = 'pages';
    });
  return (
    <section class="layout-box layout-pins" data-testid="layout-pins" aria-label="Who pins pages under 25 percent used">
      <h2 title="Pages that are less than 25 % used, and the call sites with a block in them. A page counts for each site that has a block in it.">
        Who pins pages {'<'} 25 %
      </h2>
      {pins.length === 0 ? (
        <p class="quiet">{total.live_blocks === 0 ? 'Nothing is live at T.' : 'No page with live blocks is less than 25 % used at T.'}</p>
      ) : (
        <>
          <p class="quiet">
            {counted(total.pages.under_25, 'page')}, {bytes(total.pages.under_25 * page_bytes)}, held by the blocks in them.
          </p>
          <div class="pin-head" aria-hidden="true">
            <span>pages</span>
            <span>held</span>
            <span>own</span>
          </div>
          {pins.slice(0, allPins.value ? MOST_PINS : FEW_PINS).map(({ site, pages, held_bytes, own_bytes }) => (
            <button
              key={site}
              type="button"
              class="pin"
              data-testid="layout-pin"
              data-site={site}
              aria-pressed={pin.value === site}
              title={`${count(pages)} pages, ${exactBytes(held_bytes)}, hold ${exactBytes(own_bytes)} of this site`}
              onClick={() => outline(site)}
            >
              <FrameName frames={frames} frame={site} />
              <span class="numeric">{count(pages)}</span>
              <span class="numeric">{bytes(held_bytes)}</span>
              <span class="numeric">{bytes(own_bytes)}</span>
            </button>
          ))}
          {pins.length > FEW_PINS && (
            <button type="button" class="text-button" onClick={() => (allPins.value = !allPins.value)}>
              {allPins.value ? `the first ${FEW_PINS}` : `all ${count(pins.length)} sites`}
            </button>
          )}
          {allPins.value && pins.length > MOST_PINS && <p class="quiet">{count(pins.length - MOST_PINS)} more have fewer pages.</p>}
        </>
      )}
    </section>
  );
}
