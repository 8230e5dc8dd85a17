// Packs columns as heaptape's writer does, for tests and for pages of synthetic processes.

import type { Column, Columns } from '../columns.ts';

/** Columns that hold ranks or times, nearly ascending: written as differences. */
const NEAR = new Set(['born', 'position', 'time_lo', 'time_hi', 'id_lo', 'id_hi']);
/** Columns that are near the last value in a row with the same value of another one. */
const NEAR_BY: Record<string, string> = { usable: 'size_lo', addr_lo: 'usable', life: 'stack', freed_stack: 'stack' };

export function pack({ meta, columns }: Columns, compressible: boolean): Uint8Array {
  const heads = Object.entries(columns).map(([name, values]) => ({
    name, type: typeOf(values), length: values.length, delta: compressible && NEAR.has(name), by: compressible ? NEAR_BY[name] : undefined,
    shuffle: compressible && values.BYTES_PER_ELEMENT > 1,
  }));
  let header = JSON.stringify({ meta, columns: heads });
  let bytes = new TextEncoder().encode(header).length;
  for (; (4 + bytes) % 8 !== 0; bytes++) header += ' ';
  const arrays = heads.map(({ name, delta, by, shuffle }) => packColumn(by ? differencesBy(columns[by]!, columns[name]!) : columns[name]!, delta, shuffle));
  const packed = new Uint8Array(4 + bytes + arrays.reduce((sum, it) => sum + padded(it.length), 0));
  new DataView(packed.buffer).setUint32(0, bytes, true);
  packed.set(new TextEncoder().encode(header), 4);
  let at = 4 + bytes;
  for (const array of arrays) {
    packed.set(array, at);
    at += padded(array.length);
  }
  return packed;
}

const padded = (bytes: number) => Math.ceil(bytes / 8) * 8;

function typeOf(values: Column): string {
  if (values instanceof Uint8Array) return 'u8';
  if (values instanceof Uint16Array) return 'u16';
  return values instanceof Uint32Array ? 'u32' : 'f64';
}

function differencesBy(key: Column, values: Column): Uint32Array {
  const last = new Map<number, number>();
  return Uint32Array.from(values, (value: number, i: number) => {
    const slot = key[i]! % 65536;
    const step = (value - (last.get(slot) ?? 0)) | 0;
    last.set(slot, value);
    return (step << 1) ^ (step >> 31);
  });
}

function packColumn(values: Column, delta: boolean, shuffle: boolean): Uint8Array {
  const steps = delta ? values.map((value: number, i: number) => value - (i > 0 ? values[i - 1]! : 0)) : values.slice();
  const bytes = new Uint8Array(steps.buffer);
  if (!shuffle) return bytes;
  const shuffled = new Uint8Array(bytes.length);
  const width = values.BYTES_PER_ELEMENT;
  for (let i = 0; i < bytes.length; i++) shuffled[(i % width) * values.length + Math.floor(i / width)] = bytes[i]!;
  return shuffled;
}
