// Bundles test/*.test.ts (and .mjs) and runs them: `node test.mjs [NAME…]`, names of files without `.test.ts`.
import { build } from 'esbuild';
import { spawnSync } from 'node:child_process';
import { readdirSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const wanted = process.argv.slice(2);
const names = readdirSync(here('test')).flatMap((file) => {
  const match = /^(.*)\.test\.(ts|mjs)$/.exec(file);
  return match && (wanted.length === 0 || wanted.includes(match[1])) ? [match[0]] : [];
});
rmSync(here('dist/test'), { recursive: true, force: true });
await build({
  entryPoints: names.map((name) => here(`test/${name}`)),
  outdir: here('dist/test'),
  outExtension: { '.js': '.mjs' },
  bundle: true,
  platform: 'node',
  format: 'esm',
  sourcemap: 'inline',
  logLevel: 'warning',
});
const bundled = names.map((name) => here(`dist/test/${name.replace(/\.(ts|mjs)$/, '.mjs')}`));
const { status } = spawnSync(process.execPath, ['--enable-source-maps', '--test', ...bundled], { stdio: 'inherit' });
process.exit(status ?? 1);
