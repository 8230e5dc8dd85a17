// What the figures below do not hold: losses, samples, caps, names that are not known. Nothing of it: nothing here.

import { data, goTo, source } from '../../state/state.ts';
import { Icon } from '../../ui/icons.tsx';
import { count, roundBytes } from '../../ui/units.ts';

/** From this share of frames without a name on, how to get names is said. */
const NAMELESS = 0.5;

/** Each in a sentence. */
export function notices(): string[] {
  const { overview } = source.value;
  const { info } = data.value;
  const said = [...overview.losses];
  if (overview.sampling !== null) {
    const mean = roundBytes(overview.sampling.interval_bytes);
    said.push(`This is a sample, one byte in ${mean} chosen at random: totals are estimates for the whole program, single blocks are those that were chosen.`);
  }
  if (info.capped !== null) {
    const { kept_blocks, of_blocks, grid } = info.capped;
    said.push(
      `${count(kept_blocks)} of ${count(of_blocks)} blocks are in this report. Totals are exact, at ${count(grid)} moments of the run to which T, A and B are rounded down, and at the peak; ` +
        'single blocks are the largest, the longest lived and those live at a few moments. All of them: heaptape ui ' + overview.tape,
    );
  }
  if (overview.left_out > 0) said.push(`${count(overview.left_out)} blocks are left out: their addresses are too large for this page.`);
  if (info.unnamed_frames?.notice != null) {
    const { unnamed, of, notice } = info.unnamed_frames;
    const help = unnamed / of >= NAMELESS ? `. Names come with -g, with debug packages, or with heaptape report --debug-dir DIR ${overview.tape}` : '';
    said.push(`${notice}${help}`);
  }
  return said;
}

export function Notices() {
  const said = notices();
  if (said.length === 0) return null;
  return (
    <section class="notices" aria-label="What is missing" data-testid="notices">
      <ul>
        {said.map((it) => (
          <li key={it}>
            <Icon name="warn" size={14} /> {it}
          </li>
        ))}
      </ul>
      <button class="link" onClick={() => goTo('about')}>
        How good this recording is
      </button>
    </section>
  );
}
