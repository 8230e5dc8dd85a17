// Asks the data a question whenever what it depends on changes; the last answer stays until the next one is there.

import { batch, effect, signal, type ReadonlySignal } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';

/**
 * An answer, its error, and whether a newer one is on its way: a signal of its own, so that only who reads it is drawn once
 * more for that; while T moves, every frame.
 */
export interface Answer<T> {
  value: T | undefined;
  error: string;
  readonly pending: boolean;
}

/**
 * `ask` reads signals and starts a query; it runs again when one of them changes, and the one in flight is given up.
 * `deps` are the values of props that it reads, as for `useEffect`.
 */
export function useQuery<T>(ask: (signal: AbortSignal) => Promise<T> | null, deps: unknown[] = []): ReadonlySignal<Answer<T>> {
  const { answer, pending, show } = useMemo(() => answers<T>(), []);
  useEffect(() => {
    let flight = new AbortController();
    const stop = effect(() => {
      flight.abort();
      const own = (flight = new AbortController());
      const asked = ask(own.signal);
      if (asked === null) return show(undefined, '');
      pending.value = true;
      asked.then(
        (value) => own.signal.aborted || show(value, ''),
        (error) => own.signal.aborted || show(undefined, String(error?.message ?? error)),
      );
    });
    return () => {
      stop();
      flight.abort();
    };
  }, deps);
  return answer;
}

function answers<T>() {
  const pending = signal(true);
  const told = (value: T | undefined, error: string): Answer<T> => ({ value, error, get pending() { return pending.value; } });
  const answer = signal(told(undefined, ''));
  const show = (value: T | undefined, error: string) =>
    batch(() => {
      answer.value = told(value, error);
      pending.value = false;
    });
  return { answer, pending, show };
}
