// Requests to the server, and what can go wrong with them.

import { unpack, type Columns } from '../columns.ts';

/** Asks the server; below the address of the page, which holds the token. */
export async function ask(path: string, signal?: AbortSignal): Promise<Response> {
  const response = await fetch(path, { signal: signal ?? null, cache: 'no-store', redirect: 'error' });
  if (!response.ok) throw new Error((await response.text()).trim() || `the server says ${response.status}`);
  return response;
}

export async function askColumns(path: string, signal?: AbortSignal): Promise<Columns> {
  return unpack(new Uint8Array(await (await ask(path, signal)).arrayBuffer()));
}

export async function askJson<T>(path: string, signal?: AbortSignal): Promise<T> {
  return (await ask(path, signal)).json() as Promise<T>;
}
