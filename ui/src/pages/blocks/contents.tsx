// What a block contained, as captured at or before T: when that was, what was captured earlier and later, what changed.

import { useEffect, useState } from 'preact/hooks';
import type { ContentsView } from '../../data/types.ts';
import { useQuery } from '../../state/query.ts';
import { data, t } from '../../state/state.ts';
import { Icon } from '../../ui/icons.tsx';
import { bytes, count, exactTime } from '../../ui/units.ts';
import type { Block } from './block.ts';
import { compare, Hex } from './hex.tsx';

export function Contents({ block }: { block: Block }) {
  // The capture that was asked for; null: the one of T.
  const [asked, setAsked] = useState<number | null>(null);
  const [marking, setMarking] = useState(false);
  useEffect(() => setAsked(null), [t.value]);
  const answer = useQuery((signal) => load(block.id, asked ?? t.value, signal), [block.id, asked]);
  const { value, error } = answer.value;
  return (
    <section class="detail-part" aria-label="Contents" data-testid="contents">
      <h3>Contents</h3>
      {error !== '' && <p class="failure">{error}</p>}
      {value && (value.view.captured === null ? <None view={value.view} /> : (
        <>
          <Captured view={value.view} before={value.before} marking={marking} onMark={setMarking} onAsk={setAsked} />
          <Hex id={block.id} addr={block.addr} view={value.view} other={marking ? value.before : null} />
          {value.view.bytes.length < block.size && (
            <p class="muted">The first {bytes(value.view.bytes.length)} of {bytes(block.size)} were kept.</p>
          )}
        </>
      ))}
    </section>
  );
}

/** The capture of a position and the one before it (or, of the first one, the one after). */
async function load(id: number, at: number, signal: AbortSignal): Promise<{ view: ContentsView; before: ContentsView | null }> {
  const view = await data.value.contents(id, at, signal);
  const index = view.captured === null ? -1 : view.captures.indexOf(view.captured.position);
  const other = view.captures[index - 1] ?? view.captures[index + 1];
  const before = index < 0 || other === undefined ? null : await data.value.contents(id, other, signal);
  return { view, before };
}

interface CapturedProps {
  view: ContentsView;
  before: ContentsView | null;
  marking: boolean;
  onMark: (on: boolean) => void;
  onAsk: (position: number) => void;
}

function Captured({ view, before, marking, onMark, onAsk }: CapturedProps) {
  const captured = view.captured!;
  const index = view.captures.indexOf(captured.position);
  const [earlier, later] = [view.captures[index - 1], view.captures[index + 1]];
  return (
    <>
      <div class="captured" data-testid="captured">
        <button class="action" disabled={earlier === undefined} onClick={() => onAsk(earlier!)}>
          <Icon name="back" /> Earlier
        </button>
        <span>
          captured at <b class="num">{exactTime(captured.time_ns)}</b>, position {count(captured.position)}
          {captured.reason && ` (${captured.reason})`}
          <span class="muted">, {index + 1} of {view.captures.length}</span>
        </span>
        <button class="action" disabled={later === undefined} onClick={() => onAsk(later!)}>
          Later <Icon name="forward" />
        </button>
        {before?.captured && (
          <label class="captured-mark">
            <input type="checkbox" checked={marking} onChange={(event) => onMark(event.currentTarget.checked)} /> mark changes
          </label>
        )}
      </div>
      {captured.position > t.value && (
        <p class="muted">There is no capture at or before T: this is the first one after it.</p>
      )}
      {marking && before?.captured && <Changes view={view} before={before} />}
    </>
  );
}

function Changes({ view, before }: { view: ContentsView; before: ContentsView }) {
  const { changed, comparable } = compare(view, before);
  const which = before.captured!.position < view.captured!.position ? 'earlier' : 'later';
  return (
    <p class="muted" data-testid="changes">
      {count(changed)} of {count(comparable)} bytes that are known in both differ from the {which} capture at {exactTime(before.captured!.time_ns)}: bold and underlined.
    </p>
  );
}

function None({ view }: { view: ContentsView }) {
  if (view.captures.length > 0) {
    return <p class="muted">No capture of this block lies at or before T; the first is at {exactTime(data.value.times.of(view.captures[0]!))}.</p>;
  }
  if (!data.value.info.has_contents) {
    return (
      <p class="muted">
        This report holds no contents of memory. <code>heaptape run --contents</code> (at the exit or a crash) or <code>--snapshot-every 1s</code> records
        them, <code>heaptape report --contents</code> puts them in.
      </p>
    );
  }
  return <p class="muted">No snapshot caught this block alive.</p>;
}
