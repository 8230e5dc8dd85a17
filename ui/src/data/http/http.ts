// The server of `heaptape ui`: everything is asked for when it is needed. A query that is given up ends its request, and
// the server stops working on it.

import type { Columns } from '../columns.ts';
import { readFrames, readStacks, readStrings } from '../inpage/backtraces.ts';
import { TimeTable } from '../inpage/times.ts';
import type { DataSource, Overview, ProcessData, Samples } from '../types.ts';
import { askColumns, askJson } from './ask.ts';
import { HttpProcess } from './process.ts';

/** The overview; then each process as it is opened, once. `root`: where both are, below the page. */
export async function httpSource(root: string): Promise<DataSource> {
  const overview = await askJson<Overview>(`${root}overview.json`);
  const opened = new Map<number, Promise<ProcessData>>();
  return {
    overview,
    in_page: false,
    open(process) {
      let data = opened.get(process);
      if (!data) {
        opened.set(process, (data = open(overview, root, process)));
        // The server may be there again the next time.
        data.catch(() => opened.delete(process));
      }
      return data;
    },
  };
}

async function open(overview: Overview, root: string, process: number): Promise<ProcessData> {
  const info = overview.processes.find((it) => it.id === process);
  if (!info) throw new Error(`there is no process ${process}`);
  if (!info.included) throw new Error(info.why_not ?? `process ${process} is not served`);
  const base = `${root}p/${process}/`;
  const [strings, frames, stacks, times, samples] = await Promise.all(
    ['strings', 'frames', 'stacks', 'times', 'samples'].map((table) => askColumns(base + table)),
  );
  return new HttpProcess(
    base, info, readStacks(stacks!, readFrames(frames!, readStrings(strings!))),
    new TimeTable(times!, info.start_ns, info.event_count), samplesOf(samples!),
  );
}

function samplesOf({ columns }: Columns): Samples {
  const { time_ns, rss, anon, file } = columns as unknown as Samples;
  return { time_ns, rss, anon, file };
}
