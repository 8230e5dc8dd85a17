// The legend of the tall strip: the call sites that have colours of their own, as on all pages.

import { useQuery } from '../state/query.ts';
import { data, select, selected } from '../state/state.ts';
import { category, css, OTHER } from '../ui/colour.ts';
import { functionName, Name, wholeFrame } from '../ui/name.tsx';
import { theme } from '../ui/theme.ts';
import { colouredSites } from './stack.ts';

export function Sites() {
  const sites = useQuery(() => colouredSites(data.value)).value.value ?? [];
  const { frames } = data.value.stacks;
  const chosen = selected.value?.kind === 'site' ? selected.value.id : null;
  return (
    <ul class="strip-sites" aria-label="Call sites by colour" data-testid="strip-sites">
      {sites.map((site, rank) => (
        <li key={site}>
          <button aria-pressed={site === chosen} onClick={() => select('site', site)}>
            <Swatch rank={rank} /> <Name text={functionName(frames, site)} title={wholeFrame(frames, site)} />
          </button>
        </li>
      ))}
      <li>
        <Swatch rank={OTHER} /> all others
      </li>
    </ul>
  );
}

function Swatch({ rank }: { rank: number }) {
  return <i class="strip-swatch" style={{ background: css(category(rank, theme.value)) }} />;
}
