// The rows of the list of blocks: fetched in pages as they come in sight, the last ones kept until newer ones are there.

import { effect, signal } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import type { BlockPage, BlockQuery, Blocks, Measure, Weight } from '../../data/types.ts';
import { data } from '../../state/state.ts';

/** Rows asked for at once. */
const PAGE = 1000;

/** A row: one index of a page. */
export interface Row {
  of: Blocks;
  at: number;
}

/** What is shown: the answer to one question, of which not all pages may be here yet. */
export interface Rows {
  count: number;
  total: Weight;
  row: (index: number) => Row | undefined;
  /** Whether this answers an older question than the one asked. */
  pending: boolean;
  error: string;
}

export interface Order {
  sort: BlockQuery['sort'];
  descending: boolean;
}

/** `measure` and `order` read signals. The second result is to be told which rows are in sight. */
export function useRows(measure: () => Measure, order: () => Order): [Rows, (first: number, last: number) => void] {
  const [rows, source] = useMemo(() => {
    const shown = signal<Rows>({ count: 0, total: { bytes: 0, blocks: 0 }, row: () => undefined, pending: true, error: '' });
    return [shown, new RowSource((next) => (shown.value = { ...shown.peek(), ...next }))];
  }, []);
  useEffect(() => {
    const stop = effect(() => source.ask({ ...measure(), ...order() }));
    return () => {
      stop();
      source.giveUp();
    };
  }, []);
  return [rows.value, source.onSight];
}

class RowSource {
  #flight = new AbortController();
  #question: (Measure & Order) | undefined;
  #pages = new Map<number, BlockPage | 'asked'>();
  #sight: [number, number] = [0, 1];
  readonly #show: (next: Partial<Rows>) => void;

  constructor(show: (next: Partial<Rows>) => void) {
    this.#show = show;
  }

  giveUp(): void {
    this.#flight.abort();
  }

  /** A new question: begins with the rows in sight. */
  ask(question: Measure & Order): void {
    this.#flight.abort();
    this.#flight = new AbortController();
    this.#question = question;
    this.#pages = new Map();
    this.#show({ pending: true });
    this.#fetch(this.#flight, Math.floor(this.#sight[0] / PAGE));
  }

  readonly onSight = (first: number, last: number): void => {
    this.#sight = [first, last];
    const { aborted } = this.#flight.signal;
    for (let page = Math.floor(first / PAGE); page * PAGE < last && !aborted; page++) {
      if (this.#question && this.#pages.size > 0 && !this.#pages.has(page)) this.#fetch(this.#flight, page);
    }
  };

  async #fetch(flight: AbortController, page: number): Promise<void> {
    const pages = this.#pages;
    pages.set(page, 'asked');
    try {
      const answer = await data.value.blocks({ ...this.#question!, offset: page * PAGE, limit: PAGE }, flight.signal);
      if (flight.signal.aborted) return;
      pages.set(page, answer);
      this.#show({ count: answer.count, total: answer.total, row: (index) => rowOf(pages, index), pending: false, error: '' });
      // The rows in sight may have been beyond the end of the new answer, or have moved meanwhile.
      this.onSight(Math.min(this.#sight[0], Math.max(0, answer.count - 1)), Math.min(this.#sight[1], answer.count));
    } catch (error) {
      if (!flight.signal.aborted) this.#show({ pending: false, error: error instanceof Error ? error.message : String(error) });
    }
  }
}

function rowOf(pages: Map<number, BlockPage | 'asked'>, index: number): Row | undefined {
  const page = pages.get(Math.floor(index / PAGE));
  if (page === undefined || page === 'asked') return undefined;
  const at = index % PAGE;
  return at < page.rows.count ? { of: page.rows, at } : undefined;
}
