// The bytes of a block: a dump of which only the rows in sight are in the document, and what stands at one offset.
//
// A byte that was not recorded is ·· (never 00). A byte that differs from the other capture is bold and underlined.

import './hex.css';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { ContentsView } from '../../data/types.ts';
import { data, select } from '../../state/state.ts';
import { Name } from '../../ui/name.tsx';
import { useWidth } from '../../ui/size.ts';
import { ascii, fieldsAt, UNKNOWN, wordAt } from './fields.ts';
import { follow, looksLikeAddress, type Target } from './pointers.ts';

interface Props {
  id: number;
  addr: number;
  view: ContentsView;
  /** Another capture, to compare with. */
  other: ContentsView | null;
}

const ROW = 20;
const MOST_ROWS = 14;

export function Hex({ id, addr, view, other }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const scroller = useRef<HTMLDivElement>(null);
  const perRow = useWidth(box, 700) >= 620 ? 16 : 8;
  const [top, setTop] = useState(0);
  const [at, setAt] = useState(0);
  const rows = Math.ceil(view.bytes.length / perRow);
  const height = Math.min(rows, MOST_ROWS) * ROW;
  const first = Math.max(0, Math.floor(top / ROW) - 2);
  const last = Math.min(rows, Math.ceil((top + height) / ROW) + 2);
  const targets = useTargets(view, addr, first * perRow, last * perRow);
  const move = (to: number) => {
    const next = Math.max(0, Math.min(view.bytes.length - 1, to));
    setAt(next);
    const y = Math.floor(next / perRow) * ROW;
    const element = scroller.current!;
    if (y < element.scrollTop) element.scrollTop = y;
    if (y + ROW > element.scrollTop + element.clientHeight) element.scrollTop = y + ROW - element.clientHeight;
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const steps: Record<string, number> = {
      ArrowRight: 1, ArrowLeft: -1, ArrowDown: perRow, ArrowUp: -perRow, PageDown: perRow * MOST_ROWS, PageUp: -perRow * MOST_ROWS,
      Home: -at, End: view.bytes.length,
    };
    if (!(event.key in steps)) return;
    move(at + steps[event.key]!);
    event.preventDefault();
    event.stopPropagation();
  };
  const lines = [];
  for (let row = first; row < last; row++) {
    lines.push(<HexRow key={row} from={row * perRow} perRow={perRow} view={view} other={other} at={at} targets={targets} onPick={setAt} top={row * ROW} />);
  }
  return (
    <div class="hex" ref={box}>
      <div
        class="hex-scroller" ref={scroller} tabIndex={0} role="application" data-testid="hex"
        aria-label={`Bytes of block #${id}. Arrow keys move; the values at the offset are below.`}
        style={{ height: `${height + 2}px` }} onScroll={(event) => setTop(event.currentTarget.scrollTop)} onKeyDown={onKeyDown}
      >
        <div style={{ height: `${rows * ROW}px`, position: 'relative' }}>{lines}</div>
      </div>
      <Fields view={view} at={at} />
    </div>
  );
}

interface RowProps {
  from: number;
  perRow: number;
  view: ContentsView;
  other: ContentsView | null;
  at: number;
  targets: Map<number, Target>;
  onPick: (offset: number) => void;
  top: number;
}

function HexRow({ from, perRow, view, other, at, targets, onPick, top }: RowProps) {
  const digits = Math.max(2, (view.bytes.length - 1).toString(16).length);
  const cells = [];
  let text = '';
  for (let offset = from; offset < from + perRow; offset++) {
    const there = offset < view.bytes.length;
    const known = there && view.known[offset] === 1;
    const byte = view.bytes[offset]!;
    text += known ? ascii(byte) : there ? '·' : ' ';
    cells.push(
      <span key={offset} class={classOf(view, other, targets, offset, at, from)} data-offset={there ? offset : undefined}>
        {known ? byte.toString(16).padStart(2, '0') : there ? UNKNOWN : '  '}
      </span>,
    );
  }
  const pick = (event: MouseEvent) => {
    const offset = (event.target as HTMLElement).dataset['offset'];
    if (offset !== undefined) onPick(Number(offset));
  };
  const leads = [];
  for (let offset = from; offset < from + perRow; offset += 8) {
    const target = targets.get(offset);
    if (target) leads.push(<Lead key={offset} target={target} />);
  }
  return (
    <div class="hex-row" style={{ top: `${top}px` }} onClick={pick}>
      <span class="hex-offset">+{from.toString(16).padStart(digits, '0')}</span>
      <span class="hex-bytes">{cells}</span>
      <span class="hex-text">{text}</span>
      <span class="hex-leads">{leads}</span>
    </div>
  );
}

