// The search: a regular expression, what it found, and the way from one frame that fits to the next.

import { useEffect, useState } from 'preact/hooks';
import type { Unit, Weight } from '../../data/types.ts';
import { compile } from '../../tree/search.ts';
import { Button } from '../../ui/button.tsx';
import { count, inUnit, percent } from '../../ui/units.ts';
import { search } from './params.ts';

interface Props {
  found: (Weight & { nodes: number; fns: number }) | null;
  /** In the unit. */
  total: number;
  unit: Unit;
  signed: boolean;
  onStep: (by: 1 | -1) => void;
}

export function Find({ found, total, unit, signed, onStep }: Props) {
  const [typed, setTyped] = useState(search.value);
  const applied = search.value;
  useEffect(() => setTyped(applied), [applied]);
  const wrong = compile(typed) === null;
  const type = (text: string) => {
    setTyped(text);
    if (compile(text) !== null) search.value = text;
  };
  return (
    <div class="flame-find" role="search">
      <input
        type="search"
        placeholder="search functions (regex)"
        aria-label="Search functions, a regular expression"
        aria-invalid={wrong}
        title={wrong ? 'Not a regular expression: the last one that was one stays' : undefined}
        value={typed}
        spellcheck={false}
        data-testid="flame-search"
        onInput={(event) => type(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === 'Enter') onStep(event.shiftKey ? -1 : 1);
          if (event.key === 'Escape') (type(''), event.currentTarget.blur());
        }}
      />
      {found && (
        <span class="flame-found" data-testid="flame-found" data-nodes={found.nodes} data-fns={found.fns} data-bytes={found.bytes} data-blocks={found.blocks} title="Each byte counted once, however often its backtrace fits">
          {found.nodes === 0
            ? 'no frame fits'
            : `${count(found.nodes)} ${found.nodes === 1 ? 'match' : 'matches'} · ${inUnit(found[unit], unit, signed)}${signed ? '' : ` · ${percent(found[unit], total)}`}`}
        </span>
      )}
      <Button icon="back" label="Previous match" keys="N" disabled={!found || found.nodes === 0} onClick={() => onStep(-1)} />
      <Button icon="forward" label="Next match" keys="n" disabled={!found || found.nodes === 0} onClick={() => onStep(1)} />
    </div>
  );
}
