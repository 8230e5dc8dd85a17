// The last events on the memory page of the address: who used it before.

import { useState } from 'preact/hooks';
import { data } from '../../state/state.ts';
import { useQuery } from '../../state/query.ts';
import { address, bytes, exactBytes, exactTime } from '../../ui/units.ts';
import { functionName, place } from '../../ui/name.tsx';
import { BlockLink } from './evidence.tsx';
import type { CrashReport } from './model.ts';

const MOST = 50;

/** Nothing where no address is part of the crash. */
export function PageEvents({ crash }: { crash: CrashReport }) {
  const [open, setOpen] = useState(false);
  const at = crash.address ?? crash.blocks[0]?.address;
  if (at === undefined || crash.blocks.length === 0) return null;
  const pageBytes = data.value.info.page_bytes || 4096;
  const lo = Math.floor(Number(at) / pageBytes) * pageBytes;
  return (
    <details class="card wide" open={open} onToggle={(event) => setOpen(event.currentTarget.open)} data-testid="page-events">
      <summary>Last {MOST} events on this page, {address(lo)}–{address(lo + pageBytes)}</summary>
      {open && <List before={data.value.times.at(crash.time_ns)} lo={lo} hi={lo + pageBytes} />}
    </details>
  );
}

function List({ before, lo, hi }: { before: number; lo: number; hi: number }) {
  const answer = useQuery((signal) => data.value.events(before, lo, hi, MOST, signal), [before, lo, hi]);
  const { value, error } = answer.value;
  if (error) return <p class="failure">{error}</p>;
  if (!value) return <p class="muted">Looking…</p>;
  if (value.length === 0) return <p class="muted">No recorded event touched this page.</p>;
  const { stacks, info } = data.value;
  return (
    <table class="plain">
      <thead>
        <tr><th class="numeric">time</th><th>what</th><th>block</th><th class="numeric">size</th><th>address</th><th>thread</th><th>where</th></tr>
      </thead>
      <tbody>
        {value.map((it) => {
          const site = it.stack === 0 ? -1 : stacks.site[it.stack]!;
          return (
            <tr key={it.position}>
              <td class="numeric">{exactTime(it.time_ns)}</td>
              <td>{it.action}</td>
              <td>{it.block === 0 ? '–' : <BlockLink id={it.block} />}</td>
              <td class="numeric" title={exactBytes(it.size)}>{bytes(it.size)}</td>
              <td class="mono">{address(it.addr)}</td>
              <td><bdi>{info.threads[it.thread]?.name ?? '–'}</bdi></td>
              <td class="break">{site < 0 ? '–' : `${functionName(stacks.frames, site)}  ${place(stacks.frames, site)}`}</td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}
