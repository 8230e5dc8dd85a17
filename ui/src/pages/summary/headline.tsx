// The figures that everyone asks for first, of the whole run. Each says in its tooltip what it means, and its exact value.

import type { ComponentChildren } from 'preact';
import { data, setT, source } from '../../state/state.ts';
import { bytes, count, counted, exactBytes, exactTime, percent, time } from '../../ui/units.ts';

export function Headline() {
  const { info, samples } = data.value;
  const { peak, at_exit, summary } = info;
  const estimate = source.value.overview.sampling !== null ? 'about ' : '';
  const allocated = summary?.allocated;
  const temporary = summary?.temporary;
  const sampled = samples.rss.reduce((x, y) => Math.max(x, y), 0);
  // The kernel counts what samples may miss.
  const rss = Math.max(sampled, summary?.residence?.highest_bytes ?? 0);
  return (
    <section class="headline" aria-label="Figures of the whole run" data-testid="headline">
      <Figure
        name="Peak"
        value={estimate + bytes(peak.bytes)}
        meaning="Most bytes that were asked for and live at one moment"
        exact={`${exactBytes(peak.bytes)} in ${count(peak.blocks)} blocks at ${exactTime(peak.time_ns)}`}
      >
        <button class="link" title="T to the peak" onClick={() => setT(peak.position)}>
          at {time(peak.time_ns)}
        </button>
        , {counted(peak.blocks, 'block')}
      </Figure>
      <Figure
        name="Live at the end"
        value={estimate + bytes(at_exit.bytes)}
        meaning="Bytes in blocks that were not freed by the end of the recording"
        exact={`${exactBytes(at_exit.bytes)} in ${count(at_exit.blocks)} blocks`}
      >
        <button class="link" title="T to the end" onClick={() => setT(info.event_count)}>
          at {time(info.end_ns)}
        </button>
        , {counted(at_exit.blocks, 'block')}
      </Figure>
      {allocated && (
        <Figure
          name="Allocated"
          value={estimate + bytes(allocated.bytes)}
          meaning="Bytes asked for over the whole run, freed or not"
          exact={exactBytes(allocated.bytes)}
        >
          {allocated.calls > 0 && `${bytes(allocated.median_bytes)} median, ${bytes(allocated.largest_bytes)} largest`}
        </Figure>
      )}
      {allocated && (
        <Figure
          name="Calls"
          value={estimate + count(allocated.calls)}
          meaning="Calls that returned a block; a realloc is one call"
          exact={`${count(allocated.calls)} calls, ${count(allocated.frees)} frees, ${count(allocated.failed)} failed`}
        >
          {temporary && allocated.calls > 0 ? `${percent(temporary.blocks, allocated.calls)} temporary` : `${count(allocated.frees)} frees`}
          {allocated.failed > 0 && `, ${count(allocated.failed)} failed`}
        </Figure>
      )}
      {rss > 0 && (
        <Figure
          name="Most RSS"
          value={bytes(rss)}
          meaning="Most memory that was resident at one moment, heap or not, by the kernel’s count"
          exact={`${exactBytes(rss)}; in ${counted(samples.rss.length, 'sample')} at most ${exactBytes(sampled)}`}
        >
          {rss > sampled ? `${bytes(sampled)} in ${counted(samples.rss.length, 'sample')}` : counted(samples.rss.length, 'sample')}
        </Figure>
      )}
    </section>
  );
}

interface Props {
  name: string;
  value: string;
  meaning: string;
  exact: string;
  children: ComponentChildren;
}

function Figure({ name, value, meaning, exact, children }: Props) {
  return (
    <div class="figure" title={`${meaning}.\n${exact}`}>
      <h2>{name}</h2>
      <p class="figure-value">{value}</p>
      <p class="figure-more">{children}</p>
      <p class="unseen">
        {meaning}: {exact}
      </p>
    </div>
  );
}
