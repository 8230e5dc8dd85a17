// Asks the data a question whenever what it depends on changes; the last answer stays until the next one is there.

import { effect, signal, type ReadonlySignal } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';

/** An answer, its error, and whether a newer one is on its way. */
export interface Answer<T> {
  value: T | undefined;
  error: string;
  pending: boolean;
}

/**
 * `ask` reads signals and starts a query; it runs again when one of them changes, and the one in flight is given up.
 * `deps` are the values of props that it reads, as for `useEffect`.
 */
export function useQuery<T>(ask: (signal: AbortSignal) => Promise<T> | null, deps: unknown[] = []): ReadonlySignal<Answer<T>> {
  const answer = useMemo(() => signal<Answer<T>>({ value: undefined, error: '', pending: true }), []);
  useEffect(() => {
    let flight = new AbortController();
    const stop = effect(() => {
      flight.abort();
      const own = (flight = new AbortController());
      const asked = ask(own.signal);
      if (asked === null) {
        answer.value = { value: undefined, error: '', pending: false };
        return;
      }
      const before = answer.peek();
      if (!before.pending) answer.value = { ...before, pending: true };
      asked.then(
        (value) => own.signal.aborted || (answer.value = { value, error: '', pending: false }),
        (error) =>
          own.signal.aborted || (answer.value = { value: undefined, error: String(error?.message ?? error), pending: false }),
      );
    });
    return () => {
      stop();
      flight.abort();
    };
  }, deps);
  return answer;
}
