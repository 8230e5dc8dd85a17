// The width of an element, for what must be drawn to fit it.

import { useLayoutEffect, useState } from 'preact/hooks';
import type { RefObject } from 'preact';

/** In CSS pixels; `initial` until it is laid out. */
export function useWidth(of: RefObject<HTMLElement | null>, initial = 480): number {
  const [width, setWidth] = useState(initial);
  useLayoutEffect(() => {
    const element = of.current;
    if (!element) return;
    const measure = () => setWidth(Math.floor(element.clientWidth));
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return width;
}
