// A few lines of source around a frame's line; nothing where there is none.

import { data } from '../../state/state.ts';
import { useQuery } from '../../state/query.ts';
import { CodeLine } from '../source/code.tsx';
import { languageOf, lex } from '../source/lexer.ts';

const AROUND = 3;

export function Snippet({ frame }: { frame: number }) {
  const answer = useQuery((signal) => data.value.source(frame, signal), [frame]);
  const view = answer.value.value;
  if (!view || view.lines.length === 0) return null;
  const line = data.value.stacks.frames.line[frame]!;
  const tokens = lex(view.lines, languageOf(view.file));
  const first = Math.max(0, line - view.first - AROUND);
  return (
    <div class="code snippet" role="group" tabIndex={0} aria-label={`Source around line ${line}`}>
      {tokens.slice(first, line - view.first + AROUND + 1).map((it, index) => {
        const number = view.first + first + index;
        return <CodeLine key={number} number={number} tokens={it} current={number === line} />;
      })}
    </div>
  );
}
