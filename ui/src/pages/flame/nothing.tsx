// Why there is nothing to see, and what leads to something.

import { batch } from '@preact/signals';
import { showWholeRun } from '../../state/view.ts';
import { data, filter, metric, setRange, setT, wholeRun } from '../../state/state.ts';

export function Nothing() {
  const { info } = data.value;
  const none = info.block_count === 0;
  const [why, label, run] = none
    ? ['This process allocated nothing.', '', () => {}]
    : filter.value !== ''
      ? ['No block that is measured fits the filter.', 'Without the filter', () => void (filter.value = '')]
      : metric.value === 'live'
        ? ['Nothing is live at T.', 'T at the peak', () => setT(info.peak.position)]
        : wholeRun.value
          ? ['Nothing of this kind happened in the run.', 'Live at the peak', () => void (metric.value = 'peak')]
          : ['Nothing of this kind happened between A and B.', 'The whole run', () => batch(() => (setRange(0, info.event_count), showWholeRun()))];
  return (
    <div class="flame-nothing" data-testid="flame-nothing">
      <span>{why}</span>
      {label !== '' && <button class="text-button" onClick={run}>{label}</button>}
    </div>
  );
}
