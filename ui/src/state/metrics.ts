// The sentence that defines each metric: shown above every graph and table, with the moments it speaks of.

import type { Measure, Metric, Times, Unit } from '../data/types.ts';
import { time } from '../ui/units.ts';

export const METRICS: { id: Metric; name: string }[] = [
  { id: 'live', name: 'live at T' },
  { id: 'peak', name: 'live at the peak' },
  { id: 'kept', name: 'kept' },
  { id: 'leaked', name: 'never freed' },
  { id: 'alloc', name: 'allocated' },
  { id: 'freed', name: 'freed' },
  { id: 'temp', name: 'temporary' },
  { id: 'diff', name: 'difference' },
];

/** Those that can be told: of a sample nobody knows whether an allocation came between, so none is temporary. */
export function toldMetrics({ sampling }: { sampling: unknown }): typeof METRICS {
  return METRICS.filter(({ id }) => sampling === null || id !== 'temp');
}

/** Without a full stop: the figures follow it. `at`: the position of the peak, where the metric is `peak`. */
export function sentence(measure: Measure, unit: Unit, at: number, times: Times, wholeRun: boolean): string {
  const what = unit === 'bytes' ? 'Bytes' : 'Blocks';
  const [a, b] = [time(times.of(measure.a)), time(times.of(measure.b))];
  const within = wholeRun ? 'in the whole run' : `in ${a}–${b}`;
  switch (measure.metric) {
    case 'live':
      return `${what} live at T = ${time(times.of(measure.t))}`;
    case 'peak':
      return `${what} live at the peak of ${wholeRun ? 'the whole run' : `${a}–${b}`}, ${time(times.of(at))}`;
    case 'kept':
      return `${what} allocated ${within} and still live at ${wholeRun ? 'its end' : b}`;
    case 'leaked':
      return `${what} allocated ${within} and never freed before exit`;
    case 'alloc':
      return `${what} allocated ${within}, freed or not`;
    case 'freed':
      return `${what} freed ${within}`;
    case 'temp':
      return `${what} allocated ${within} and freed before the same thread’s next allocation`;
    case 'diff':
      return `${what} live at ${b} minus live at ${a}`;
  }
}
