// Places in ascending arrays, and the order of keys.

import { finish, finishInSlices, type Slices, type Steps } from './slices.ts';

type Ascending = { readonly length: number; readonly [index: number]: number };

/** The first index whose value is at least `value`. */
export function lowerBound(array: Ascending, value: number, from = 0, to = array.length): number {
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (array[middle]! < value) from = middle + 1;
    else to = middle;
  }
  return from;
}

/** The first index whose value is greater than `value`. */
export function upperBound(array: Ascending, value: number, from = 0, to = array.length): number {
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (array[middle]! <= value) from = middle + 1;
    else to = middle;
  }
  return from;
}

/**
 * The indices of keys (numbers from 0 up, infinity too) in ascending or descending order; equal ones keep theirs.
 * A radix sort, as two million keys are: the bits of such a double order as it does.
 */
export function orderOf(keys: Float64Array, descending = false): Uint32Array {
  return finish(orderingOf(keys, descending));
}

/** The same with a rest between the passes. */
export function orderInSlices(keys: Float64Array, descending: boolean, slices: Slices): Promise<Uint32Array> {
  return finishInSlices(orderingOf(keys, descending), slices);
}

function* orderingOf(keys: Float64Array, descending: boolean): Steps<Uint32Array> {
  const count = keys.length;
  const halves = new Uint16Array(keys.buffer, keys.byteOffset, count * 4);
  const flip = descending ? 0xffff : 0;
  let order = new Uint32Array(count);
  let next = new Uint32Array(count);
  for (let i = 0; i < count; i++) order[i] = i;
  const counts = new Uint32Array(65536);
  for (let half = 0; half < 4; half++) {
    counts.fill(0);
    for (let i = half; i < halves.length; i += 4) counts[halves[i]! ^ flip]!++;
    if (count > 0 && counts[halves[half]! ^ flip] === count) continue;
    let sum = 0;
    for (let digit = 0; digit < 65536; digit++) {
      const here = counts[digit]!;
      counts[digit] = sum;
      sum += here;
    }
    for (let k = 0; k < count; k++) {
      const index = order[k]!;
      next[counts[halves[index * 4 + half]! ^ flip]!++] = index;
    }
    [order, next] = [next, order];
    yield undefined;
  }
  return order;
}

/** The items of `order` by their ranks, whole numbers below 2^32; equal ones keep their order. `order` is used up. */
export function orderByRank(order: Uint32Array<ArrayBuffer>, rankOf: Uint32Array): Uint32Array {
  let most = 0;
  for (let k = 0; k < order.length; k++) most = Math.max(most, rankOf[order[k]!]!);
  let next = new Uint32Array(order.length);
  const counts = new Uint32Array(2048);
  for (let shift = 0; shift < 32 && most >>> shift > 0; shift += 11) {
    counts.fill(0);
    for (let k = 0; k < order.length; k++) counts[(rankOf[order[k]!]! >>> shift) & 2047]!++;
    let sum = 0;
    for (let digit = 0; digit < 2048; digit++) {
      const here = counts[digit]!;
      counts[digit] = sum;
      sum += here;
    }
    for (let k = 0; k < order.length; k++) {
      const item = order[k]!;
      next[counts[(rankOf[item]! >>> shift) & 2047]!++] = item;
    }
    [order, next] = [next, order];
  }
  return order;
}
