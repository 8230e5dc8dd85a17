// Builds the programs that the tests of the page look at, records them, and writes their reports: dist/fixtures/F1.html, …
// And F2.html, a synthetic process of 2 million blocks; F1.golden.json, what Rust says of F1's tape; F4.crash.json, what
// `heaptape crash` says of F4's.
// Usage: HEAPTAPE=path GOLDEN=path node e2e/fixtures.mjs. The binary brings the page: build it (cargo xtask ui, cargo build
// --release --package heaptape --bins --examples) before.

import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const heaptape = resolve(process.env.HEAPTAPE ?? here('../../target/release/heaptape'));
const golden = resolve(process.env.GOLDEN ?? here('../../target/release/examples/golden'));
const targets = here('../../targets/');
const built = here('../dist/fixtures/programs/');
const written = here('../dist/fixtures/');

const CPP = ['g++', '-O1', '-g', '-pthread', '-fno-inline', '-fno-optimize-sibling-calls', '-fno-omit-frame-pointer', '-rdynamic'];
const C = ['gcc', '-O0', '-g', '-rdynamic'];

/** Each fixture: a program of targets/, its compiler, its arguments (of a second recording: `other`), whether it dies, options of
 * the report, the name of another one that holds few blocks one by one, and whether its tapes stay: F9.tape, F9-other.tape. */
const FIXTURES = {
  // A program that has a bit of everything.
  F1: { program: 'demo', compiler: CPP, arguments: ['1200'], golden: true, capped: 'F10' },
  // Nothing is allocated.
  F3: { command: ['/bin/true'] },
  // Use after free.
  F4: { program: 'demo', compiler: CPP, arguments: ['300', 'crash'], dies: true, crash: true },
  // Hostile names, of functions, a thread, arguments and the source file itself.
  F5: {
    program: 'hostile_names', compiler: C, folder: '<', source: 'script><img src=x onerror=window.__broken=4>.c',
    arguments: ['</script><script>window.__broken=5</script>', '<img src=x onerror=window.__broken=6>', '\u202Edesrever'],
  },
  // Several processes.
  F6: { command: ['/bin/sh', '-c', 'ls / > /dev/null; ls / > /dev/null; true'], options: ['--process', 'all'] },
  // Known bytes.
  F7: { program: 'letter', compiler: C, arguments: [], record: ['--contents'], options: ['--contents'] },
  // One small block in 16 MiB.
  F8: { program: 'lone', compiler: C, arguments: [] },
  // Two recordings.
  F9: { program: 'demo', compiler: CPP, arguments: ['300'], other: ['900'], keep: true },
};

mkdirSync(built, { recursive: true });
for (const [name, fixture] of Object.entries(FIXTURES)) {
  const tape = join(written, `${name}.tape`);
  const binary = fixture.command ? null : build(fixture);
  record(name, tape, fixture.record ?? [], fixture.command ?? [binary, ...fixture.arguments], fixture.dies ?? false);
  const options = [...(fixture.options ?? [])];
  const other = join(written, `${name}-other.tape`);
  if (fixture.other) {
    record(name, other, [], [binary, ...fixture.other], false);
    options.push('--diff', other);
  }
  report(name, options, tape);
  if (fixture.capped) report(fixture.capped, [...options, '--max-blocks', '1000'], tape);
  if (fixture.golden) writeFileSync(join(written, `${name}.golden.json`), execFileSync(golden, [tape], { maxBuffer: 1 << 28 }));
  if (fixture.crash) writeFileSync(join(written, `${name}.crash.json`), execFileSync(heaptape, ['crash', '--json', tape]));
  if (!fixture.keep) rmSync(tape);
  console.log(`dist/fixtures/${name}.html`);
}

execFileSync('node', ['--max-old-space-size=4000', here('../synthetic.mjs'), join(written, 'F2.html')], { stdio: 'inherit' });
console.log('dist/fixtures/F2.html');

function record(name, tape, options, command, dies) {
  const run = spawnSync(heaptape, ['run', ...options, '--force', '--output', tape, '--', ...command], { cwd: built, encoding: 'utf8' });
  if ((run.status === 0) === dies) throw new Error(`${name}: ended with ${run.status ?? run.signal}\n${run.stderr}`);
}

function report(name, options, tape) {
  execFileSync(heaptape, ['report', ...options, '--force', '--output', join(written, `${name}.html`), tape], { stdio: ['ignore', 'ignore', 'inherit'] });
}

function build({ program, compiler, folder = '.', source }) {
  const extension = compiler === CPP ? 'cpp' : 'c';
  mkdirSync(join(built, folder), { recursive: true });
  const path = join(built, folder, source ?? `${program}.${extension}`);
  copyFileSync(join(targets, `${program}.${extension}`), path);
  const binary = join(built, program);
  const [tool, ...options] = compiler;
  execFileSync(tool, [...options, path, '-o', binary], { stdio: 'inherit' });
  return binary;
}
