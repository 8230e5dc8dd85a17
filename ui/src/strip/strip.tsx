// The timeline on top of every page: live bytes over the run, the moment T, the range A–B.
//
// The picture is a canvas that is drawn when its data change; what moves (T, the range, marks) lies over it as SVG. The
// plot is a slider for T: a click sets it, arrow keys move it. What a drag says is said in the sentence line.

import { signal, useComputed, useSignalEffect } from '@preact/signals';
import { useLayoutEffect, useMemo, useRef } from 'preact/hooks';
import { marked, stripWidth } from '../state/actions.ts';
import { useQuery } from '../state/query.ts';
import { a, b, data, t, tall, wholeRun } from '../state/state.ts';
import { isZoomed, run, view } from '../state/view.ts';
import { category, css, OTHER } from '../ui/colour.ts';
import { styled, theme } from '../ui/theme.ts';
import { time, timeDigits } from '../ui/units.ts';
import { draw, mostOf, type Place } from './draw.ts';
import { Gestures } from './gestures.tsx';
import { Overview } from './overview.tsx';
import { showsRss } from './rss.ts';
import { Sites } from './sites.tsx';
import { bucketsByColumn, isStacked, stackOf } from './stack.ts';
import { timeTicks } from './scale.ts';
import { Tools } from './tools.tsx';
import './strip.css';

const LOW = 92;
const TALL = 320;
const OVERVIEW = 16;
const GUTTER = 64;
const LANE = 16;
const AXIS = 20;

export function Strip() {
  const box = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const width = useMemo(() => signal(0), []);
  useLayoutEffect(() => {
    const observer = new ResizeObserver(() => (width.value = box.current!.clientWidth));
    observer.observe(box.current!);
    return () => observer.disconnect();
  }, []);
  const place = useComputed((): Place => {
    const height = (tall.value ? TALL : LOW) - (isZoomed.value ? OVERVIEW : 0);
    return { width: width.value, height, left: GUTTER, right: Math.max(GUTTER + 1, width.value - 8), top: LANE, bottom: height - AXIS };
  });
  const envelope = useQuery((signal) => {
    const { left, right, width: all } = place.value;
    stripWidth.value = right - left;
    const wide = isStacked() ? bucketsByColumn(right - left) : 1;
    const buckets = Math.max(1, Math.floor((right - left) / wide)) * wide;
    return all === 0 ? null : data.value.envelope(view.value.from, view.value.to, buckets, signal);
  });
  const stack = useQuery((signal) => {
    const { left, right, width: all } = place.value;
    if (all === 0 || !isStacked()) return null;
    const columns = Math.max(1, Math.floor((right - left) / bucketsByColumn(right - left)));
    return stackOf(data.value, view.value.from, view.value.to, columns, signal);
  });
  useSignalEffect(() => {
    const answer = envelope.value.value;
    if (!answer || !canvas.current || place.value.width === 0) return;
    const samples = showsRss() ? data.value.samples : null;
    // Until the answer for a new stretch is there, the old picture stays, where it belongs.
    const shown = { from: answer.from_ns, to: answer.to_ns };
    const sites = isStacked() ? stack.value.value : undefined;
    const fits = sites && sites.from_ns === answer.from_ns && sites.to_ns === answer.to_ns && answer.last.length % sites.columns === 0;
    const picture = { envelope: answer, stack: fits ? sites : null, samples, view: shown, most: mostOf(answer, samples, shown) };
    const layers = Array.from({ length: OTHER + 1 }, (_, k) => css(category(k, theme.value)));
    const colours = { text: styled('--text'), muted: styled('--muted'), line: styled('--line'), accent: styled('--accent'), rss: styled('--rss'), layers };
    draw(canvas.current, place.value, picture, colours);
  });
  const { height } = place.value;
  const liveAt = (ns: number) => {
    const answer = envelope.value.value;
    if (!answer) return null;
    const share = (ns - answer.from_ns) / (answer.to_ns - answer.from_ns);
    return answer.last[Math.max(0, Math.min(answer.last.length - 1, Math.floor(share * answer.last.length)))] ?? null;
  };
  return (
    <section class="strip" aria-label="Timeline" data-testid="strip">
      <div class="strip-plot" ref={box}>
        <canvas ref={canvas} style={{ height: `${height}px` }} aria-hidden="true" />
        {width.value > 0 && (
          <Gestures place={place.value} liveAt={liveAt}>
            <Marks place={place.value} />
          </Gestures>
        )}
        {isZoomed.value && <Overview left={place.value.left} right={place.value.right} />}
      </div>
      <div class={isStacked() ? 'strip-side strip-stacked' : 'strip-side'}>
        <Tools />
        {isStacked() && <Sites />}
      </div>
    </section>
  );
}

