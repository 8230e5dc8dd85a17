// A synthetic process as a report's file: `node synthetic.mjs` writes it with the page's program.

import { column, type Columns } from '../columns.ts';
import { pack, textOf } from './pack.ts';
import { synthesize, type Wishes } from './synthetic.ts';

/** Bytes to bytes. `tell`: what crates/heaptape/examples/story.rs does. */
type Bytes = (bytes: Uint8Array) => Uint8Array;

/** `deflate`: deflate-raw. */
export function report(wishes: Partial<Wishes>, script: string, style: string, deflate: Bytes, tell: Bytes): string {
  const { overview, tables, samples } = synthesize(wishes);
  if (tables.blocks) tables.blocks = folded(tables.blocks, tell);
  const { source, ...columns } = tables;
  const blobs = Object.entries<Columns | null>({ ...columns, samples: { meta: {}, columns: { ...samples } } }).map(([name, table]) => {
    return table ? `<script type="application/octet-stream" id="p0-${name}">${textOf(deflate(pack(table, true)))}</script>\n` : '';
  });
  const json = (id: string, value: unknown) => `<script type="application/json" id="${id}">${JSON.stringify(value).replaceAll('<', '\\u003c')}</script>\n`;
  return (
    `<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>synthetic</title>\n<style>${style}</style>\n</head>\n<body>\n` +
    `<div id="static"><h1>synthetic</h1></div><div id="app"></div>` +
    `<script type="application/octet-stream" id="overview">${textOf(deflate(new TextEncoder().encode(JSON.stringify(overview))))}</script>\n${blobs.join('')}` +
    `${json('p0-source', source)}<script>${script}</script>\n</body>\n</html>\n`
  );
}

/** The columns of a story, in the order of the example. */
const TOLD = {
  born: 'u32', life: 'u32', stack: 'u32', freed_stack: 'u32', size_lo: 'u32', usable: 'u32', addr_lo: 'u32', addr_hi: 'u32',
  thread: 'u16', freed_thread: 'u16', api: 'u8', flags: 'u8', leak: 'u8',
} as const;

/** The table of blocks as a file has it. */
function folded({ meta, columns }: Columns, tell: Bytes): Columns {
  const table = { meta, columns };
  const told = Object.entries(TOLD).map(([name, type]) => column(table, name, type));
  const words = new Uint32Array([told[0]!.length, Number(meta['inherited'] ?? 0)]);
  const parts = [words, ...told].map((it) => new Uint8Array(it.buffer, it.byteOffset, it.byteLength));
  const all = new Uint8Array(parts.reduce((sum, it) => sum + it.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  const story = Uint8Array.from(tell(all));
  if (story.length === 0) return table;
  const [blocks, inherited, freed, stacks, threads] = new Uint32Array(story.slice(0, 20).buffer);
  const others = Object.fromEntries(Object.entries(columns).filter(([name]) => !Object.hasOwn(TOLD, name)));
  return { meta: { ...meta, blocks, inherited, freed, stacks, threads }, columns: { ...others, story: story.slice(20) } };
}
