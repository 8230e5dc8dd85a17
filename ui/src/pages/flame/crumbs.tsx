// The way from the root to the frame that is zoomed to.

import type { Stacks } from '../../data/types.ts';
import { nodeName } from '../../tree/shared.ts';
import type { Shape } from '../../tree/shape.ts';
import { Icon } from '../../ui/icons.tsx';
import { Name } from '../../ui/name.tsx';

/** So many steps are shown at most: the first and the last ones. */
const MOST = 6;

export function Crumbs({ shape, stacks, node, onZoom }: { shape: Shape; stacks: Stacks; node: number; onZoom: (node: number) => void }) {
  const steps: number[] = [];
  for (let at = node; at >= 0; at = shape.parent(at)) steps.push(at);
  steps.reverse();
  const shown = steps.length <= MOST ? steps : [steps[0]!, -1, ...steps.slice(steps.length - MOST + 2)];
  return (
    <nav class="flame-crumbs" aria-label="Zoomed to" data-testid="flame-crumbs">
      {shown.map((step, index) => (
        <span key={step} class="flame-crumb">
          {index > 0 && <Icon name="forward" size={10} />}
          {step < 0 ? (
            <span class="quiet" title={`${steps.length - MOST + 1} more frames`}>…</span>
          ) : (
            <button aria-current={step === node ? 'location' : undefined} onClick={() => onZoom(step)}>
              <Name text={nodeName(shape, stacks, step)} tail={8} />
            </button>
          )}
        </span>
      ))}
    </nav>
  );
}