/** What lies over the picture: marks of the run in the lane, the range, T. */
function Marks({ place }: { place: Place }) {
  const { info, times } = data.value;
  const { from, to } = view.value;
  const x = (ns: number) => place.left + ((place.right - place.left) * (ns - from)) / (to - from);
  const inView = (ns: number) => ns >= from && ns <= to;
  const lane = LANE / 2;
  const [xa, xb] = [x(times.of(a.value)), x(b.value === info.event_count ? run.value.to : times.of(b.value))];
  const clamp = (at: number) => Math.max(place.left, Math.min(place.right, at));
  const now = times.of(t.value);
  const label = labelOfT(x(now), place, time(now, timeDigits(to - from)));
  const crashes: { time_ns: number }[] = info.crash?.crashes ?? [];
  return (
    <svg class="strip-marks" width={place.width} height={place.height} aria-hidden="true">
      {!wholeRun.value && (
        <g class="strip-range">
          <rect x={place.left} y={LANE} width={Math.max(0, clamp(xa) - place.left)} height={place.bottom - LANE} />
          <rect x={clamp(xb)} y={LANE} width={Math.max(0, place.right - clamp(xb))} height={place.bottom - LANE} />
          {xa >= place.left && xa <= place.right && <RangeEnd x={xa} place={place} name="A" side={-1} />}
          {xb >= place.left && xb <= place.right && <RangeEnd x={xb} place={place} name="B" side={1} />}
        </g>
      )}
      {info.snapshots.filter((it) => inView(it.time_ns)).map((it) => (
        <path key={it.position} class="mark-snapshot" d={`M${x(it.time_ns)} ${lane - 5}l5 5-5 5-5-5z`} />
      ))}
      {inView(info.peak.time_ns) && info.peak.bytes > 0 && (
        <path class="mark-peak" d={`M${x(info.peak.time_ns)} ${lane - 5}l5.5 10h-11z`} />
      )}
      {crashes.filter((it) => inView(it.time_ns)).map((it) => (
        <path key={it.time_ns} class="mark-crash" d={`M${x(it.time_ns) - 5} ${lane - 5}l10 10m0-10l-10 10`} />
      ))}
      {(['a', 'b'] as const).map((which) => {
        const at = marked(which);
        if (at === null || !inView(times.of(at))) return null;
        const px = x(times.of(at));
        return (
          <g key={which} class="mark-user">
            <path d={`M${px} ${place.bottom}V${lane - 6}h9l-2.5 4 2.5 4h-9`} />
            <text x={px + 11} y={lane + 4}>{which.toUpperCase()}</text>
          </g>
        );
      })}
      <Axis place={place} x={x} hidden={label} />
      {inView(now) && <Cursor x={x(now)} place={place} label={label} />}
    </svg>
  );
}

function RangeEnd({ x, place, name, side }: { x: number; place: Place; name: string; side: 1 | -1 }) {
  const middle = (LANE + place.bottom) / 2;
  const room = side < 0 ? x - 14 > place.left : x + 14 < place.right;
  return (
    <g class="strip-end">
      <path d={`M${x} ${LANE}V${place.bottom}`} />
      <rect x={x - 3} y={middle - 9} width="6" height="18" rx="3" />
      {room && <text x={x + side * 9} y={LANE + 12} text-anchor="middle">{name}</text>}
    </g>
  );
}

interface Label {
  text: string;
  left: number;
  width: number;
}

/** Where T's time stands in the row of times; it turns round at the right edge. */
function labelOfT(x: number, place: Place, written: string): Label {
  const text = `T ${written}`;
  const width = 12 + text.length * 6.8;
  return { text, width, left: x + width > place.right + 8 ? x - width : x };
}

/** The times under the plot, but for those that T's label would cover. */
function Axis({ place, x, hidden }: { place: Place; x: (ns: number) => number; hidden: Label }) {
  const { from, to } = view.value;
  return (
    <g class="strip-axis">
      {timeTicks(from, to, (place.right - place.left) / 96).map(({ ns, label }) => {
        const half = label.length * 3.4;
        const at = Math.max(place.left + half, Math.min(place.right - half, x(ns)));
        const covered = at + half + 4 > hidden.left && at - half - 4 < hidden.left + hidden.width;
        return (
          <g key={ns}>
            <path d={`M${x(ns)} ${place.bottom}v4`} />
            {!covered && <text x={at} y={place.bottom + 15} text-anchor="middle">{label}</text>}
          </g>
        );
      })}
    </g>
  );
}

/** T: a line, and its time. */
function Cursor({ x, place, label }: { x: number; place: Place; label: Label }) {
  return (
    <g class="strip-cursor">
      <path d={`M${x} 2V${place.bottom + AXIS}`} />
      <rect x={label.left} y={place.bottom + 2} width={label.width} height={AXIS - 3} rx="2" />
      <text x={label.left + label.width / 2} y={place.bottom + 15} text-anchor="middle">{label.text}</text>
    </g>
  );
}
