// Packs columns as heaptape's writer does, for tests and for pages of synthetic processes.

import type { Column, Columns } from '../columns.ts';

/** Columns that hold ranks or times, nearly ascending: written as differences. */
const NEAR = new Set(['born', 'position', 'time_lo', 'time_hi', 'id_lo', 'id_hi']);

export function pack({ meta, columns }: Columns, compressible: boolean): Uint8Array {
  const heads = Object.entries(columns).map(([name, values]) => ({
    name, type: typeOf(values), length: values.length, delta: compressible && NEAR.has(name),
    shuffle: compressible && values.BYTES_PER_ELEMENT > 1,
  }));
  let header = JSON.stringify({ meta, columns: heads });
  let bytes = new TextEncoder().encode(header).length;
  for (; (4 + bytes) % 8 !== 0; bytes++) header += ' ';
  const arrays = heads.map(({ name, delta, shuffle }) => packColumn(columns[name]!, delta, shuffle));
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

function packColumn(values: Column, delta: boolean, shuffle: boolean): Uint8Array {
  const steps = delta ? values.map((value: number, i: number) => value - (i > 0 ? values[i - 1]! : 0)) : values.slice();
  const bytes = new Uint8Array(steps.buffer);
  if (!shuffle) return bytes;
  const shuffled = new Uint8Array(bytes.length);
  const width = values.BYTES_PER_ELEMENT;
  for (let i = 0; i < bytes.length; i++) shuffled[(i % width) * values.length + Math.floor(i / width)] = bytes[i]!;
  return shuffled;
}

/** Bytes as text of seven bits a character (docs/page.md, The file). */
export function textOf(bytes: Uint8Array): string {
  const away = [0, 13, 60];
  let text = '';
  let waits = -1;
  for (let bit = 0; bit < bytes.length * 8; bit += 7) {
    const at = bit >> 3;
    const seven = ((bytes[at]! | ((bytes[at + 1] ?? 0) << 8)) >> (bit & 7)) & 127;
    if (waits >= 0) {
      text += String.fromCharCode(0x100 + waits * 128 + seven);
      waits = -1;
    } else if (away.includes(seven)) waits = away.indexOf(seven);
    else text += String.fromCharCode(seven);
  }
  return waits < 0 ? text : text + String.fromCharCode(0x280 + waits);
}
