// Finds out who answers: the columns in this file, or the server that sent the page.

import { httpSource } from './http/http.ts';
import { fileSource } from './inpage/file.ts';
import { checkBrowser, unpacked } from './packed.ts';
import type { DataSource, Overview } from './types.ts';

/** Which recording: what the names of its parts begin with, in the file and on the server. */
const FIRST = { overview: 'overview', tables: 'p', paths: '' };
const OTHER = { overview: 'other-overview', tables: 'q', paths: 'other/' };

export async function connect(): Promise<DataSource> {
  const isFile = document.getElementById(FIRST.overview) !== null;
  if (!isFile && location.protocol !== 'http:') throw new Error('there are none');
  const of = async (which: typeof FIRST) => {
    const source = isFile ? fileSource(await overviewIn(which.overview), which.tables) : await httpSource(which.paths);
    checkVersion(source.overview);
    return source;
  };
  const source = await of(FIRST);
  return source.overview.has_other ? { ...source, other: await of(OTHER) } : source;
}

async function overviewIn(id: string): Promise<Overview> {
  checkBrowser();
  const packed = document.getElementById(id)?.textContent;
  if (!packed) throw new Error(`the table ${id} is missing: the file is cut off`);
  return JSON.parse(new TextDecoder().decode(await unpacked(packed))) as Overview;
}

function checkVersion({ version }: { version: number }): void {
  if (version !== 1) throw new Error(`it was written in version ${version} of its layout, not 1`);
}
