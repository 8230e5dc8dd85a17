// The first line of every page: which program, how it ended, what is missing, and the filter.

import { copyLink } from '../state/actions.ts';
import { helpOpen } from '../state/keys.ts';
import { data, goTo, process, showProcess, source } from '../state/state.ts';
import { Button } from '../ui/button.tsx';
import { Icon } from '../ui/icons.tsx';
import { Name, baseName, commandLine } from '../ui/name.tsx';
import { forced, theme, toggleTheme } from '../ui/theme.ts';
import { bytes, duration } from '../ui/units.ts';
import type { Overview, ProcessInfo } from '../data/types.ts';
import { FilterBox } from './filter.tsx';
import './header.css';

export function Header() {
  const { info } = data.value;
  const dark = theme.value === 'dark';
  return (
    <header class="header">
      <h1 class="header-program" title={whole(info)}>
        <span class="header-tool">heaptape</span>
        <strong>
          <Name text={baseName(info.argv[0] ?? info.name)} tail={8} />
        </strong>
        <span class="header-arguments">
          <Name text={commandLine(info.argv.slice(1))} tail={10} title={whole(info)} />
        </span>
      </h1>
      <Processes />
      <span class="header-facts">
        <span>pid {info.pid}</span>
        <span class={endedWell(info) ? undefined : 'header-bad'}>{info.ending}</span>
        <span title="From its first recorded event to its end">{duration(info.end_ns - info.start_ns)}</span>
      </span>
      <Losses />
      <FilterBox />
      <span class="header-tools">
        <Button icon="link" label="Copy a link to this view" keys="c" onClick={() => void copyLink()} testid="copy-link" />
        <Button icon={dark ? 'sun' : 'moon'} label={dark ? 'Light theme' : 'Dark theme'} keys="d" onClick={toggleTheme} disabled={forced} why="Your system decides the colours." testid="theme" />
        <Button icon="help" label="Help and keys" keys="?" onClick={() => (helpOpen.value = true)} testid="help" />
      </span>
    </header>
  );
}

function whole(info: ProcessInfo): string {
  return info.argv.length > 0 ? commandLine(info.argv) : info.name;
}

/** Exit status 0, or an end of which nothing bad is known. */
function endedWell({ ending, crash }: ProcessInfo): boolean {
  return crash === null && /^(exit(ed)?( with)?( code| status)? 0\b|exec|ended|running)/.test(ending);
}

/** The process that the page opens with, then the others by what they held at most. */
function inOrder({ processes, first }: Overview): ProcessInfo[] {
  return [...processes].sort((x, y) => Number(y.id === first) - Number(x.id === first) || y.peak.bytes - x.peak.bytes || x.id - y.id);
}

/** Why the page opens with this process; nothing where it does not. */
function whyFirst({ processes, first }: Overview, it: ProcessInfo): string {
  if (it.id !== first) return '';
  const most = processes.every((other) => !other.included || other.peak.bytes <= it.peak.bytes);
  return it.crash !== null ? ', crashed' : most ? ', highest peak' : '';
}

/** Which process, where there are several. */
function Processes() {
  const { overview } = source.value;
  const { processes } = overview;
  if (processes.length < 2) return null;
  return (
    <select
      class="header-processes"
      aria-label="Process"
      title="Process, and the most it had live at once. The page opens with one that crashed, else with the one of the highest peak."
      data-testid="processes"
      value={process.value}
      onChange={(event) => void showProcess(Number(event.currentTarget.value))}
    >
      {inOrder(overview).map((it) => (
        <option key={it.id} value={it.id} disabled={!it.included} title={it.why_not ?? undefined}>
          #{it.id} {baseName(it.argv[0] ?? it.name)} · {bytes(it.peak.bytes)}
          {whyFirst(overview, it)}
          {it.included ? '' : ' (not in this report)'}
        </option>
      ))}
    </select>
  );
}

/** Says on every page that something is missing, or is an estimate. */
function Losses() {
  const { overview } = source.value;
  const { info } = data.value;
  const badges = [
    overview.losses.length > 0 && { word: 'incomplete', why: overview.losses.join('\n') },
    overview.sampling !== null && { word: 'sampled', why: 'Totals are estimates for the whole program; single blocks are those that were chosen.' },
    info.capped !== null && { word: 'capped', why: 'Not all blocks are in this report.' },
    (overview.has_contents || info.has_contents) && { word: 'has contents', why: 'This report holds bytes of the program’s memory. Mind who gets it.' },
  ];
  return (
    <>
      {badges.map((badge) => badge && (
        <button key={badge.word} class="header-badge" title={badge.why} onClick={() => goTo('about')} data-testid={`badge-${badge.word.replace(' ', '-')}`}>
          <Icon name="warn" size={14} />
          {badge.word}
        </button>
      ))}
    </>
  );
}
