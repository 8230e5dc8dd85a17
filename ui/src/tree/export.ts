// Trees in the formats of other programs: folded stacks, speedscope's JSON, pprof's profile.

import type { Stacks } from '../data/types.ts';
import { path } from './shape.ts';
import { fnName, frameOf } from './shared.ts';
import { TopDown } from './topdown.ts';
import type { View } from './view.ts';

interface Sample {
  /** Outermost first. */
  fns: number[];
  bytes: number;
  blocks: number;
}

/** Each node with weight of its own, from the outside in. */
function samples(view: View): Sample[] {
  const tree = view.shape;
  if (!(tree instanceof TopDown)) throw new Error('files hold trees from the outside in');
  const found = [];
  for (let node = 1; node < tree.count; node++) {
    const [bytes, blocks] = [view.bytes.self(node), view.blocks.self(node)];
    if (bytes !== 0 || blocks !== 0) found.push({ fns: path(tree, node), bytes, blocks });
  }
  return found;
}

/** One line a backtrace: `main;run;fill 4096`, in the view's unit. */
export function folded(view: View, stacks: Stacks): string {
  const name = (fn: number) => fnName(fn, stacks, frameOf(stacks, fn), true).replace(/[;\n]/g, ':');
  return samples(view).map((it) => `${it.fns.map(name).join(';')} ${it[view.unit]}\n`).join('');
}

/** https://www.speedscope.app/file-format-schema.json */
export function speedscope(view: View, stacks: Stacks, title: string): string {
  const all = samples(view).filter((it) => it[view.unit] > 0);
  const numbers = new Map<number, number>();
  for (const { fns } of all) for (const fn of fns) if (!numbers.has(fn)) numbers.set(fn, numbers.size);
  const { strings, file, line } = stacks.frames;
  const frames = [...numbers.keys()].map((fn) => {
    const frame = frameOf(stacks, fn);
    const where = fn < 0 ? '' : strings[file[frame]!]!;
    return { name: fnName(fn, stacks, frame, true), ...(where !== '' && { file: where, line: line[frame] }) };
  });
  const weights = all.map((it) => it[view.unit]);
  return JSON.stringify({
    $schema: 'https://www.speedscope.app/file-format-schema.json',
    shared: { frames },
    profiles: [
      {
        type: 'sampled',
        name: title,
        unit: view.unit === 'bytes' ? 'bytes' : 'none',
        startValue: 0,
        endValue: weights.reduce((sum, it) => sum + it, 0),
        samples: all.map(({ fns }) => fns.map((fn) => numbers.get(fn))),
        weights,
      },
    ],
  });
}

/** A profile of pprof with blocks and bytes, gzipped: github.com/google/pprof/blob/main/proto/profile.proto. */
export async function pprof(view: View, stacks: Stacks, metric: string): Promise<Uint8Array<ArrayBuffer>> {
  const texts = new Map<string, number>([['', 0]]);
  const text = (it: string) => texts.get(it) ?? (texts.set(it, texts.size), texts.size - 1);
  const valueType = (type: string, unit: string) => message([[1, text(type)], [2, text(unit)]]);
  const fields: Field[] = [[1, valueType(`${metric} blocks`, 'count')], [1, valueType(`${metric} bytes`, 'bytes')]];
  const numbers = new Map<number, number>();
  for (const { fns, bytes, blocks } of samples(view)) {
    // Innermost first; numbers from 1.
    const locations = [...fns].reverse().map((fn) => numbers.get(fn) ?? (numbers.set(fn, numbers.size + 1), numbers.size));
    fields.push([2, message([[1, packed(locations)], [2, packed([blocks, bytes])]])]);
  }
  const { strings, file, line } = stacks.frames;
  for (const [fn, id] of numbers) {
    const frame = frameOf(stacks, fn);
    const name = text(fnName(fn, stacks, frame, true));
    const own = fn < 0 ? 0 : line[frame]!;
    fields.push([4, message([[1, id], [4, message([[1, id], [2, own]])]])]);
    fields.push([5, message([[1, id], [2, name], [3, name], [4, text(fn < 0 ? '' : strings[file[frame]!]!)]])]);
  }
  for (const it of texts.keys()) fields.push([6, new TextEncoder().encode(it)]);
  const stream = new Blob([message(fields)]).stream().pipeThrough(new CompressionStream('gzip'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

type Field = [number: number, value: number | Uint8Array<ArrayBuffer>];

/** Protocol buffers: numbers as varints, all else with its length. */
function message(fields: Field[]): Uint8Array<ArrayBuffer> {
  const parts: (number[] | Uint8Array)[] = [];
  for (const [field, value] of fields) {
    if (typeof value === 'number') parts.push([...varint(field * 8), ...varint(value)]);
    else parts.push([...varint(field * 8 + 2), ...varint(value.length)], value);
  }
  const joined = new Uint8Array(parts.reduce((length, it) => length + it.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

function packed(values: number[]): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(values.flatMap(varint));
}

/** Of a whole number from 0 to 2^53. */
function varint(value: number): number[] {
  const bytes = [];
  let rest = Math.round(value);
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  bytes.push(rest);
  return bytes;
}
