// What is under the pointer, or under the focus of the keyboard, in words.

import { useEffect } from 'preact/hooks';
import { effect, signal } from '@preact/signals';
import { NEVER, type Blocks, type ProcessData } from '../../data/types.ts';
import { data, t } from '../../state/state.ts';
import { FrameName, functionName } from '../../ui/name.tsx';
import { address, bytes, count, counted, duration, exactBytes, percent, time } from '../../ui/units.ts';
import { dragged, findBlock, focused, hover, type Found } from './hover.ts';
import { focusedBytes } from './map.tsx';
import { footprintEnd } from './raster.ts';
import { changing, only, view } from './view.ts';

/** The block under the pointer or the focus; `null`: a hole; undefined: nothing is pointed at. */
const found = signal<Found | null | undefined>(undefined);
const SETTLE_MS = 30;

/** Finds the block whenever what is pointed at has rested a moment; gives back how to stop. */
function followFound(): () => void {
  let abort = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const stop = effect(() => {
    const spot = hover.value?.spot ?? (focused.value === null ? null : focusedBytes(focused.value));
    void [data.value, t.value, changing.value];
    abort.abort();
    clearTimeout(timer);
    if (spot === null) {
      found.value = undefined;
      return;
    }
    const own = (abort = new AbortController());
    timer = setTimeout(async () => {
      const answer = await findBlock(spot.lo, spot.hi, own.signal).catch(() => null);
      if (!own.signal.aborted) found.value = answer;
    }, SETTLE_MS);
  });
  return () => {
    stop();
    abort.abort();
    clearTimeout(timer);
    found.value = undefined;
  };
}

export function Readout() {
  useEffect(followFound, []);
  const range = dragged.value;
  const spot = hover.value?.spot ?? (focused.value === null ? null : focusedBytes(focused.value));
  return (
    <section class="readout" data-testid="layout-readout" data-lo={spot?.lo} data-hi={spot?.hi} aria-label="Under the pointer">
      {range !== null ? (
        <p>
          <b>{bytes(range.hi - range.lo)}</b>
          <span>
            <code>{address(range.lo)}</code>–<code>{address(range.hi)}</code>
          </span>
          <span class="quiet">Let go to list the blocks there.</span>
        </p>
      ) : spot === null ? (
        <p class="quiet readout-hint">
          Point: what lies there. Click: select the block. Drag: list the blocks of a range. Wheel: zoom; with Shift: scroll. o: this site alone. y: as a
          table.
        </p>
      ) : found.value ? (
        <BlockText found={found.value} data={data.value} />
      ) : found.value === null ? (
        <p>
          <b>Hole</b>
          <code>{address(spot.lo)}</code>
          <span class="quiet">no live block in these {exactBytes(spot.hi - spot.lo)} at T</span>
        </p>
      ) : null}
      <p class="sr-only" aria-live="polite" data-testid="layout-live">
        {focused.value !== null && hover.value === null ? spoken(found.value, spot) : ''}
      </p>
    </section>
  );
}

/** How old a block is at a position, in words. */
export function age(of: ProcessData, rows: Blocks, index: number, position: number): string {
  const born = rows.born[index]!;
  return born === NEVER ? 'inherited' : duration(of.times.of(position) - of.times.of(born + 1));
}

function BlockText({ found: { blocks, index, lo, hi, position }, data: of }: { found: Found; data: ProcessData }) {
  const site = of.stacks.site[blocks.stack[index]!]!;
  const thread = of.info.threads[blocks.thread[index]!];
  const died = blocks.died[index]!;
  const usable = blocks.usable[index]!;
  const size = blocks.size[index]!;
  return (
    <>
      <p>
        <b class="fact">Block #{blocks.id[index]}</b>
        <code class="fact">{address(blocks.addr[index]!)}</code>
        <b class="fact" title={exactBytes(size)}>
          {bytes(size)}
        </b>
        <FrameName frames={of.stacks.frames} frame={site} />
      </p>
      <p>
        {usable > size && <Fact name="usable" value={bytes(usable)} />}
        <Fact name="age" value={age(of, blocks, index, position)} />
        <Fact name="freed" value={died === NEVER ? 'never' : `at ${time(of.times.of(died + 1))}`} />
        <Fact name="thread" value={thread === undefined ? '–' : thread.name || String(thread.tid)} />
        {view.value === 'pages' && (
          <Fact name="page" value={`${percent(usedIn(blocks, lo, hi), hi - lo)} used by ${counted(blocks.count, 'block')}`} />
        )}
        <span class="quiet">
          {view.value === 'pages'
            ? ''
            : blocks.count > 1
            ? `largest part of ${count(blocks.count)} blocks in these ${bytes(hi - lo)}`
            : only.value === null && hover.value !== null
              ? 'outlined: all blocks of this site'
              : ''}
        </span>
      </p>
    </>
  );
}

/** Bytes of [lo, hi) in live blocks with their padding. */
function usedIn(blocks: Blocks, lo: number, hi: number): number {
  let [used, reached] = [0, lo];
  for (let index = 0; index < blocks.count; index++) {
    const end = Math.min(hi, footprintEnd(blocks, index));
    used += Math.max(0, end - Math.max(reached, blocks.addr[index]!));
    reached = Math.max(reached, end);
  }
  return used;
}

function Fact({ name, value }: { name: string; value: string }) {
  return (
    <span class="fact">
      <span class="quiet">{name}</span> {value}
    </span>
  );
}

function spoken(at: Found | null | undefined, spot: { lo: number; hi: number } | null): string {
  if (spot === null || at === undefined) return '';
  if (at === null) return `Hole at ${address(spot.lo)}`;
  const { blocks, index, position } = at;
  const site = functionName(data.value.stacks.frames, data.value.stacks.site[blocks.stack[index]!]!);
  return `Block ${blocks.id[index]} at ${address(blocks.addr[index]!)}, ${bytes(blocks.size[index]!)}, age ${age(data.value, blocks, index, position)}, ${site}`;
}
