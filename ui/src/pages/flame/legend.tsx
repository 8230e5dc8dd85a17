// What the colours of the flame graph mean.

import { category, css, difference, OTHER } from '../../ui/colour.ts';
import { frameOf } from '../../tree/shared.ts';
import { baseName, functionName, Name } from '../../ui/name.tsx';
import { type Looks, quiet } from './looks.ts';

export function Legend({ looks }: { looks: Looks }) {
  const { stacks, colouring, categories, theme } = looks;
  if (colouring === 'change') {
    return (
      <div class="flame-legend">
        <span><i style={{ background: css(quiet(difference(-1, theme), theme)) }} /> less than before, lines fall</span>
        <span><i style={{ background: css(quiet(difference(1, theme), theme)) }} /> more than before, lines rise</span>
        <span class="quiet">Widths are what changed, either way.</span>
      </div>
    );
  }
  const name = (key: number) =>
    colouring === 'module' ? baseName(stacks.frames.strings[key]!) || 'unknown module' : functionName(stacks.frames, frameOf(stacks, key)) || '(unknown)';
  const ranked = [...categories].sort(([, one], [, other]) => one - other);
  return (
    <div class="flame-legend">
      {ranked.map(([key, rank]) => (
        <span key={key}><i style={{ background: css(quiet(category(rank, theme), theme)) }} /> <Name text={name(key)} /></span>
      ))}
      <span><i style={{ background: css(quiet(category(OTHER, theme), theme)) }} /> {colouring === 'module' ? 'other modules' : 'other call sites'}</span>
      {colouring === 'site' && <span class="quiet">Grey frames allocate nothing themselves.</span>}
    </div>
  );
}
