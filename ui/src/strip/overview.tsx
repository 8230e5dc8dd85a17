// The bar under a zoomed strip: the whole run, and which part of it the strip shows. Drag it to move there.

import { useSignalEffect } from '@preact/signals';
import { useRef } from 'preact/hooks';
import { endGesture, gesture } from '../state/params.ts';
import { useQuery } from '../state/query.ts';
import { data } from '../state/state.ts';
import { run, setView, view } from '../state/view.ts';
import { styled, theme } from '../ui/theme.ts';
import { drawOverview } from './draw.ts';

const HEIGHT = 14;
const BUCKETS = 512;

export function Overview({ left, right }: { left: number; right: number }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const dragging = useRef(false);
  const width = right - left;
  const envelope = useQuery((signal) => data.value.envelope(run.value.from, run.value.to, BUCKETS, signal));
  useSignalEffect(() => {
    theme.value;
    const answer = envelope.value.value;
    if (!answer || !canvas.current) return;
    drawOverview(canvas.current, { width, height: HEIGHT }, answer, styled('--accent'));
  });
  const { from, to } = run.value;
  const share = (ns: number) => (100 * (ns - from)) / (to - from);
  const moveTo = (event: PointerEvent) => {
    const middle = from + ((to - from) * event.offsetX) / width;
    const half = (view.value.to - view.value.from) / 2;
    setView({ from: middle - half, to: middle + half });
  };
  return (
    <div
      class="strip-overview"
      data-testid="strip-overview"
      style={{ left: `${left}px`, width: `${width}px`, height: `${HEIGHT}px` }}
      onPointerDown={(event) => {
        dragging.current = true;
        event.currentTarget.setPointerCapture(event.pointerId);
        gesture('overview');
        moveTo(event);
      }}
      onPointerMove={(event) => dragging.current && moveTo(event)}
      onPointerUp={() => {
        dragging.current = false;
        endGesture('overview');
      }}
    >
      <canvas ref={canvas} style={{ width: `${width}px`, height: `${HEIGHT}px` }} aria-hidden="true" />
      <span class="strip-window" style={{ left: `${share(view.value.from)}%`, width: `${share(view.value.to) - share(view.value.from)}%` }} />
    </div>
  );
}
