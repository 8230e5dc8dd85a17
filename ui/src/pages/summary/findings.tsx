// What stands out: sentences with a number and a place, and ways to see for oneself. Nothing: what was looked at.

import type { Finding } from '../../data/types.ts';
import { followLink } from '../../state/actions.ts';
import { data } from '../../state/state.ts';
import { Icon } from '../../ui/icons.tsx';
import { Name } from '../../ui/name.tsx';
import { bytes, exactBytes } from '../../ui/units.ts';

const MOST = 7;

const MARKS = { high: 'warn', medium: 'flag', low: 'about' } as const;

export function Findings() {
  const { findings, checked } = data.value.info;
  return (
    <section aria-labelledby="findings" data-testid="findings">
      <h2 id="findings">Findings</h2>
      {findings.length === 0 ? (
        <p class="muted">
          Nothing stands out.
          {checked.length > 0 && <> Looked at: {checked.join('; ')}.</>}
        </p>
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
          <span class="finding-place">
            <Name text={unsaid(place, sentence)} tail={20} />
          </span>
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
