// A line of source: its number and its text in colours.

import './code.css';
import type { ComponentChildren } from 'preact';
import type { Token } from './lexer.ts';

interface Props {
  number: number;
  tokens: Token[];
  current?: boolean;
  /** What stands in the gutter. */
  children?: ComponentChildren;
  id?: string;
}

export function CodeLine({ number, tokens, current, children, id }: Props) {
  return (
    <div class={`code-line${current ? ' code-current' : ''}`} id={id} data-line={number}>
      {children}
      <span class="code-number">{number}</span>
      <code class="code-text">
        {tokens.map((token, index) => (token.kind === 'plain' ? token.text : <span key={index} class={`t-${token.kind}`}>{token.text}</span>))}
      </code>
    </div>
  );
}
