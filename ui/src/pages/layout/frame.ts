// The frame that a map is in, whichever map it is: its size, and canvases that fill it.

import type { RefObject } from 'preact';
import { useLayoutEffect } from 'preact/hooks';
import { GUTTER, room } from './view.ts';

/** Keeps `room` the size of the frame. */
export function useRoom(frame: RefObject<HTMLElement | null>): void {
  useLayoutEffect(() => {
    const element = frame.current!;
    const measure = () => {
      const { clientWidth, clientHeight } = element;
      const now = { width: Math.max(64, clientWidth - GUTTER), height: Math.max(40, clientHeight), scale: devicePixelRatio || 1 };
      const before = room.peek();
      if (now.width !== before.width || now.height !== before.height || now.scale !== before.scale) room.value = now;
    };
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    measure();
    return () => observer.disconnect();
  }, []);
}

/** A canvas of the size of the map's frame, in pixels of the screen; all of it empty. */
export function prepare(canvas: HTMLCanvasElement): CanvasRenderingContext2D {
  const { width, height, scale } = room.value;
  const [wide, high] = [Math.round((width + GUTTER) * scale), Math.round(height * scale)];
  if (canvas.width !== wide || canvas.height !== high) {
    canvas.width = wide;
    canvas.height = high;
    canvas.style.width = `${width + GUTTER}px`;
    canvas.style.height = `${height}px`;
  }
  const context = canvas.getContext('2d')!;
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, wide, high);
  context.setTransform(scale, 0, 0, scale, 0, 0);
  return context;
}
