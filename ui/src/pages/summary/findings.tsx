// What stands out: sentences with a number and a place, and ways to see for oneself. Nothing: what was looked at.

import type { Finding } from '../../data/types.ts';
import { followLink } from '../../state/actions.ts';
import { data } from '../../state/state.ts';
import { Icon } from '../../ui/icons.tsx';
import { Name } from '../../ui/name.tsx';
import { bytes, counted, exactBytes } from '../../ui/units.ts';

const MOST = 7;

const MARKS = { high: 'warn', medium: 'flag', low: 'about' } as const;

export function Findings() {
  const { findings, checked } = data.value.info;
  return (
    <section aria-labelledby="findings" data-testid="findings">
      <h2 id="findings">Findings</h2>
      {findings.length === 0 ? (
        <Nothing checked={checked} />
      ) : (
        <ul class="findings">
          {findings.slice(0, MOST).map((it, k) => (
            <Sentence key={k} finding={it} />
          ))}
        </ul>
      )}
    </section>
  );
}

/** That nothing was found says something only with what was looked for: a list that waits to be opened, for it is long. */
function Nothing({ checked }: { checked: string[] }) {
  if (checked.length === 0) return <p class="muted">Nothing stands out.</p>;
  return (
    <details class="findings-none">
      <summary>
        Nothing stands out. <span class="muted">{counted(checked.length, 'thing')} looked for</span>
      </summary>
      <ul>
        {checked.map((it) => (
          <li key={it}>{it}</li>
        ))}
      </ul>
    </details>
  );
}

function Sentence({ finding }: { finding: Finding }) {
  const { severity, sentence, place } = finding;
  return (
    <li data-severity={severity} data-rule={finding.rule}>
      <span class="finding-mark" title={`${severity} severity`}>
        <Icon name={MARKS[severity]} size={15} />
        <span class="unseen">{severity}: </span>
      </span>
      <span class="finding-sentence">
        <bdi>{sentence}</bdi>
        {unsaid(place, sentence) !== '' && (
          <>
            <span class="finding-gap"> </span>
            <span class="finding-place">
              <Name text={unsaid(place, sentence)} tail={20} />
            </span>
          </>
        )}
      </span>
      <span class="finding-bytes" title={finding.bytes > 0 ? exactBytes(finding.bytes) : undefined}>
        {finding.bytes > 0 && bytes(finding.bytes)}
      </span>
      <span class="finding-links">
        {finding.links.map(({ page, params }) => (
          <button key={page} class="text-button" data-testid="finding-link" onClick={() => followLink(page, params)}>
            {page}
          </button>
        ))}
      </span>
    </li>
  );
}

/** What of a place, `function file:line`, the sentence does not say. */
function unsaid(place: string, sentence: string): string {
  const at = place.lastIndexOf(' ');
  return at > 0 && sentence.includes(place.slice(0, at)) ? place.slice(at + 1) : place;
}
