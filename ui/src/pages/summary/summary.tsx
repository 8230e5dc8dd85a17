// The first look: how much, what stands out, who; then what the kernel says, what went wrong, and the other processes.

import { data, source } from '../../state/state.ts';
import { Nothing } from '../nothing.tsx';
import { Errors } from './errors.tsx';
import { Findings } from './findings.tsx';
import { Headline } from './headline.tsx';
import { Notices } from './notices.tsx';
import { Largest, Processes } from './processes.tsx';
import { Rankings } from './rankings.tsx';
import { Rss } from './rss.tsx';
import './summary.css';

export function Summary() {
  const { info } = data.value;
  const empty = info.block_count === 0;
  return (
    <div class="summary">
      <Notices />
      <Largest />
      <Headline />
      {empty ? <Nothing what="allocations" /> : <Findings />}
      {info.errors !== null && <Errors errors={info.errors} />}
      {!empty && <Rankings />}
      {info.rss !== null && <Rss rss={info.rss} />}
      {source.value.overview.processes.length > 1 && <Processes />}
    </div>
  );
}
