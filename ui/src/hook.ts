// What tests may ask the page: `window.__ht`.

import type { ProcessData } from './data/types.ts';
import { hash } from './state/params.ts';
import { a, b, data, t } from './state/state.ts';
import { time } from './ui/units.ts';

declare global {
  interface Window {
    __ht: {
      /** Whether the first picture is drawn. */
      ready: boolean;
      /** The state, as links write it. */
      readonly state: string;
      /** T, A and B as sentences write them. */
      moments: () => { t: string; a: string; b: string };
      /** The process that is shown: what it answers, without the page around it. */
      readonly data: ProcessData;
      perf: Record<string, number>;
      /** Lengths of the frames since the last call, in milliseconds; the first call begins to take them. */
      frames: () => number[];
    };
  }
}

const frames: number[] = [];
let before = 0;

function framesSince(): number[] {
  if (before === 0) {
    before = performance.now();
    const next = (now: number) => {
      frames.push(now - before);
      before = now;
      requestAnimationFrame(next);
    };
    requestAnimationFrame(next);
  }
  return frames.splice(0);
}

window.__ht = {
  ready: false,
  get state() {
    return hash();
  },
  moments: () => {
    const write = (position: number) => time(data.value.times.of(position));
    return { t: write(t.value), a: write(a.value), b: write(b.value) };
  },
  get data() {
    return data.value;
  },
  perf: {},
  frames: framesSince,
};

export function isReady(): void {
  window.__ht.perf['ready_ms'] = performance.now();
  window.__ht.ready = true;
}
