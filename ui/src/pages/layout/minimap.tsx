// The whole of what is shown, narrow and tall: how used it is, and which part is in sight.

import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import { effect, signal } from '@preact/signals';
import { data } from '../../state/state.ts';
import { endGesture, gesture } from '../../state/params.ts';
import { styled, theme } from '../../ui/theme.ts';
import { geometry, layout, room, scrolled, scrollTo, shown } from './view.ts';

const WIDTH = 14;

/** Share of use of each line of pixels, -1 where there is nothing. */
const lines = signal<Float32Array>(new Float32Array(0));

export function Minimap() {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(follow, []);
  useLayoutEffect(() => effect(() => draw(canvas.current!)), []);
  const go = (event: PointerEvent) => {
    if (event.buttons === 0) return;
    const box = canvas.current!.getBoundingClientRect();
    const share = (event.clientY - box.top) / box.height;
    scrollTo(share * geometry.value.height - room.value.height / 2);
  };
  return (
    <canvas
      ref={canvas}
      class="minimap"
      data-testid="layout-minimap"
      aria-hidden="true"
      onPointerDown={(event) => {
        gesture('layout-minimap');
        event.currentTarget.setPointerCapture(event.pointerId);
        go(event);
      }}
      onPointerMove={go}
      onPointerUp={() => endGesture()}
    />
  );
}

/** Asks for the use of each line when T rests and when other segments are shown. */
function follow(): () => void {
  let abort = new AbortController();
  const stop = effect(() => {
    const now = layout.value;
    const height = Math.round(room.value.height);
    const segments = shown.value;
    abort.abort();
    if (now === null || segments.length === 0) return;
    const own = (abort = new AbortController());
    const all = segments.reduce((sum, { start, end }) => sum + end - start, 0);
    const parts = segments.map(({ start, end }) => {
      const count = Math.max(1, Math.floor(((end - start) / all) * height));
      const cell = Math.ceil((end - start) / count);
      return data.peek().cells(now.t, start, cell, Math.ceil((end - start) / cell), own.signal);
    });
    void Promise.all(parts).then((cells) => {
      if (own.signal.aborted) return;
      lines.value = Float32Array.from(cells.flatMap((it) => Array.from(it.used, (used) => used / it.cell_bytes)));
    });
  });
  return () => {
    stop();
    abort.abort();
  };
}

function draw(canvas: HTMLCanvasElement): void {
  void theme.value;
  const { height, scale } = room.value;
  canvas.width = WIDTH * scale;
  canvas.height = Math.round(height * scale);
  const context = canvas.getContext('2d')!;
  context.scale(scale, scale);
  context.fillStyle = styled('--hole');
  context.fillRect(0, 0, WIDTH, height);
  context.fillStyle = styled('--accent');
  const step = height / Math.max(1, lines.value.length);
  lines.value.forEach((used, index) => {
    if (used > 0) context.fillRect(0, index * step, Math.max(2, used * WIDTH), Math.max(1, step));
  });
  const whole = geometry.value.height;
  if (whole <= height) return;
  context.strokeStyle = styled('--text');
  context.lineWidth = 1.5;
  context.strokeRect(1, (scrolled.value / whole) * height + 1, WIDTH - 2, Math.max(6, (height / whole) * height - 2));
}
