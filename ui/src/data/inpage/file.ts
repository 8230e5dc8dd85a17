// The report as a file: its overview and its tables stand in elements of the page.

import { unfold } from '../coded/unfold.ts';
import { column, unpack, type Columns } from '../columns.ts';
import { unpacked } from '../packed.ts';
import type { DataSource, Overview, ProcessData, ProcessInfo, Samples } from '../types.ts';
import { InPage, type Tables } from './inpage.ts';
import { groundOf } from './layout.ts';
import { finishInSlices, Slices } from './slices.ts';
import type { SourceFiles } from './source.ts';

/** By then the page has been drawn. */
const PREPARE_AFTER_MS = 500;

/** What the names of the first recording's tables begin with. A second one has sums alone. */
const FIRST = 'p';

/** Opens processes as they are asked for, each once. `letter`: what the names of the tables begin with. */
export function fileSource(overview: Overview, letter: string): DataSource {
  const opened = new Map<number, Promise<ProcessData>>();
  return {
    overview,
    in_page: true,
    open(process) {
      let data = opened.get(process);
      if (!data) opened.set(process, (data = open(overview, letter, process)));
      return data;
    },
  };
}

async function open(overview: Overview, letter: string, process: number): Promise<ProcessData> {
  const info = overview.processes.find((it) => it.id === process);
  if (!info) throw new Error(`there is no process ${process}`);
  if (!info.included) throw new Error(info.why_not ?? `process ${process} is not in this report`);
  const place: Place = { letter, process };
  const [strings, frames, stacks, blocks, times, samples, flows, timeline, contents, source] = await Promise.all([
    required(place, 'strings'), required(place, 'frames'), required(place, 'stacks'), required(place, 'blocks'), required(place, 'times'),
    table(place, 'samples'), table(place, 'flows'), table(place, 'timeline'), table(place, 'contents'), sourceOf(place),
  ]);
  const tables: Tables = { strings, frames, stacks, blocks, times, flows, timeline, contents, source };
  const data = await InPage.open(info, tables, samplesOf(samples), groundOf(info.page_bytes, infoOf(overview, info)), overview.apis);
  if (letter === FIRST) setTimeout(() => void data.prepare(), PREPARE_AFTER_MS);
  return data;
}

function infoOf(overview: Overview, info: ProcessInfo): unknown {
  const processes = (overview.info as { processes?: { number: number }[] } | null)?.processes ?? [];
  return processes.find((it) => it.number === info.id);
}

function samplesOf(table: Columns | null): Samples {
  const none = new Float64Array(0);
  if (!table) return { time_ns: none, rss: none, anon: none, file: none };
  const time_ns = column(table, 'time_ns', 'f64');
  const read = (name: string) => column(table, name, 'f64', time_ns.length);
  return { time_ns, rss: read('rss'), anon: read('anon'), file: read('file') };
}

/** Whose tables. */
interface Place {
  letter: string;
  process: number;
}

async function required(place: Place, name: string): Promise<Columns> {
  const found = await table(place, name);
  if (!found) throw new Error(`the table ${name} of process ${place.process} is missing: the file is cut off`);
  return found;
}

async function table(place: Place, name: string): Promise<Columns | null> {
  const packed = text(place, name);
  return packed === null ? null : readable(place, name, async () => finishInSlices(unfold(name, unpack(await unpacked(packed))), new Slices()));
}

/** Its lines are JSON as it is: they can be searched in the file. */
async function sourceOf(place: Place): Promise<SourceFiles | null> {
  const json = text(place, 'source');
  return json === null ? null : readable(place, 'source', () => JSON.parse(json) as SourceFiles);
}

/** What `read` gives; where it fails, the error names the table. */
async function readable<T>({ process }: Place, name: string, read: () => T | Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    throw new Error(`the table ${name} of process ${process} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** What an element holds; it is taken out of the page, which need not keep it. */
function text({ letter, process }: Place, name: string): string | null {
  const element = document.getElementById(`${letter}${process}-${name}`);
  const found = element?.textContent ?? null;
  element?.remove();
  return found;
}
