// Tables as columns: named typed arrays. docs/page.md says how they are packed.

export type Column = Uint8Array | Uint16Array | Uint32Array | Float64Array;

/** A table. Its columns are of one length, unless docs/page.md says otherwise. */
export interface Columns {
  meta: Record<string, unknown>;
  columns: Record<string, Column>;
}

const WORDS = { u8: Uint8Array, u16: Uint16Array, u32: Uint32Array, f64: Float64Array } as const;
type Kind = keyof typeof WORDS;
type ArrayOf = { u8: Uint8Array; u16: Uint16Array; u32: Uint32Array; f64: Float64Array };

/** A column that must be there, of its type and (where given) length; throws a sentence otherwise. */
export function column<K extends Kind>(table: Columns, name: string, kind: K, length?: number): ArrayOf[K] {
  const found = optional(table, name, kind, length);
  if (!found) throw new Error(`the column ${name} is missing`);
  return found;
}

/** A column that may be absent. */
export function optional<K extends Kind>(table: Columns, name: string, kind: K, length?: number): ArrayOf[K] | null {
  const found = Object.hasOwn(table.columns, name) ? table.columns[name] : undefined;
  if (!found) return null;
  if (!(found instanceof WORDS[kind])) throw new Error(`the column ${name} is not of type ${kind}`);
  if (length !== undefined && found.length !== length)
    throw new Error(`the column ${name} has ${found.length} values, not ${length}`);
  return found as ArrayOf[K];
}

const WIDTHS: Record<Kind, number> = { u8: 1, u16: 2, u32: 4, f64: 8 };

/** What a header says of a column. */
interface Head {
  name: string;
  type: Kind;
  length: number;
  delta: boolean;
  shuffle: boolean;
}

/** Reads packed columns; throws a sentence where they are not what docs/page.md says. */
export function unpack(packed: Uint8Array): Columns {
  const { meta, heads, from } = readHeader(packed);
  const columns: Record<string, Column> = Object.create(null) as Record<string, Column>;
  let at = from;
  for (const head of heads) {
    const bytes = head.length * WIDTHS[head.type];
    if (at + bytes > packed.length) throw new Error(`the column ${head.name} ends before its ${head.length} values`);
    if (head.name in columns) throw new Error(`the column ${head.name} is there twice`);
    columns[head.name] = readColumn(packed.subarray(at, at + bytes), head);
    at += padded(bytes);
  }
  return { meta, columns };
}

function readHeader(packed: Uint8Array): { meta: Record<string, unknown>; heads: Head[]; from: number } {
  if (packed.length < 4) throw new Error('the columns have no header');
  const length = new DataView(packed.buffer, packed.byteOffset).getUint32(0, true);
  const from = 4 + length;
  if (from > packed.length || from % 8 !== 0) throw new Error(`a header of ${length} bytes cannot be`);
  const header: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(packed.subarray(4, from)));
  if (!isObject(header) || !isObject(header['meta']) || !Array.isArray(header['columns'])) throw new Error('the header of columns is none');
  return { meta: header['meta'], heads: header['columns'].map(readHead), from };
}

function readHead(head: unknown): Head {
  if (!isObject(head)) throw new Error('a column has no description');
  const { name, type, length, delta, shuffle } = head;
  if (typeof name !== 'string' || typeof type !== 'string' || !Object.hasOwn(WORDS, type)) throw new Error('a column has no name or type');
  if (typeof length !== 'number' || !Number.isInteger(length) || length < 0 || length > 2 ** 32) throw new Error(`the column ${name} has no length`);
  if (delta === true && type === 'f64') throw new Error(`the column ${name} cannot be differences`);
  return { name, type: type as Kind, length, delta: delta === true, shuffle: shuffle === true };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function padded(bytes: number): number {
  return Math.ceil(bytes / 8) * 8;
}

/** Always a copy: the packed bytes can go. */
function readColumn(bytes: Uint8Array, { type, length, delta, shuffle }: Head): Column {
  const values = new WORDS[type](length);
  if (shuffle && type === 'u32') unshuffle32(bytes, values as Uint32Array);
  else if (shuffle) unshuffle(bytes, new Uint8Array(values.buffer), WIDTHS[type]);
  else new Uint8Array(values.buffer).set(bytes);
  if (delta) for (let i = 1; i < length; i++) values[i]! += values[i - 1]!;
  return values;
}

function unshuffle(from: Uint8Array, to: Uint8Array, width: number): void {
  const count = from.length / width;
  for (let nth = 0; nth < width; nth++) {
    for (let i = 0, at = nth * count; i < count; i++) to[i * width + nth] = from[at + i]!;
  }
}

/** The same for four bytes, most of what there is; several times faster. */
function unshuffle32(from: Uint8Array, to: Uint32Array): void {
  const count = to.length;
  const [b, c, d] = [count, count * 2, count * 3];
  for (let i = 0; i < count; i++) to[i] = from[i]! | (from[b + i]! << 8) | (from[c + i]! << 16) | (from[d + i]! << 24);
}
