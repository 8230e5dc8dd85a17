// What leaves the flame graph as a file.

import { data, measure, unit, wholeRun } from '../../state/state.ts';
import { METRICS, sentence } from '../../state/metrics.ts';
import { follow } from '../../tree/shape.ts';
import { merged } from '../../tree/shared.ts';
import { folded, pprof, speedscope } from '../../tree/export.ts';
import { view as viewOf, type View } from '../../tree/view.ts';
import type { Item } from '../../ui/menu.tsx';
import { baseName } from '../../ui/name.tsx';
import { type Order, boxes } from './boxes.ts';
import type { Looks } from './looks.ts';
import { palette } from './paint.ts';
import { upwards, zoomPath } from './params.ts';
import { svg } from './svg.ts';
import type { Weighed } from './use.ts';

interface Shown {
  view: View;
  looks: Looks;
  order: Order;
  weighed: Weighed;
}

/** Pixels of a picture that is a file. */
const WIDTH = 1600;

export function exportsOf({ view, looks, order, weighed }: Shown): Item[] {
  const { info, stacks } = data.value;
  const name = `${baseName(info.name) || 'process'}-${info.pid}-${measure.value.metric}`;
  // Whatever is shown, files for other programs hold backtraces from the outside in.
  const whole = viewOf(merged.value, weighed.selfs, unit.value);
  const title = sentence(measure.value, unit.value, info.peak.position, data.value.times, wholeRun.value);
  const none = weighed.threads ? 'Not by thread' : view.signed ? 'Not of a difference: it has negative parts' : undefined;
  return [
    {
      label: 'Picture of this view (SVG)',
      run: () => save(`${name}.svg`, 'image/svg+xml', svg({
        rows: boxes(view, follow(view.shape, zoomPath.value), WIDTH, order), width: WIDTH, up: upwards.value, looks, title, colours: palette(),
      })),
    },
    { label: 'Folded stacks (text)', disabled: none, run: () => save(`${name}.folded`, 'text/plain', folded(whole, stacks)) },
    { label: 'speedscope (JSON)', disabled: none, run: () => save(`${name}.speedscope.json`, 'application/json', speedscope(whole, stacks, title)) },
    {
      label: 'pprof (gzip)', disabled: none,
      run: async () => save(`${name}.pb.gz`, 'application/gzip', await pprof(whole, stacks, METRICS.find(({ id }) => id === measure.value.metric)!.name)),
    },
  ];
}

function save(name: string, type: string, content: string | Uint8Array<ArrayBuffer>): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([content], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
