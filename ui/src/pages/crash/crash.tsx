// Where the run ended: what happened, in which block, who allocated and freed it, and what was going on around it.

import '../parts.css';
import './crash.css';
import { data } from '../../state/state.ts';
import { useQuery } from '../../state/query.ts';
import { commandLine } from '../../ui/name.tsx';
import { Icon } from '../../ui/icons.tsx';
import { count, duration, exactTime, time } from '../../ui/units.ts';
import { Backtrace, jsonLines } from '../blocks/backtrace.tsx';
import { Neighbourhood } from '../blocks/neighbourhood.tsx';
import { openBlock, openMap } from '../links.ts';
import { CopyText } from '../copy.tsx';
import { DeathOf } from './death.tsx';
import { Evidence } from './evidence.tsx';
import { accessOf, asText, blockName, picture, relationOf, signalName } from './model.ts';
import type { Act, CrashBlock, CrashReport, CrashResult, JsonFrame } from './model.ts';
import { PageEvents } from './page_events.tsx';
import { Snippet } from './snippet.tsx';

export function Crash() {
  const result = data.value.info.crash as CrashResult | null;
  if (!result || (result.crashes.length === 0 && !result.death)) {
    return <p class="empty">No crash was recorded of this process: {data.value.info.ending}.</p>;
  }
  return (
    <div class="crash" data-testid="crash">
      {result.crashes.map((crash, index) => (
        <OneCrash key={index} crash={crash} />
      ))}
      {result.death && <DeathOf death={result.death} />}
    </div>
  );
}

function OneCrash({ crash }: { crash: CrashReport }) {
  const main = crash.blocks[0];
  return (
    <article aria-label={`${signalName(crash.signal)} at ${time(crash.time_ns)}`}>
      <Verdict crash={crash} />
      <Picture crash={crash} />
      <Actions crash={crash} main={main} />
      <Stacks crash={crash} main={main} />
      <PageEvents crash={crash} />
      <Evidence crash={crash} />
    </article>
  );
}

