// Finds out who answers: the columns in this file, or the server that sent the page.

import type { DataSource, Overview } from './types.ts';

export async function connect(): Promise<DataSource> {
  const element = document.getElementById('overview');
  const overview = element ? (JSON.parse(element.textContent ?? '') as Overview) : null;
  if (overview && overview.version !== 1) throw new Error(`it was written in version ${overview.version} of its layout, not 1`);
  throw new Error('there are none');
}
