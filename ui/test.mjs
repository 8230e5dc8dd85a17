// Bundles tests/*.test.ts and runs them: `node test.mjs [NAME…]` (names of files, without `.test.ts`).
import { build } from 'esbuild';
import { spawnSync } from 'node:child_process';
import { readdirSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const names = process.argv.slice(2);
const files = readdirSync(here('tests')).filter((it) => it.endsWith('.test.ts') && (names.length === 0 || names.includes(it.slice(0, -8))));
rmSync(here('dist/tests'), { recursive: true, force: true });
await build({
  entryPoints: files.map((it) => here(`tests/${it}`)),
  outdir: here('dist/tests'),
  outExtension: { '.js': '.mjs' },
  bundle: true,
  platform: 'node',
  format: 'esm',
  sourcemap: 'inline',
  logLevel: 'warning',
});
const bundled = files.map((it) => here(`dist/tests/${it.slice(0, -3)}.mjs`));
const { status } = spawnSync(process.execPath, ['--enable-source-maps', '--test', ...bundled], { stdio: 'inherit' });
process.exit(status ?? 1);
