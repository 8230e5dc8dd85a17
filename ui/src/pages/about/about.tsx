// How good this recording is: what was recorded and with what, what is missing from it and why, and whose work this page is.

import { data, source } from '../../state/state.ts';
import { Icon } from '../../ui/icons.tsx';
import { commandLine, Name, visible } from '../../ui/name.tsx';
import { bytes, count, duration, exactBytes, percent, roundBytes, roundDuration, time } from '../../ui/units.ts';
import { notices } from '../summary/notices.tsx';
import './about.css';

export function About() {
  return (
    <div class="about" data-testid="about">
      <Quality />
      <div class="about-columns">
        <Recorded />
        <Recording />
        <Process />
      </div>
      <NotRecorded />
      <Modules />
      <Licences />
    </div>
  );
}

function Quality() {
  const said = notices();
  return (
    <section aria-labelledby="quality">
      <h2 id="quality">How good this recording is</h2>
      {said.length === 0 ? (
        <p class="about-good">
          <Icon name="check" size={15} /> Nothing is missing: every event of the recorded processes is here.
        </p>
      ) : (
        <ul class="about-missing">
          {said.map((it) => (
            <li key={it}>
              <Icon name="warn" size={14} /> {it}
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

/** Rows of a name and a value; those without a value are left out. */
function Facts({ title, facts }: { title: string; facts: [string, string | null | undefined, string?][] }) {
  return (
    <section>
      <h2>{title}</h2>
      <dl>
        {facts.map(([name, value, hint]) => value != null && value !== '' && (
          <div key={name} title={hint}>
            <dt>{name}</dt>
            <dd>
              <bdi>{visible(value)}</bdi>
            </dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

function Recorded() {
  const { overview } = source.value;
  const { info } = overview;
  const allocators = new Set<string>();
  for (const it of modulesOf(info)) if (/jemalloc|tcmalloc|mimalloc|libsnmalloc/.test(it.path)) allocators.add(it.path.slice(it.path.lastIndexOf('/') + 1));
  return (
    <Facts
      title="What was recorded"
      facts={[
        ['command', commandLine(overview.command)],
        ['in', info?.cwd],
        ['on', overview.host],
        ['when', wallClock(overview.recorded_at), overview.recorded_at],
        ['processes', count(overview.processes.length)],
        ['allocator', allocators.size > 0 ? [...allocators].join(', ') : 'that of the C library, or one linked into the program'],
      ]}
    />
  );
}

function wallClock(iso: string): string {
  return iso.replace('T', ' ');
}

/** What `--options` mean. */
const OPTIONS: Record<string, string> = {
  backtraces: 'backtraces of allocations',
  'free-backtraces': 'backtraces of frees',
  contents: 'contents of blocks',
  follow: 'child processes',
  mmap: 'mappings that the program makes itself',
  pss: 'proportional set size',
  'sample-interval-ms': 'RSS sampled every',
};

function valueWords(name: string, value: string): string {
  if (name === 'sample-interval-ms') return value === '0' ? 'never' : `${value} ms`;
  const first = /^first-(\d+)$/.exec(value);
  return name === 'free-backtraces' && first ? `of the first ${count(Number(first[1]))} of each thread` : value;
}

function Recording() {
  const { overview } = source.value;
  const { info } = overview;
  const options: [string, string][] = info?.options ?? [];
  return (
    <Facts
      title="With what"
      facts={[
        ['recorded by', info?.writer],
        ['shown by', overview.tool],
        ['tape', overview.tape],
        ['tape format', info?.format_version === undefined ? null : `version ${info.format_version}`],
        ['tape size', info?.quality ? bytes(info.quality.file_bytes) : null, info?.quality && exactBytes(info.quality.file_bytes)],
        ['clock', `in ticks of ${roundDuration(overview.tick_ns)}`, 'Times are multiples of it. The order of events is exact all the same.'],
        ['sampling', overview.sampling === null ? 'none: every allocation' : `one byte in ${roundBytes(overview.sampling.interval_bytes)} chosen`],
        ...options.map(([name, value]): [string, string] => [OPTIONS[name] ?? name.replaceAll('-', ' '), valueWords(name, value)]),
      ]}
    />
  );
}

function Process() {
  const { info } = data.value;
  const { lost, quality } = info.summary?.process ?? {};
  const unresolved = info.summary?.unresolved;
  const allocated = info.summary?.allocated;
  return (
    <Facts
      title={`This process, pid ${info.pid}`}
      facts={[
        ['events', count(info.event_count)],
        ['events lost', lost && count(lost.events)],
        ['threads lost', lost && count(lost.threads)],
        ['backtraces cut', lost && count(lost.truncated_backtraces), 'Too deep, or they could not be walked to their outermost frame'],
        ['malformed records', lost && count(lost.malformed + lost.abandoned)],
        ['waited for the recording', lost && duration(lost.waited_ns), 'Time of the program’s threads, all together; nothing is lost by it'],
        ['frees of no live block', allocated && count(allocated.unmatched_frees)],
        ['frees not seen', allocated && count(allocated.overlaid), 'An address was handed out again while it was still live'],
        ['frames without a name', unresolved && `${count(unresolved.unresolved)} of ${count(unresolved.frames)}, ${percent(unresolved.unresolved, unresolved.frames)}`],
        ['tape complete', quality && (quality.complete ? 'yes' : quality.being_recorded ? 'no: it was still being recorded' : 'no: it ends early')],
        ['damaged parts of the tape', quality && count(quality.damaged_blocks)],
        ['blocks in this report', info.capped ? `${count(info.capped.kept_blocks)} of ${count(info.capped.of_blocks)}` : count(info.block_count)],
        ['page size', roundBytes(info.page_bytes)],
        ['threads', count(info.threads.length)],
        ['ran', `${time(info.start_ns)} to ${time(info.end_ns)}`],
      ]}
    />
  );
}

/** What the recording was not asked for, and how to ask for it. */
function NotRecorded() {
  const { overview } = source.value;
  const { info, samples } = data.value;
  const rows: [string, string][] = [];
  if (!info.has_contents) rows.push(['Contents of blocks', 'not in this report; heaptape run --contents records them at the end (--snapshot-… at other moments), heaptape report --contents puts them in']);
  if (info.leaks === null) rows.push(['Search for leaks', 'there was none of this process: pointers were not followed, so “never freed” is all that can be said']);
  if (samples.rss.length === 0) rows.push(['Resident memory', 'no sample: the process was too short, or gone before the first one']);
  if (info.rss === null && samples.rss.length > 0) rows.push(['What RSS is made of', 'the samples do not tell it apart']);
  const unrecorded: { pid: number; program: string; reason: string }[] = overview.info?.unrecorded ?? [];
  for (const it of unrecorded) rows.push([`Process ${it.pid} ${it.program}`, it.reason]);
  if (rows.length === 0) return null;
  return (
    <section aria-labelledby="not-recorded">
      <h2 id="not-recorded">What was not recorded</h2>
      <dl class="about-not">
        {rows.map(([what, why]) => (
          <div key={what}>
            <dt>{what}</dt>
            <dd>
              <bdi>{why}</bdi>
            </dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

interface Module {
  path: string;
  build_id: string | null;
  symbols: string;
}

function modulesOf(info: { processes?: { number: number; modules?: Module[] }[] } | undefined): Module[] {
  return info?.processes?.find((it) => it.number === data.value.info.id)?.modules ?? [];
}

function Modules() {
  const modules = modulesOf(source.value.overview.info);
  if (modules.length === 0) return null;
  return (
    <section aria-labelledby="modules">
      <h2 id="modules">
        Modules <span class="muted">and what their names come from</span>
      </h2>
      <div class="about-modules">
        <table>
          <tbody>
            {modules.map((it) => (
              <tr key={it.path}>
                <th scope="row" title={it.build_id === null ? 'no build id' : `build id ${it.build_id}`}>
                  <Name text={it.path} tail={24} />
                </th>
                <td>
                  <bdi>{it.symbols}</bdi>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Licences() {
  const text = source.value.overview.third_party;
  return (
    <section aria-labelledby="licences">
      <h2 id="licences">Licences</h2>
      <p class="muted">heaptape is licensed under MIT or Apache-2.0, as you like.</p>
      {text !== '' && (
        <details>
          <summary>Of others’ work in this page</summary>
          <pre class="about-licences">{text}</pre>
        </details>
      )}
    </section>
  );
}
