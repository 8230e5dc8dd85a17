// What hands do on the strip. A click sets T; a drag on the row of times, or of T's line, moves it; a drag on the plot makes
// a range, one inside the range moves it, one of an end resizes it; the wheel zooms at the pointer, with Shift it pans; a
// double click shows all. A drag is one entry of the history, and does its work once a frame.

import { signal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useLayoutEffect, useMemo, useRef } from 'preact/hooks';
import { endGesture, gesture } from '../state/params.ts';
import { stop } from '../state/play.ts';
import { a, b, data, setRange, setT, t, wholeRun } from '../state/state.ts';
import { pan, run, showWholeRun, view, zoom } from '../state/view.ts';
import { count, exactTime } from '../ui/units.ts';
import type { Place } from './draw.ts';

/** What the pointer is over: a time, and the bytes live then; null: nothing. */
export const pointed = signal<{ ns: number; live: number | null } | null>(null);

/** So many pixels off a line is still on it, and less than so many is no drag. */
const NEAR = 5;
const STILL = 3;

type Kind = 'T' | 'A' | 'B' | 'move' | 'new';

interface Drag {
  kind: Kind;
  /** Where it began: pixels, and the times of A and B. */
  from: number;
  a: number;
  b: number;
  moved: boolean;
}

interface Props {
  place: Place;
  liveAt: (ns: number) => number | null;
  children: ComponentChildren;
}

export function Gestures({ place, liveAt, children }: Props) {
  const element = useRef<HTMLDivElement>(null);
  const hand = useMemo(() => new Hand(), []);
  hand.place = place;
  useLayoutEffect(() => {
    // Not passive: the wheel must not scroll the page too.
    const wheel = (event: WheelEvent) => hand.wheel(event);
    element.current!.addEventListener('wheel', wheel, { passive: false });
    return () => element.current?.removeEventListener('wheel', wheel);
  }, []);
  const { times, info } = data.value;
  const over = (event: PointerEvent) => {
    const ns = hand.time(event.offsetX);
    pointed.value = { ns, live: liveAt(ns) };
    element.current!.style.cursor = CURSORS[hand.kindAt(event.offsetX, event.offsetY)];
  };
  return (
    <div
      ref={element}
      class="strip-hand"
      data-testid="strip-plot"
      style={{ height: `${place.height}px` }}
      tabIndex={0}
      role="slider"
      aria-label="T, the moment that is shown. Arrow keys move it."
      aria-valuemin={0}
      aria-valuemax={info.event_count}
      aria-valuenow={t.value}
      aria-valuetext={`${exactTime(times.of(t.value))}, after ${count(t.value)} events`}
      onPointerDown={(event) => hand.down(event)}
      onPointerMove={(event) => (hand.move(event), over(event))}
      onPointerUp={() => hand.up()}
      onPointerCancel={() => hand.up()}
      onPointerLeave={() => (pointed.value = null)}
      onDblClick={() => {
        showWholeRun();
        setRange(0, info.event_count);
      }}
    >
      {children}
    </div>
  );
}

const CURSORS: Record<Kind, string> = { T: 'col-resize', A: 'ew-resize', B: 'ew-resize', move: 'grab', new: 'crosshair' };

class Hand {
  place!: Place;
  private drag: Drag | null = null;
  private frame = 0;
  private at = 0;
  private wheelEnds: ReturnType<typeof setTimeout> | undefined;

  time(x: number): number {
    const { from, to } = view.value;
    const share = (x - this.place.left) / (this.place.right - this.place.left);
    return from + (to - from) * Math.max(0, Math.min(1, share));
  }

  private x(ns: number): number {
    const { from, to } = view.value;
    return this.place.left + ((this.place.right - this.place.left) * (ns - from)) / (to - from);
  }

  kindAt(x: number, y: number): Kind {
    if (this.drag) return this.drag.kind;
    if (y > this.place.bottom) return 'T';
    const near = (ns: number) => Math.abs(this.x(ns) - x) <= NEAR;
    if (!wholeRun.value) {
      if (near(timeOfA())) return 'A';
      if (near(timeOfB())) return 'B';
    }
    if (near(data.value.times.of(t.value))) return 'T';
    const ns = this.time(x);
    return !wholeRun.value && ns > timeOfA() && ns < timeOfB() ? 'move' : 'new';
  }

  down(event: PointerEvent): void {
    if (event.button !== 0) return;
    stop();
    (event.currentTarget as Element).setPointerCapture(event.pointerId);
    const kind = this.kindAt(event.offsetX, event.offsetY);
    this.drag = { kind, from: event.offsetX, a: timeOfA(), b: timeOfB(), moved: false };
    this.at = event.offsetX;
    gesture(`strip ${kind}`);
  }

  move(event: PointerEvent): void {
    if (!this.drag) return;
    this.at = event.offsetX;
    this.drag.moved ||= Math.abs(this.at - this.drag.from) >= STILL;
    if (this.drag.moved) this.frame ||= requestAnimationFrame(() => this.apply());
  }

  up(): void {
    if (!this.drag) return;
    cancelAnimationFrame(this.frame);
    if (this.drag.moved) this.apply();
    else setT(this.positionAt(this.at));
    this.drag = null;
    this.frame = 0;
    endGesture();
  }

  private positionAt(x: number): number {
    return data.value.times.at(this.time(x));
  }

  private apply(): void {
    this.frame = 0;
    if (!this.drag) return;
    const { times } = data.value;
    const { kind, from, a, b } = this.drag;
    if (kind === 'T') return setT(this.positionAt(this.at));
    const ns = this.time(this.at);
    if (kind === 'new') return setRange(this.positionAt(from), this.positionAt(this.at));
    if (kind === 'A') return setRange(times.at(ns), times.at(b));
    if (kind === 'B') return setRange(times.at(a), times.at(ns));
    const { from: first, to: last } = run.value;
    const by = Math.max(first - a, Math.min(last - b, ns - this.time(from)));
    setRange(times.at(a + by), times.at(b + by));
  }

  wheel(event: WheelEvent): void {
    event.preventDefault();
    gesture('strip wheel');
    clearTimeout(this.wheelEnds);
    this.wheelEnds = setTimeout(() => endGesture('strip wheel'), 300);
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
    const { from, to } = view.value;
    // Browsers turn Shift+wheel into a sideways one.
    const sideways = event.shiftKey ? event.deltaY || event.deltaX : event.deltaX;
    if (sideways !== 0) pan((sideways * lines * (to - from)) / (this.place.right - this.place.left));
    else zoom(1.0015 ** (event.deltaY * lines), this.time(event.offsetX));
  }
}

const timeOfA = () => (a.value === 0 ? run.value.from : data.value.times.of(a.value));
const timeOfB = () => (b.value === data.value.info.event_count ? run.value.to : data.value.times.of(b.value));
