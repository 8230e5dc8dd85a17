// A small step line of a value over the run: memory is never interpolated.

import type { ReadonlySignal } from '@preact/signals';
import './sparkline.css';

interface Props {
  values: ArrayLike<number>;
  width?: number;
  height?: number;
  /** The top of the scale; the largest value where not given. */
  most?: number;
  /** A moment to mark, 0 to 1: while it moves, nothing else is drawn anew. */
  mark?: ReadonlySignal<number>;
  /** What it shows, for those who do not see it. */
  label: string;
}

export function Sparkline({ values, width = 96, height = 18, most, mark, label }: Props) {
  const top = Math.max(1, most ?? Math.max(...Array.from(values)));
  const y = (value: number) => (height - 0.5 - (height - 1.5) * Math.min(1, value / top)).toFixed(1);
  const step = width / Math.max(1, values.length);
  let line = '';
  for (let k = 0; k < values.length; k++) {
    line += `${k === 0 ? 'M' : 'L'}${(k * step).toFixed(1)} ${y(values[k]!)}H${((k + 1) * step).toFixed(1)}`;
  }
  return (
    <svg class="sparkline" width={width} height={height} viewBox={`0 0 ${width} ${height}`} role="img" aria-label={label}>
      <title>{label}</title>
      {line !== '' && <path class="sparkline-area" d={`${line}V${height}H0Z`} />}
      {line !== '' && <path class="sparkline-line" d={line} />}
      {mark && <Mark at={mark} width={width} height={height} />}
    </svg>
  );
}

function Mark({ at, width, height }: { at: ReadonlySignal<number>; width: number; height: number }) {
  return <path class="sparkline-mark" d={`M${(at.value * width).toFixed(1)} 0V${height}`} />;
}