function classOf(view: ContentsView, other: ContentsView | null, targets: Map<number, Target>, offset: number, at: number, from: number): string {
  if (offset >= view.bytes.length) return `hex-byte${(offset - from) % 8 === 0 && offset > from ? ' hex-gap' : ''}`;
  const classes = ['hex-byte'];
  if ((offset - from) % 8 === 0 && offset > from) classes.push('hex-gap');
  if (offset === at) classes.push('hex-at');
  if (view.known[offset] !== 1) classes.push('hex-unknown');
  else if (view.bytes[offset] === 0) classes.push('hex-zero');
  if (targets.has(offset - (offset % 8))) classes.push('hex-pointer');
  if (other && changed(view, other, offset)) classes.push('hex-changed');
  return classes.join(' ');
}

/** Whether a byte that is known in both captures differs. */
function changed(view: ContentsView, other: ContentsView, offset: number): boolean {
  return view.known[offset] === 1 && other.known[offset] === 1 && view.bytes[offset] !== other.bytes[offset];
}

/** How many bytes differ, and how many can be compared. */
export function compare(view: ContentsView, other: ContentsView): { changed: number; comparable: number } {
  const result = { changed: 0, comparable: 0 };
  for (let offset = 0; offset < view.bytes.length; offset++) {
    if (view.known[offset] !== 1 || other.known[offset] !== 1) continue;
    result.comparable++;
    if (view.bytes[offset] !== other.bytes[offset]) result.changed++;
  }
  return result;
}

function Lead({ target }: { target: Target }) {
  const offset = target.offset === 0 ? '' : `+${target.offset}`;
  if (target.kind === 'module') {
    return <span class="hex-lead" title="an address in a module"><Name text={target.name} tail={6} />+0x{target.offset.toString(16)}</span>;
  }
  const { kind, id } = target;
  return (
    <button class="hex-lead link" title={kind === 'live' ? 'was live then' : 'had been freed by then'} onClick={() => select('block', id)}>
      {kind === 'live' ? '→ ' : 'freed '}#{id}{offset}
    </button>
  );
}

function Fields({ view, at }: { view: ContentsView; at: number }) {
  return (
    <dl class="hex-fields" aria-live="polite" data-testid="fields">
      <div>
        <dt>at</dt>
        <dd>+{at} (+0x{at.toString(16)})</dd>
      </div>
      {fieldsAt(view.bytes, view.known, at).map(({ name, value }) => (
        <div key={name} class={name === 'utf-8' ? 'hex-wide' : undefined}>
          <dt>{name}</dt>
          <dd><bdi>{value}</bdi></dd>
        </div>
      ))}
    </dl>
  );
}

/** Where the aligned words of these bytes lead, by offset. */
function useTargets(view: ContentsView, addr: number, from: number, to: number): Map<number, Target> {
  const [targets, setTargets] = useState<Map<number, Target>>(new Map());
  const position = view.captured?.position ?? 0;
  useEffect(() => {
    const flight = new AbortController();
    const found = new Map<number, Target>();
    const lookUp = async (offset: number, word: number) => {
      const target = await follow(data.value, word, position, flight.signal);
      if (target) found.set(offset, target);
    };
    const asked = [];
    for (let offset = from - (from % 8); offset < to && addr % 8 === 0; offset += 8) {
      const word = wordAt(view.bytes, view.known, offset);
      if (word !== null && looksLikeAddress(word)) asked.push(lookUp(offset, Number(word)));
    }
    // What cannot be looked up any more leads nowhere; a newer look is on its way.
    Promise.all(asked).then(() => flight.signal.aborted || setTargets(found), () => undefined);
    return () => flight.abort();
  }, [view, from, to]);
  return targets;
}
