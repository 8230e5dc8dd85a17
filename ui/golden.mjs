// Holds what the page computes of a report against what Rust says of its tape (crates/heaptape/examples/golden.rs):
// `node golden.mjs REPORT.html GOLDEN.json`. Says what differs; exit code 1 where something does.
import { build } from 'esbuild';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { inflateRawSync } from 'node:zlib';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const [report, golden] = process.argv.slice(2).map((path) => readFileSync(path, 'utf8'));
await build({ entryPoints: [here('test/golden.ts')], outfile: here('dist/golden.mjs'), bundle: true, platform: 'node', format: 'esm' });
const { bytesOf, differences } = await import(here('dist/golden.mjs'));
const element = (id) => new RegExp(`<script type="[^"]*" id="${id}">([^<]*)</script>`).exec(report)?.[1] ?? null;
const inflated = (id) => element(id) && inflateRawSync(bytesOf(element(id)));
const { compared, found } = await differences(JSON.parse(inflated('overview')), inflated, JSON.parse(golden));
for (const line of found.slice(0, 20)) console.log(line);
console.log(`${compared} compared, ${found.length} differ`);
process.exit(found.length > 0 ? 1 : 0);
