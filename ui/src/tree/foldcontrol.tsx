// The control of what is folded: kinds of frames, and functions one by one.

import { data } from '../state/state.ts';
import { Icon } from '../ui/icons.tsx';
import { baseName } from '../ui/name.tsx';
import type { Fold } from './fold.ts';
import { fold, hidden, program } from './shared.ts';

export function FoldControl() {
  const own = program.value;
  const libraries = own < 0 ? 'libraries (program unknown)' : `all outside ${baseName(data.value.stacks.frames.strings[own]!)}`;
  return (
    <>
      <label class="flame-label">
        fold
        <select value={fold.value} data-testid="fold" onChange={(event) => (fold.value = event.currentTarget.value as Fold)}
          title="Folded frames are not shown: what they allocate is their caller’s">
          <option value="none">nothing</option>
          <option value="wrappers">allocator and runtime</option>
          <option value="libraries" disabled={own < 0}>{libraries}</option>
        </select>
      </label>
      {hidden.value.length > 0 && (
        <button class="text-button" title="Show them again" onClick={() => (hidden.value = [])}>
          {hidden.value.length} folded by hand <Icon name="close" size={10} />
        </button>
      )}
    </>
  );
}
