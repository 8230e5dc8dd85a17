// Writes a report of a synthetic process, for measurements: `node synthetic.mjs FILE [BLOCKS [STACKS]]`. STORY in the
// environment is the example of heaptape's that folds its blocks, as `cargo build --release --examples` makes it.
import { build } from 'esbuild';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { deflateRawSync } from 'node:zlib';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const [file, blocks = '2000000', stacks = '180000'] = process.argv.slice(2);
await build({ entryPoints: [here('src/data/synthetic/report.ts')], outfile: here('dist/report.mjs'), bundle: true, platform: 'node', format: 'esm' });
const { outputFiles } = await build({
  entryPoints: { app: here('src/main.tsx') }, outdir: here('dist'), bundle: true, write: false, minify: true, format: 'iife',
  jsx: 'automatic', jsxImportSource: 'preact', charset: 'utf8', target: ['chrome109', 'firefox115', 'safari16.4'],
});
const text = (end) => outputFiles.find((it) => it.path.endsWith(end))?.text ?? '';
const { report } = await import(here('dist/report.mjs'));
const wishes = { blocks: Number(blocks), stacks: Number(stacks), contents: false, crash: false };
const story = process.env.STORY ?? here('../target/release/examples/story');
const tell = (input) => execFileSync(story, { input, maxBuffer: 1 << 30 });
writeFileSync(file, report(wishes, text('.js').replaceAll('</script', '<\\/script'), text('.css'), deflateRawSync, tell));
