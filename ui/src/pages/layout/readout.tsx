// What is under the pointer, or under the focus of the keyboard, in words.

import { useEffect } from 'preact/hooks';
import { signal } from '@preact/signals';
import type { Blocks, ProcessData } from '../../data/types.ts';
import { NEVER } from '../../data/types.ts';
import { data, t } from '../../state/state.ts';
import { FrameName, functionName } from '../../ui/name.tsx';
import { address, bytes, count, duration, exactBytes, exactTime, time } from '../../ui/units.ts';
import { effect } from '@preact/signals';
import { dragged, findBlock, focused, hover, sitesOf, type Found } from './hover.ts';
import { focusedBytes } from './map.tsx';
import { only } from './view.ts';

/** The block under the pointer or the focus; `null`: a hole; undefined: nothing is pointed at. */
const found = signal<Found | null | undefined>(undefined);
const SETTLE_MS = 30;

/** Finds the block whenever what is pointed at has rested a moment; gives back how to stop. */
function followFound(): () => void {
  let abort = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const stop = effect(() => {
    const spot = hover.value?.spot ?? (focused.value === null ? null : focusedBytes(focused.value));
    void [data.value, t.value];
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
    <section class="layout-box readout" data-testid="layout-readout" data-lo={spot?.lo} data-hi={spot?.hi} aria-label="Under the pointer">
      {range !== null ? (
        <>
          <h2>{bytes(range.hi - range.lo)} of addresses</h2>
          <p class="quiet">
            <code>{address(range.lo)}</code>–<code>{address(range.hi)}</code>. Let go to list their blocks.
          </p>
        </>
      ) : spot === null ? (
        <p class="quiet">
          Point at the map: what lies there. Click selects the block, a drag lists the blocks of a range, the wheel zooms, <kbd>Shift</kbd> and the
          wheel scroll, <kbd>o</kbd> shows one site alone.
        </p>
      ) : found.value ? (
        <BlockText found={found.value} data={data.value} position={t.value} />
      ) : found.value === null ? (
        <>
          <h2>Hole</h2>
          <p class="quiet">
            <code>{address(spot.lo)}</code>, {exactBytes(spot.hi - spot.lo)}: no live block at T.
          </p>
        </>
      ) : null}
      <p class="sr-only" aria-live="polite" data-testid="layout-live">
        {focused.value !== null && hover.value === null ? spoken(found.value, spot) : ''}
      </p>
    </section>
  );
}

function age(of: ProcessData, rows: Blocks, index: number, position: number): string {
  const born = rows.born[index]!;
  return born === NEVER ? 'inherited' : duration(of.times.of(position) - of.times.of(born + 1));
}

function BlockText({ found: { blocks, index, lo, hi }, data: of, position }: { found: Found; data: ProcessData; position: number }) {
  const site = sitesOf(of).ofStack[blocks.stack[index]!]!;
  const thread = of.info.threads[blocks.thread[index]!];
  const born = blocks.born[index]!;
  const died = blocks.died[index]!;
  const usable = blocks.usable[index]!;
  return (
    <>
      <h2>
        Block #{blocks.id[index]} <code>{address(blocks.addr[index]!)}</code>
      </h2>
      <FrameName frames={of.stacks.frames} frame={site} />
      <dl class="readout-facts">
        <div>
          <dt>size</dt>
          <dd title={exactBytes(blocks.size[index]!)}>
            {bytes(blocks.size[index]!)}
            {usable > blocks.size[index]! && <span class="quiet"> of {bytes(usable)} usable</span>}
          </dd>
        </div>
        <div>
          <dt>age</dt>
          <dd title={born === NEVER ? 'Inherited over fork' : `Allocated at ${exactTime(of.times.of(born + 1))}`}>{age(of, blocks, index, position)}</dd>
        </div>
        <div>
          <dt>freed</dt>
          <dd title={died === NEVER ? '' : exactTime(of.times.of(died + 1))}>{died === NEVER ? 'never' : `at ${time(of.times.of(died + 1))}`}</dd>
        </div>
        <div>
          <dt>thread</dt>
          <dd>{thread === undefined ? '–' : `${thread.tid} ${thread.name}`}</dd>
        </div>
      </dl>
      <p class="quiet">
        {blocks.count > 1 ? `Largest part of ${count(blocks.count)} blocks in these ${bytes(hi - lo)}.` : only.value === null ? 'Outlined: blocks of the same site.' : ''}
      </p>
    </>
  );
}

function spoken(at: Found | null | undefined, spot: { lo: number; hi: number } | null): string {
  if (spot === null || at === undefined) return '';
  if (at === null) return `Hole at ${address(spot.lo)}`;
  const { blocks, index } = at;
  const site = functionName(data.value.stacks.frames, sitesOf(data.value).ofStack[blocks.stack[index]!]!);
  return `Block ${blocks.id[index]} at ${address(blocks.addr[index]!)}, ${bytes(blocks.size[index]!)}, age ${age(data.value, blocks, index, t.value)}, ${site}`;
}
