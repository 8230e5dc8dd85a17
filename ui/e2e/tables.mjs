// The tables of a report, read from its file: docs/page.md, Columns. Of the page's own code only what reads stories; what
// these say is held against Rust by crates/heaptape/tests and golden.mjs.

import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { build } from 'esbuild';

const ARRAYS = { u8: Uint8Array, u16: Uint16Array, u32: Uint32Array, f64: Float64Array };

const here = fileURLToPath(new URL('..', import.meta.url));
const exports = `export { unfold } from './unfold.ts'; export { bytesOf } from '../packed.ts'; export { textOf } from '../synthetic/pack.ts';`;
const { outputFiles } = await build({ stdin: { contents: exports, resolveDir: `${here}src/data/coded` }, bundle: true, write: false, format: 'esm' });
const { bytesOf, textOf, unfold } = await import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString('base64')}`);

/** The report's overview; `other-overview`: that of the recording it is compared with. */
export function overviewOf(path, id = 'overview') {
  return JSON.parse(inflated(path, id));
}

function inflated(path, id) {
  return inflateRawSync(bytesOf(element(readFileSync(path, 'utf8'), id)));
}

/** The columns of a table by name: `tableOf(path, 'p0-blocks')`. */
export function tableOf(path, id) {
  const packed = inflated(path, id);
  const length = packed.readUInt32LE(0);
  const { meta, columns } = JSON.parse(packed.subarray(4, 4 + length).toString());
  const read = {};
  let at = 4 + length;
  for (const { name, type, length: count, delta, shuffle } of columns) {
    const width = ARRAYS[type].BYTES_PER_ELEMENT;
    const raw = packed.subarray(at, at + count * width);
    const bytes = new Uint8Array(count * width);
    for (let i = 0; i < bytes.length; i++) bytes[shuffle ? (i % count) * width + Math.floor(i / count) : i] = raw[i];
    const values = new ARRAYS[type](bytes.buffer);
    if (delta) for (let i = 1; i < count; i++) values[i] += values[i - 1];
    read[name] = values;
    at += Math.ceil((count * width) / 8) * 8;
  }
  let step = { done: false };
  for (const steps = unfold(id.replace(/^.*-/, ''), { meta, columns: read }); !step.done; ) step = steps.next();
  const table = { ...step.value.columns };
  if (table.back) table.parent = table.back.map((steps, i) => i - steps);
  if (table.life) table.died = table.life.map((life, i) => (life === 0 ? 0xffffffff : table.born[i] + life));
  return table;
}

/** The call site of each stack: its innermost frame that is no wrapper; where all are, the innermost. */
export function sitesOf({ parent, frame }, { flags }) {
  return parent.map((_, stack) => {
    let at = stack;
    while (at !== 0 && (flags[frame[at]] & 4) !== 0) at = parent[at];
    return frame[at === 0 ? stack : at];
  });
}

/** The time of each position, by a look at all changes of the clock. */
export function timesOf(path, process = 0) {
  const { position, time_lo, time_hi } = tableOf(path, `p${process}-times`);
  const start = overviewOf(path).processes.find((it) => it.id === process).start_ns;
  return (wanted) => {
    let [low, high] = [0, position.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (position[middle] <= wanted) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? start : time_hi[low - 1] * 2 ** 32 + time_lo[low - 1];
  };
}

function element(html, id) {
  const from = html.indexOf('>', html.indexOf(`id="${id}"`)) + 1;
  if (from === 0) throw new Error(`there is no ${id}`);
  return html.slice(from, html.indexOf('</script', from));
}

/** Writes a copy of a report whose overview `change` has changed; its path. */
export function variantOf(path, name, change) {
  const html = readFileSync(path, 'utf8');
  const overview = overviewOf(path);
  change(overview);
  const written = path.replace(/[^/]*$/, `${name}.html`);
  writeFileSync(written, html.replace(element(html, 'overview'), () => textOf(deflateRawSync(JSON.stringify(overview)))));
  return written;
}
