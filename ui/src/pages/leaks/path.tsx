// The way from outside (a variable, a stack, a register) to a block: what keeps it alive.

import { exactBytes, bytes, count } from '../../ui/units.ts';
import { openBlock } from '../links.ts';
import type { LeakRecord, Step } from './model.ts';

export function Path({ record }: { record: LeakRecord }) {
  const { path, kind } = record;
  if (path.length === 0) {
    return kind === 'definite' ? <p class="muted">Nothing points to it.</p> : null;
  }
  return (
    <>
      <h3>{path[0]!.in === 'root' ? 'What keeps it' : 'What points to it, lost itself'}</h3>
      <ol class="leak-path" data-testid="leak-path">
        {path.map((step, index) => (
          <li key={index}><OneStep step={step} /></li>
        ))}
        <li>
          <b>this block</b>, {bytes(record.block.size)}
        </li>
      </ol>
    </>
  );
}

function OneStep({ step }: { step: Step }) {
  if (step.in === 'more') return <span class="muted">{count(step.blocks)} more blocks</span>;
  if (step.in === 'root') return <Root step={step} />;
  const { block, size, retained, offset, site } = step;
  return (
    <>
      {block === null ? 'a block' : <button class="link" onClick={() => openBlock(block)}>#{block}</button>}, {bytes(size)}
      <span class="muted">, pointer at +{offset}, keeps </span>
      <span title={exactBytes(retained)}>{bytes(retained)}</span>
      {site && <span class="muted"> {site}</span>}
    </>
  );
}

function Root({ step }: { step: Step & { in: 'root' } }) {
  const { what, name, module, tid, address } = step;
  const thread = tid ? ` of thread ${tid}` : '';
  const words: Record<string, string> = {
    variable: 'the variable', stack: `the stack${thread}`, register: 'the register', thread: `memory${thread}`, memory: 'memory',
  };
  return (
    <>
      {words[what] ?? what} {name && <b><bdi>{name}</bdi></b>}
      {what === 'register' && thread}
      {module && <span class="muted"> in {module}</span>} <span class="mono muted">{address}</span>
    </>
  );
}
