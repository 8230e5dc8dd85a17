// The strip's controls: what keys do there, for those who use none.

import { toPeak } from '../state/actions.ts';
import { mayPlay, playing, togglePlay } from '../state/play.ts';
import { data, t, tall } from '../state/state.ts';
import { isZoomed, showWholeRun, zoom } from '../state/view.ts';
import { Button } from '../ui/button.tsx';
import { rssShown, showsRss } from './rss.ts';
import { isStacked, stripShows, whyNoStack } from './stack.ts';

/** Whether call sites are told apart. */
function Shows() {
  const why = whyNoStack();
  const shown = isStacked();
  return (
    <label class="strip-shows" title={why || 'Live bytes by call site, in the colours that sites have on all pages'}>
      <input type="checkbox" data-testid="strip-shows" checked={shown} disabled={why !== ''} onChange={() => (stripShows.value = shown ? 'total' : 'sites')} />
      by site
    </label>
  );
}

export function Tools() {
  const around = () => data.value.times.of(t.value);
  const hasRss = data.value.samples.rss.length > 0;
  const shown = showsRss();
  return (
    <div class="strip-tools">
      <Button icon={playing.value ? 'pause' : 'play'} label={playing.value ? 'Pause' : 'Play: T runs through the strip'} keys="Space" onClick={togglePlay} disabled={!mayPlay} why="You asked your system for less motion." />
      <Button icon="peak" label="T to the peak of the range" keys="P" onClick={() => void toPeak()} />
      <Button icon={tall.value ? 'collapse' : 'expand'} label={tall.value ? 'Low strip' : 'Tall strip'} keys="t" onClick={() => (tall.value = !tall.value)} />
      <Button icon="plus" label="Zoom in around T" keys="+" onClick={() => zoom(0.5, around())} />
      <Button icon="minus" label="Zoom out" keys="-" onClick={() => zoom(2, around())} disabled={!isZoomed.value} why="The whole run is shown." />
      <Button icon="fit" label="Show the whole run" keys="w" onClick={showWholeRun} disabled={!isZoomed.value} why="The whole run is shown." />
      {tall.value && <Shows />}
      <p class="strip-legend">
        <span class="swatch-live">live</span>
        {hasRss && (
          <button class="swatch-rss" aria-pressed={shown} title="Resident memory, as the kernel said at each sample" onClick={() => (rssShown.value = shown ? 'off' : 'on')}>
            RSS
          </button>
        )}
      </p>
    </div>
  );
}
