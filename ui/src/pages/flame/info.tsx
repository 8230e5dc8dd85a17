// The line under the controls: all about the frame that is pointed at.

import type { Stacks } from '../../data/types.ts';
import { fold, nodeName, nodePlace } from '../../tree/shared.ts';
import { momentOfRun } from '../../state/state.ts';
import { value, type View } from '../../tree/view.ts';
import { Name, wholeFrame } from '../../ui/name.tsx';
import { Sparkline } from '../../ui/sparkline.tsx';
import { count, exactBytes, inUnit, percent } from '../../ui/units.ts';

interface Props {
  view: View;
  stacks: Stacks;
  node: number;
  line: number[] | null;
  /** Whether there is something to say of the frame alone: not of callers, whose own weight is nobody's. */
  alone: boolean;
  /** So many frames, when they stand together. */
  small: number | null;
}

export function InfoLine({ view, stacks, node, line, small, alone }: Props) {
  const { shape, unit, signed } = view;
  const own = value(view, node);
  const parent = shape.parent(node);
  const self = (unit === 'bytes' ? view.bytes : view.blocks).self(node);
  const all = signed ? view.width : unit === 'bytes' ? view.bytes : view.blocks;
  const share = (of: number) => percent(Math.abs(all.total(node)), Math.abs(all.total(of)));
  const before = view.before?.total(node);
  return (
    <div class="flame-info" data-testid="flame-info">
      <span class="flame-info-name">
        <Name text={nodeName(shape, stacks, node, true)} tail={24} title={shape.fn(node) < 0 ? '' : wholeFrame(stacks.frames, shape.frame(node))} />
        <span class="quiet">{nodePlace(shape, stacks, node)}</span>
      </span>
      {small !== null && <span class="quiet">in it {count(small)} frames too small to draw</span>}
      <b title={exactBytes(view.bytes.total(node))}>{inUnit(own, unit, signed)}</b>
      {before !== undefined && <span class="quiet">from {inUnit(before, unit, false)}</span>}
      <span>{share(0)} of {signed ? 'all change' : 'all'}</span>
      {parent >= 0 && <span>{share(parent)} of {signed ? 'its parent’s' : 'its parent'}</span>}
      {alone && <span title={fold.value === 'none' ? '' : 'with frames that are folded into it'}>self {inUnit(self, unit, signed)}</span>}
      {unit === 'bytes' && <span>{inUnit(view.blocks.total(node), 'blocks', signed)} {Math.abs(view.blocks.total(node)) === 1 ? 'block' : 'blocks'}</span>}
      {unit === 'blocks' && <span>{inUnit(view.bytes.total(node), 'bytes', signed)}</span>}
      {line && <Sparkline values={line} width={120} height={18} mark={momentOfRun} label="Live bytes over the run" />}
    </div>
  );
}
