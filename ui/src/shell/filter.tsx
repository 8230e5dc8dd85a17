// The filter: one line of words, each drawn as a chip where it stands. What does not parse is marked and said, and the last
// filter that did stays in force.

import { useComputed, useSignal, useSignalEffect } from '@preact/signals';
import { useRef } from 'preact/hooks';
import { complete } from '../data/complete.ts';
import { parseFilter } from '../data/filter.ts';
import { data, filter, source } from '../state/state.ts';
import { Icon } from '../ui/icons.tsx';
import { visible } from '../ui/name.tsx';
import './filter.css';

/** So long after the last key the filter is put to work. */
const PAUSE_MS = 150;

export function FilterBox() {
  const typed = useSignal(filter.peek());
  const caret = useSignal(0);
  const open = useSignal(false);
  const chosen = useSignal(-1);
  const input = useRef<HTMLInputElement>(null);
  const pause = useRef<ReturnType<typeof setTimeout>>(undefined);
  useSignalEffect(() => {
    // Set elsewhere: by a link, by Back, by a page.
    if (filter.value !== typed.peek().trim()) typed.value = filter.value;
  });
  const parsed = useComputed(() => parseFilter(typed.value));
  const offered = useComputed(() => {
    const { stacks, info } = data.value;
    return open.value ? complete(typed.value, caret.value, stacks, info, source.value.overview) : { from: 0, to: 0, offers: [] };
  });
  const apply = () => {
    if (parseFilter(typed.value).wrong.length === 0) filter.value = typed.value.trim();
  };
  const type = (text: string, at: number) => {
    typed.value = text;
    caret.value = at;
    chosen.value = -1;
    clearTimeout(pause.current);
    pause.current = setTimeout(apply, PAUSE_MS);
  };
  const take = (word: string) => {
    const { from, to } = offered.value;
    // A word that asks for a value goes on; another one is done.
    const done = word.endsWith(':') ? word : `${word} `;
    type(typed.value.slice(0, from) + done + typed.value.slice(to).trimStart(), from + done.length);
    requestAnimationFrame(() => input.current?.setSelectionRange(from + done.length, from + done.length));
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const { offers } = offered.value;
    const count = offers.length;
    if (event.key === 'ArrowDown' && count > 0) chosen.value = (chosen.value + 1) % count;
    else if (event.key === 'ArrowUp' && count > 0) chosen.value = (chosen.value + count - (chosen.value < 0 ? 0 : 1)) % count;
    else if ((event.key === 'Enter' || event.key === 'Tab') && chosen.value >= 0) take(offers[chosen.value]!.text);
    else if (event.key === 'Enter') {
      clearTimeout(pause.current);
      apply();
      open.value = false;
    } else if (event.key === 'Escape') {
      clearTimeout(pause.current);
      typed.value = filter.value = '';
      input.current!.blur();
    } else return;
    event.preventDefault();
  };
  const error = parsed.value.wrong[0] ?? null;
  const { offers } = offered.value;
  return (
    <div class="filter" role="search">
      <Icon name="search" size={14} />
      <div class="filter-box">
        <div class="filter-chips" aria-hidden="true">
          <Chips text={typed.value} parsed={parsed.value} />
        </div>
        <input
          id="filter"
          ref={input}
          type="text"
          role="combobox"
          aria-label="Filter of blocks"
          aria-expanded={offers.length > 0}
          aria-controls="filter-offers"
          aria-autocomplete="list"
          aria-activedescendant={chosen.value >= 0 ? `filter-offer-${chosen.value}` : undefined}
          aria-invalid={error !== null}
          aria-describedby={error !== null ? 'filter-error' : undefined}
          placeholder="Filter (/)   fn:parse size:>=64Ki leaked"
          autocomplete="off"
          spellcheck={false}
          data-testid="filter"
          value={typed.value}
          onInput={(event) => type(event.currentTarget.value, event.currentTarget.selectionStart ?? 0)}
          onFocus={() => (open.value = true)}
          onBlur={() => (open.value = false)}
          onClick={(event) => (caret.value = event.currentTarget.selectionStart ?? 0)}
          onKeyDown={onKeyDown}
          onScroll={(event) => (event.currentTarget.previousElementSibling!.scrollLeft = event.currentTarget.scrollLeft)}
        />
      </div>
      {typed.value !== '' && (
        <button class="filter-clear" aria-label="Clear the filter" title="Clear the filter (Esc)" onClick={() => (typed.value = filter.value = '')}>
          <Icon name="close" size={12} />
        </button>
      )}
      {(error !== null || offers.length > 0) && open.value && (
        <div class="filter-below">
          {error !== null && (
            <p id="filter-error" class="filter-error" role="alert">
              <Icon name="warn" size={14} /> {error.message}
              {filter.value !== '' && <span> Still in force: {filter.value}</span>}
            </p>
          )}
          <ul id="filter-offers" role="listbox" aria-label="Words of the filter">
            {offers.map((it, k) => (
              <li
                key={it.text}
                id={`filter-offer-${k}`}
                role="option"
                aria-selected={k === chosen.value}
                onPointerDown={(event) => {
                  event.preventDefault();
                  take(it.text);
                }}
              >
                <bdi>{visible(it.text)}</bdi>
                <span>{it.what}</span>
              </li>
            ))}
          </ul>
        </div>
      )}
    </div>
  );
}

/** The typed text once more, behind the input: its words as chips, wrong ones underlined. */
function Chips({ text, parsed }: { text: string; parsed: ReturnType<typeof parseFilter> }) {
  const words = [
    ...parsed.tokens.map(({ from, to }) => ({ from, to, look: 'chip' })),
    ...parsed.wrong.map(({ from, to }) => ({ from, to, look: 'chip-wrong' })),
  ].sort((x, y) => x.from - y.from);
  const parts = [];
  let at = 0;
  for (const { from, to, look } of words) {
    parts.push(text.slice(at, from), <span key={from} class={look}>{text.slice(Math.max(at, from), to)}</span>);
    at = Math.max(at, to);
  }
  return <>{parts}{text.slice(at)}</>;
}
