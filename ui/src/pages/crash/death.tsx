// The end of a process that was killed without a crash of its own: by another, or for want of memory.

import { bytes, exactBytes, time } from '../../ui/units.ts';
import { LastEvents } from './evidence.tsx';
import { signalName, type Death } from './model.ts';

export function DeathOf({ death }: { death: Death }) {
  return (
    <article aria-label="How it ended">
      <header class="crash-verdict">
        <h2 data-testid="verdict">
          Killed{death.signal !== null ? ` by ${signalName(death.signal)}` : ''}
          {death.out_of_memory && <span class="confidence">out of memory</span>}
        </h2>
        <p data-testid="reason">{death.reason}</p>
        {death.rss_bytes !== null && (
          <p class="muted" title={exactBytes(death.rss_bytes)}>
            Resident memory was {bytes(death.rss_bytes)}
            {death.rss_time_ns !== null && ` at ${time(death.rss_time_ns)}, the last time it was looked at`}.
          </p>
        )}
      </header>
      <LastEvents events={death.last_events} />
    </article>
  );
}
