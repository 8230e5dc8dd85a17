// Bundles the page: src/main.tsx and what it imports → ../crates/heaptape-report/assets/app.js and app.css.
// Usage: node build.mjs [FOLDER]. The same sources give the same bytes; `cargo xtask ui --check` compares.
import { build } from 'esbuild';
import { fileURLToPath } from 'node:url';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const result = await build({
  entryPoints: { app: here('src/main.tsx') },
  outdir: process.argv[2] ?? here('../crates/heaptape-report/assets'),
  bundle: true,
  minify: true,
  format: 'iife',
  target: ['chrome109', 'firefox115', 'safari16.4'],
  jsx: 'automatic',
  jsxImportSource: 'preact',
  legalComments: 'none',
  charset: 'utf8',
  metafile: true,
  logLevel: 'warning',
});
for (const [file, { bytes }] of Object.entries(result.metafile.outputs)) console.log(`${file}: ${bytes} bytes`);
