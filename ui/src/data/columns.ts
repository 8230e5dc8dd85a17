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
