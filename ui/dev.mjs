// The developer's page: the product with a synthetic process instead of a recording → dist/dev.html, to be opened from
// file://. Usage: node dev.mjs.
import { build } from 'esbuild';
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const synthetic = {
  name: 'synthetic',
  setup: (bundler) => bundler.onResolve({ filter: /^\.\/data\/connect\.ts$/ }, () => ({ path: here('src/data/synthetic/connect.ts') })),
};
const { outputFiles } = await build({
  entryPoints: { app: here('src/main.tsx') },
  outdir: here('dist'),
  bundle: true,
  write: false,
  format: 'iife',
  jsx: 'automatic',
  jsxImportSource: 'preact',
  charset: 'utf8',
  plugins: [synthetic],
});
const text = (end) => outputFiles.find((it) => it.path.endsWith(end))?.text ?? '';
// A closing tag in a string of the bundle must not end it.
const script = text('.js').replaceAll('</script', '<\\/script');
mkdirSync(here('dist'), { recursive: true });
writeFileSync(
  here('dist/dev.html'),
  `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>heaptape</title><style>${text('.css')}</style></head>` +
    `<body><div id="app"></div><script>${script}</script></body></html>\n`,
);
console.log('dist/dev.html');
