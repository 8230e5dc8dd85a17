// Allocations a second over the range, in equal buckets of time. A press sets T.

import './rate.css';
import { useRef, useState } from 'preact/hooks';
import { data, setT, t } from '../../state/state.ts';
import { useWidth } from '../../ui/size.ts';
import { count, duration, time } from '../../ui/units.ts';

interface Props {
  rate: Float64Array;
  from_ns: number;
  to_ns: number;
}

const HEIGHT = 100;

export function Rate({ rate, from_ns, to_ns }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const width = useWidth(box, 600);
  const [at, setAt] = useState<number | null>(null);
  const bucket = Math.max(1, to_ns - from_ns) / rate.length;
  const most = Math.max(1, ...rate);
  const x = (index: number) => (index * width) / rate.length;
  let line = 'M0 100';
  rate.forEach((value, index) => (line += `V${(HEIGHT - (HEIGHT * value) / most).toFixed(1)}H${x(index + 1).toFixed(1)}`));
  const set = (index: number) => setT(data.value.times.at(from_ns + (index + 0.5) * bucket));
  const indexAt = (event: PointerEvent | MouseEvent) => {
    const left = box.current!.getBoundingClientRect().left;
    return Math.max(0, Math.min(rate.length - 1, Math.floor(((event.clientX - left) * rate.length) / width)));
  };
  const go = (event: KeyboardEvent) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step !== undefined) setAt(Math.max(0, Math.min(rate.length - 1, (at ?? -1) + step)));
    else if (event.key === 'Enter' && at !== null) set(at);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const words = (index: number) =>
    `${time(from_ns + index * bucket)} to ${time(from_ns + (index + 1) * bucket)}: ${count(rate[index]!)} allocations, ${perSecond(rate[index]!, bucket)}`;
  const now = (data.value.times.of(t.value) - from_ns) / bucket;
  return (
    <figure class="rate" data-testid="rate">
      <div class="bars-scale" aria-hidden="true">
        <span>{perSecond(most, bucket)}</span>
        <span>0</span>
      </div>
      <div
        class="rate-plot" ref={box} tabIndex={0} role="application" aria-label="Allocations a second over the range; arrow keys move, Enter sets T"
        onKeyDown={go} onClick={(event) => set(indexAt(event))} onPointerMove={(event) => setAt(indexAt(event))} onPointerLeave={() => setAt(null)}
        onBlur={() => setAt(null)}
      >
        <svg width="100%" height="100%" viewBox={`0 0 ${width} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
          {at !== null && <rect class="rate-at" x={x(at)} y={0} width={x(1)} height={HEIGHT} />}
          <path class="rate-area" d={`${line}V100Z`} />
          <path class="rate-line" d={line} />
          {now >= 0 && now <= rate.length && <path class="rate-t" d={`M${x(now)} 0V100`} />}
        </svg>
      </div>
      <div class="rate-times" aria-hidden="true">
        <span>{time(from_ns)}</span>
        <span>{duration(bucket)} a step</span>
        <span>{time(to_ns)}</span>
      </div>
      <figcaption class="bars-told" aria-live="polite">{at === null ? '\u00a0' : words(at)}</figcaption>
    </figure>
  );
}

export function perSecond(allocations: number, ns: number): string {
  return `${count((allocations * 1e9) / ns)} / s`;
}
