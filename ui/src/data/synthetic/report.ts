// A synthetic process as a report's file: `node synthetic.mjs` writes it with the page's program.

import type { Columns } from '../columns.ts';
import { pack, textOf } from './pack.ts';
import { synthesize, type Wishes } from './synthetic.ts';

/** `deflate`: deflate-raw. Blocks stand there as columns. */
export function report(wishes: Partial<Wishes>, script: string, style: string, deflate: (bytes: Uint8Array) => Uint8Array): string {
  const { overview, tables, samples } = synthesize(wishes);
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
