// Long work in slices, between which the page draws and listens.

/** How long a slice may be, in milliseconds. */
const SLICE_MS = 10;

/** Items between two looks at the clock. */
export const STEP = 1 << 14;

export class Slices {
  readonly #signal: AbortSignal | undefined;
  #until = performance.now() + SLICE_MS;

  constructor(signal?: AbortSignal) {
    this.#signal = signal;
  }

  /** Whether it is time to `rest`. */
  get over(): boolean {
    return performance.now() >= this.#until;
  }

  /** Lets the page go on; throws if nobody waits for the answer any more. */
  async rest(): Promise<void> {
    await turn();
    this.#signal?.throwIfAborted();
    this.#until = performance.now() + SLICE_MS;
  }

  /** Calls `work` with stretches of `[from, to)`, with rests between them. */
  async each(from: number, to: number, work: (from: number, to: number) => void, step = STEP): Promise<void> {
    for (let at = from; at < to; at += step) {
      work(at, Math.min(to, at + step));
      if (this.over) await this.rest();
    }
  }
}

/** Work in steps: whoever walks them says when to rest. */
export type Steps<T> = Generator<undefined, T>;

/** All steps at once. */
export function finish<T>(steps: Steps<T>): T {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

/** The steps with rests between them. */
export async function finishInSlices<T>(steps: Steps<T>, slices: Slices): Promise<T> {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
    if (slices.over) await slices.rest();
  }
}

/** The next turn of the event loop, without the pause of timers. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
