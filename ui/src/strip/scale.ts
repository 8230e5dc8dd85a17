// Where the strip's ticks stand, and how they are written.

/** Steps of a power of two bytes, two to four of them up to `most`. */
export function byteTicks(most: number): number[] {
  if (most <= 0) return [];
  const step = 2 ** Math.max(0, Math.floor(Math.log2(most)) - 1);
  const ticks = [];
  for (let tick = step; tick <= most; tick += step) ticks.push(tick);
  return ticks;
}

/** Steps of 1, 2 or 5 times a power of ten, at most `most` of them, between two times in nanoseconds. */
export function timeTicks(from: number, to: number, most: number): { ns: number; label: string }[] {
  const least = (to - from) / Math.max(1, most);
  const power = 10 ** Math.floor(Math.log10(least));
  const step = [1, 2, 5, 10].map((it) => it * power).find((it) => it >= least)!;
  const digits = Math.max(0, -Math.floor(Math.log10(step / 1e9) + 1e-9));
  const ticks = [];
  for (let k = Math.ceil(from / step); k * step <= to; k++) {
    ticks.push({ ns: k * step, label: k === 0 ? '0' : `${((k * step) / 1e9).toFixed(digits)} s` });
  }
  return ticks;
}