function Verdict({ crash }: { crash: CrashReport }) {
  const { what, confidence, reason } = crash.verdict;
  const thread = crash.threads.find((it) => it.crashed);
  return (
    <header class="crash-verdict">
      <p class="crash-signal">
        <span class="crash-name">
          <Icon name="crash" /> {signalName(crash.signal)}
        </span>
        {crash.address !== null && <span class="mono">{accessOf(crash)}</span>}
        {thread && <span>thread {thread.tid} “<bdi>{thread.name}</bdi>”</span>}
        <span title={exactTime(crash.time_ns)}>{time(crash.time_ns)}</span>
        {crash.sender !== null && <span>sent by process {crash.sender}</span>}
      </p>
      <h2 data-testid="verdict">
        {capital(what)}
        <span class={`confidence confidence-${confidence}`} title={CONFIDENCE[confidence]}>{confidence}</span>
      </h2>
      <p data-testid="reason">{capital(reason)}</p>
      {(crash.message || crash.instruction) && (
        <p class="crash-details">
          {crash.message && <span>libc said: <code>{crash.message}</code></span>}
          {crash.instruction && <span>instruction <code>{crash.instruction}</code></span>}
        </p>
      )}
    </header>
  );
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

const CONFIDENCE: Record<string, string> = {
  certain: 'Nothing else explains what was recorded.',
  likely: 'What was recorded fits this best; something else is not excluded.',
  possible: 'A guess from what was recorded.',
};

function Picture({ crash }: { crash: CrashReport }) {
  const answer = useQuery((signal) => picture(crash, data.value, signal), [crash]);
  const bricks = answer.value.value ?? [];
  if (crash.blocks.length === 0) return <p class="crash-nowhere">{nowhere(crash)}</p>;
  const mark = crash.address === null ? undefined : Number(crash.address);
  const reached = mark !== undefined && bricks.some((it) => mark >= it.addr && mark < it.addr + Math.max(1, it.size));
  return (
    <section class="crash-picture" aria-label="The neighbourhood of the address" data-testid="picture">
      <Neighbourhood bricks={bricks} mark={mark} onOpen={openBlock} label="Blocks around the address, lower addresses left" />
      <p class="muted">
        {reached && 'The cross is the address: inside a block it is in its true place. '}
        {!reached && mark !== undefined && `The address ${crash.address} is not near this block. `}
        Widths are not to scale.
      </p>
    </section>
  );
}

/** What is there instead of a block. */
function nowhere(crash: CrashReport): string {
  if (crash.address === null) return 'No address and no block is part of this.';
  const holder = crash.mappings.find((it) => it.holds);
  if (holder) return `${crash.address} is in no block: it lies in ${holder.name || 'an anonymous mapping'} (${holder.start}–${holder.end}, ${holder.access}).`;
  const near = crash.mappings.map((it) => `${it.name || 'an anonymous mapping'} (${it.start}–${it.end}, ${it.access})`);
  const nearest = near.length > 0 ? ` The nearest: ${near.join('; ')}.` : '';
  return `${crash.address} is no heap address: no block is near, and nothing is mapped there.${nearest}`;
}

function Actions({ crash, main }: { crash: CrashReport; main: CrashBlock | undefined }) {
  const id = main?.block ?? null;
  const command = commandLine(data.value.info.argv);
  return (
    <p class="crash-actions">
      <button class="action" onClick={() => openMap(crash.time_ns, id)}>
        <Icon name="layout" /> Map at the crash
      </button>
      {id !== null && (
        <button class="action" data-testid="history" onClick={() => openBlock(id)}>
          <Icon name="blocks" /> History of #{id}
        </button>
      )}
      <CopyText text={() => asText(crash, command)} label="Copy as text" testid="copy-crash" />
    </p>
  );
}

function Stacks({ crash, main }: { crash: CrashReport; main: CrashBlock | undefined }) {
  const crashed = crash.threads.find((it) => it.crashed);
  return (
    <section class="crash-stacks" aria-label="Backtraces">
      <Stack title="Crashed in" detail={crashed ? `thread ${crashed.tid} “${crashed.name}”` : ''} backtrace={crashed?.backtrace ?? []} testid="stack-crash"
        none="The stack of the thread could not be read." />
      {main && (
        <Stack title={`${blockName(main)} allocated by`} detail={actOf(main.allocated)} backtrace={main.allocated?.backtrace ?? []} testid="stack-alloc"
          none={main.allocated ? NO_BACKTRACE : 'Before the recording began, or over fork.'} />
      )}
      {main && (
        <Stack title={main.freed ? `${blockName(main)} freed by` : `${blockName(main)} not freed`} backtrace={main.freed?.backtrace ?? []} testid="stack-free"
          detail={main.freed ? `${actOf(main.freed)}${main.freed_ago_ns !== null ? `, ${duration(main.freed_ago_ns)} before the crash` : ''}` : ''}
          none={main.freed ? `${NO_BACKTRACE} (run --free-backtraces=all records that of every free)` : `It was live at the crash; it ${relationOf(main)}.`} />
      )}
    </section>
  );
}

const NO_BACKTRACE = 'No backtrace was recorded.';

function actOf(act: Act | null): string {
  return act ? `${act.function} at ${exactTime(act.time_ns)}, thread ${act.tid} “${act.thread}”` : '';
}

interface StackProps {
  title: string;
  detail: string;
  backtrace: JsonFrame[];
  none: string;
  testid: string;
}

function Stack({ title, detail, backtrace, none, testid }: StackProps) {
  const { frames } = data.value.stacks;
  const lines = jsonLines(backtrace, frames);
  const first = lines.find((it) => it.frame !== null && it.source && !it.quiet);
  return (
    <div class="crash-stack" data-testid={testid}>
      <h3>{title}</h3>
      <p class="muted">{detail || '\u00a0'}</p>
      <Backtrace lines={lines} label={title} none={none} />
      {first && <Snippet frame={first.frame!} />}
      {backtrace.length > 60 && <p class="muted">{count(backtrace.length)} frames</p>}
    </div>
  );
}
