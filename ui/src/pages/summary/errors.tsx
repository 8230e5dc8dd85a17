// Wrong frees and overwrites, if any: what, where, of which block; the backtraces open on demand.

import type { Act, JsonFrame } from '../crash/model.ts';
import { Backtrace, jsonLines } from '../blocks/backtrace.tsx';
import { openBlock } from '../links.ts';
import { data, setT, source } from '../../state/state.ts';
import { Icon } from '../../ui/icons.tsx';
import { count, exactBytes, time } from '../../ui/units.ts';

interface ErrorBlock {
  block: number | null;
  size: number | null;
  allocated: Act | null;
  freed: Act | null;
}

interface Wrong {
  kind: string;
  confidence: string;
  why: string | null;
  times: number;
  address: string;
  act: Act;
  block: ErrorBlock | null;
  /** The nearest block to an address in none. */
  beside?: { block: ErrorBlock } | null;
}

interface Overwrite {
  kind: string;
  times: number;
  time_ns: number;
  found_at: string;
  block: number | null;
  size: number | null;
  offset: number;
  length: number;
  allocated: Act | null;
  freed: Act | null;
}

export interface ErrorsReport {
  total: number;
  errors: Wrong[];
  overwrites: Overwrite[];
  more_errors: number;
  /** Overwrites of which the tape has only the number. */
  unlisted_overwrites?: number;
  undecided_total: number;
}

const KINDS: Record<string, string> = {
  double_free: 'Freed twice',
  realloc_of_freed: 'Realloc of a freed block',
  freed_after_move: 'Freed after a realloc had moved it',
  realloc_race: 'Used while another thread was in a realloc of it',
  inside_block: 'Free of an address inside a block',
  inside_freed: 'Free of an address inside a freed block',
  no_block: 'Free of what was never a block',
  mismatched: 'Freed by a function of another family',
  wrong_size: 'Freed with a wrong size',
  wrong_alignment: 'Freed with a wrong alignment',
  overflow: 'Written past its end',
  underflow: 'Written before its start',
  write_after_free: 'Written after it was freed',
};

/** So many are shown at once; `heaptape errors` lists all. */
const MOST = 5;

export function Errors({ errors }: { errors: ErrorsReport }) {
  if (errors.total === 0 && errors.undecided_total === 0) return null;
  const hidden = errors.errors.length + errors.overwrites.length + errors.more_errors - MOST;
  const unlisted = errors.unlisted_overwrites ?? 0;
  const shown = [
    ...errors.overwrites.map((it) => <OverwriteRow key={`o${it.block}`} it={it} />),
    ...errors.errors.map((it, k) => <WrongRow key={`e${k}`} it={it} />),
  ].slice(0, MOST);
  return (
    <section aria-labelledby="errors" data-testid="errors">
      <h2 id="errors">
        Errors <span class="muted">{count(errors.total)}</span>
      </h2>
      <ul class="errors">{shown}</ul>
      {(hidden > 0 || unlisted > 0 || errors.undecided_total > 0) && (
        <p class="muted">
          {hidden > 0 && <>{count(hidden)} more. </>}
          {unlisted > 0 && <>{count(unlisted)} overwrites were found and only counted. </>}
          {errors.undecided_total > 0 && <>{count(errors.undecided_total)} frees may be right or wrong. </>}
          All of them: <code>heaptape errors {source.value.overview.tape}</code>
        </p>
      )}
    </section>
  );
}

function WrongRow({ it }: { it: Wrong }) {
  const block = it.block ?? it.beside?.block;
  return (
    <Row
      kind={it.kind}
      certainty={it.why ? `${it.confidence}: ${it.why}` : it.confidence}
      times={it.times}
      at={it.act.time_ns}
      detail={it.act.function}
      where={it.act.backtrace}
      block={block?.block ?? null}
      size={block?.size ?? null}
      stacks={[
        [it.act.function, it.act],
        ['Allocated', block?.allocated ?? null],
        ['Freed before', block?.freed ?? null],
      ]}
    />
  );
}

function OverwriteRow({ it }: { it: Overwrite }) {
  return (
    <Row
      kind={it.kind}
      certainty={`${count(it.length)} bytes from offset ${it.offset}, found at ${it.found_at}`}
      times={it.times}
      at={it.time_ns}
      detail=""
      where={it.allocated?.backtrace ?? []}
      block={it.block}
      size={it.size}
      stacks={[
        ['Allocated', it.allocated],
        ['Freed', it.freed],
      ]}
    />
  );
}

interface RowProps {
  kind: string;
  certainty: string;
  times: number;
  at: number;
  detail: string;
  where: JsonFrame[];
  block: number | null;
  size: number | null;
  stacks: [string, Act | null][];
}

function Row({ kind, certainty, times, at, detail, where, block, size, stacks }: RowProps) {
  const { frames } = data.value.stacks;
  const site = where[0];
  return (
    <li>
      <details>
        <summary>
          <Icon name="crash" size={14} />
          <strong>{KINDS[kind] ?? kind.replaceAll('_', ' ')}</strong>
          {site && (
            <span>
              {detail !== '' && `${detail} in `}
              <bdi>{site.short}</bdi>
              {site.file && <span class="muted"> {site.file.slice(site.file.lastIndexOf('/') + 1)}:{site.line}</span>}
            </span>
          )}
          <span class="muted">{times === 1 ? 'once' : `${count(times)} times`}</span>
          <span class="muted">{certainty}</span>
        </summary>
        <p>
          <button class="link" onClick={() => setT(data.value.times.at(at))}>
            at {time(at)}
          </button>
          {block !== null && (
            <>
              , block{' '}
              <button class="link" onClick={() => openBlock(block)}>
                #{count(block)}
              </button>
            </>
          )}
          {size !== null && `, ${exactBytes(size)}`}
        </p>
        <div class="errors-stacks">
          {stacks.map(([title, act]) => act && (
            <section key={title}>
              <h3>
                {title} <span class="muted">{time(act.time_ns)}, thread {act.tid} {act.thread}</span>
              </h3>
              <Backtrace lines={jsonLines(act.backtrace, frames)} label={title} none="Its backtrace was not recorded." />
            </section>
          ))}
        </div>
      </details>
    </li>
  );
}
