// What the bytes at an offset are, read as each of the usual types. Little endian.

export interface Field {
  name: string;
  /** `··` where one of its bytes is not known, `–` where the block ends before it. */
  value: string;
}

type Read = (view: DataView, at: number) => string;

const TYPES: [string, number, Read][] = [
  ['u8', 1, (view, at) => String(view.getUint8(at))],
  ['i8', 1, (view, at) => String(view.getInt8(at))],
  ['u16', 2, (view, at) => String(view.getUint16(at, true))],
  ['i16', 2, (view, at) => String(view.getInt16(at, true))],
  ['u32', 4, (view, at) => String(view.getUint32(at, true))],
  ['i32', 4, (view, at) => String(view.getInt32(at, true))],
  ['u64', 8, (view, at) => String(view.getBigUint64(at, true))],
  ['i64', 8, (view, at) => String(view.getBigInt64(at, true))],
  ['f32', 4, (view, at) => decimal(view.getFloat32(at, true), 7)],
  ['f64', 8, (view, at) => decimal(view.getFloat64(at, true), 15)],
  ['ptr', 8, (view, at) => `0x${view.getBigUint64(at, true).toString(16)}`],
];

export const UNKNOWN = '··';

export function fieldsAt(bytes: Uint8Array, known: Uint8Array, at: number): Field[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const fields = TYPES.map(([name, length, read]) => {
    if (at + length > bytes.length) return { name, value: '–' };
    return { name, value: allKnown(known, at, length) ? read(view, at) : UNKNOWN };
  });
  return [...fields, { name: 'utf-8', value: textAt(bytes, known, at) }];
}

function allKnown(known: Uint8Array, at: number, length: number): boolean {
  for (let k = at; k < at + length; k++) if (known[k] !== 1) return false;
  return true;
}

/** A word as it stands in memory; `null` where it is not all known. */
export function wordAt(bytes: Uint8Array, known: Uint8Array, at: number): bigint | null {
  if (at + 8 > bytes.length || !allKnown(known, at, 8)) return null;
  return new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(at, true);
}

/** The text from here to a zero byte, to what is not known or not UTF-8, or 64 bytes; `–`: none. */
function textAt(bytes: Uint8Array, known: Uint8Array, at: number): string {
  let end = at;
  while (end < bytes.length && end - at < 64 && known[end] === 1 && bytes[end] !== 0) end++;
  // A character may be cut at the end: up to three bytes of it are left out.
  for (let cut = 0; cut <= 3 && end - cut > at; cut++) {
    try {
      const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(at, end - cut));
      return `“${visible(text)}”`;
    } catch {
      // Not this many bytes.
    }
  }
  return '–';
}

/** Control characters and those that turn the direction of text, as escapes. */
export function visible(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]/g, (it) => `\\u{${it.codePointAt(0)!.toString(16)}}`);
}

function decimal(value: number, digits: number): string {
  if (!Number.isFinite(value)) return String(value);
  return String(Number(value.toPrecision(digits)));
}

/** A byte as a character of a dump: what is not printable ASCII is a point. */
export function ascii(byte: number): string {
  return byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.';
}
