// The regions of the address space, and which of them is shown.

import { batch } from '@preact/signals';
import type { Region } from '../../data/types.ts';
import { source } from '../../state/state.ts';
import { Bar } from '../../ui/bar.tsx';
import { address, bytes, count, exactBytes, percent } from '../../ui/units.ts';
import { KINDS } from './draw.ts';
import type { Segment } from './geometry.ts';
import { ground, layout, region, regionsIn, top, zoom } from './view.ts';

const HINTS: Record<Region['kind'], string> = {
  heap: 'Grown with brk, just after the program',
  arena: 'Mapped by the allocator and divided',
  mmap: 'Large blocks, each with a mapping of its own',
};

export function Regions() {
  const now = layout.value;
  const show = (start: number | null) =>
    batch(() => {
      region.value = start;
      zoom.value = 0;
      top.value = null;
    });
  const segments = ground.value;
  const wanted = region.value;
  const span = segments.reduce((all, { start, end }) => all + end - start, 0);
  return (
    <nav class="regions" aria-label="Regions" data-testid="layout-regions">
      <button type="button" class="region" aria-pressed={wanted === null} onClick={() => show(null)}>
        <span class="region-line">
          <b>All</b>
          <span class="numeric">{bytes(span)}</span>
        </span>
        {now !== null && <Usage used={now.layout.total.used_bytes} span={span} />}
      </button>
      {segments.map((segment) => (
        <button
          key={segment.start}
          type="button"
          class="region"
          data-testid="layout-region"
          aria-pressed={wanted !== null && wanted >= segment.start && wanted < segment.end}
          title={`${HINTS[segment.kind]}. ${address(segment.start)}–${address(segment.end)}, ${exactBytes(segment.end - segment.start)}`}
          onClick={() => show(segment.start)}
        >
          <RegionRow segment={segment} inside={now === null ? null : regionsIn(now.layout, segment)} />
        </button>
      ))}
    </nav>
  );
}

function RegionRow({ segment, inside }: { segment: Segment; inside: Region[] | null }) {
  const used = inside?.reduce((all, { space }) => all + space.used_bytes, 0) ?? 0;
  const blocks = inside?.reduce((all, { space }) => all + space.live_blocks, 0) ?? 0;
  return (
    <>
      <span class="region-line">
        <b>{KINDS[segment.kind]}</b>
        <span class="numeric">{bytes(segment.end - segment.start)}</span>
      </span>
      <span class="region-line quiet">
        <code>{address(segment.start)}</code>
        {inside !== null && blocks > 0 && <span class="numeric" title={`${count(blocks)} live blocks`}>{count(blocks)}</span>}
      </span>
      {inside !== null && (blocks > 0 ? <Usage used={used} span={segment.end - segment.start} /> : <Empty kind={segment.kind} />)}
    </>
  );
}

function Usage({ used, span }: { used: number; span: number }) {
  // Of a sample nobody knows.
  if (source.value.overview.sampling !== null) return null;
  return (
    <span class="region-line" title={`${exactBytes(used)} used by live blocks with headers and padding, of ${exactBytes(span)}`}>
      <Bar share={span === 0 ? 0 : used / span} />
      <span class="numeric quiet">{percent(used, span)}</span>
    </span>
  );
}

/** What of it is mapped is not recorded; a mapping of its own goes with its block. */
function Empty({ kind }: { kind: Region['kind'] }) {
  const hint =
    kind === 'mmap'
      ? 'No block is live here at T; mappings of single blocks are given back when the block is freed.'
      : 'Blocks were live here at other moments. Allocators keep such memory, unless they trim it; whether it is still mapped is not recorded.';
  return (
    <span class="region-line region-empty" title={hint}>
      {kind === 'mmap' ? 'empty at T' : 'empty at T, retained unless trimmed'}
    </span>
  );
}
