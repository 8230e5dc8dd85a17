// What can be done with a frame, and the list of those too small to draw.

import { copy } from '../../state/actions.ts';
import { goTo, select } from '../../state/state.ts';
import { page } from '../../state/params.ts';
import { batch } from '@preact/signals';
import type { Stacks } from '../../data/types.ts';
import { BottomUp } from '../../tree/bottomup.ts';
import { hide, merged, nodeName, nodePlace } from '../../tree/shared.ts';
import { value, type View } from '../../tree/view.ts';
import { type Item, Menu } from '../../ui/menu.tsx';
import { inUnit } from '../../ui/units.ts';
import { middle, turn } from './params.ts';

/** Selects what a frame stands for: its backtrace, or in a tree of callers its function. */
export function choose(view: Pick<View, 'shape'>, node: number): void {
  const { shape } = view;
  const stack = shape.stack(node);
  if (shape.fn(node) < 0) return;
  if (view.shape === merged.value && stack > 0) select('stack', stack);
  else select('fn', shape.fn(node));
}

/** Puts a function into the middle: who calls it, what it calls. */
export function sandwich(fn: number): void {
  batch(() => {
    middle.value = String(fn);
    turn.value = 'sandwich';
    page.value = 'flame';
  });
}

/** A node's backtrace, the innermost frame first, as debuggers print it. */
function stackText(view: View, stacks: Stacks, node: number): string {
  const nodes: number[] = [];
  for (let at = node; at > 0; at = view.shape.parent(at)) nodes.push(at);
  if (view.shape instanceof BottomUp) nodes.reverse();
  const lines = nodes.map((it) => {
    const where = nodePlace(view.shape, stacks, it);
    return `${nodeName(view.shape, stacks, it, true)}${where && ` (${where})`}`;
  });
  return `${lines.join('\n')}\n`;
}

interface FrameProps {
  view: View;
  stacks: Stacks;
  node: number;
  x: number;
  y: number;
  onZoom: (node: number) => void;
  onPick: (node: number) => void;
  onClose: () => void;
}

export function FrameMenu({ view, stacks, node, x, y, onZoom, onPick, onClose }: FrameProps) {
  const fn = view.shape.fn(node);
  const none = fn < 0 ? 'This is no function' : undefined;
  const show = (where: string) => () => {
    onPick(node);
    goTo(where);
  };
  const items: (Item | null)[] = [
    { label: 'Zoom to it', keys: 'Enter', run: () => onZoom(node) },
    { label: 'Callers and callees', run: () => sandwich(fn), disabled: none },
    { label: 'Fold this function into its callers', run: () => hide(fn), disabled: none },
    null,
    { label: 'Show its blocks', keys: 'k', run: show('blocks'), disabled: none },
    { label: 'Show it on the map', keys: 'l', run: show('layout'), disabled: none },
    { label: 'Open its source', keys: 's', run: show('source'), disabled: none },
    null,
    { label: 'Copy the name', run: () => void copy(nodeName(view.shape, stacks, node, true)) },
    { label: 'Copy the backtrace', run: () => void copy(stackText(view, stacks, node)) },
  ];
  return <Menu x={x} y={y} label={nodeName(view.shape, stacks, node)} items={items} onClose={onClose} />;
}

/** So many of the small frames are listed. */
const MOST_SMALL = 200;

export function SmallMenu({ view, stacks, nodes, x, y, onZoom, onClose }: Omit<FrameProps, 'node' | 'onPick'> & { nodes: number[] }) {
  const sorted = [...nodes].sort((one, other) => view.width.total(other) - view.width.total(one)).slice(0, MOST_SMALL);
  const items: Item[] = sorted.map((node) => ({
    id: String(node),
    label: nodeName(view.shape, stacks, node),
    keys: inUnit(value(view, node), view.unit, view.signed),
    run: () => onZoom(node),
  }));
  if (nodes.length > MOST_SMALL) items.push({ label: `and ${nodes.length - MOST_SMALL} smaller ones`, run: onClose, disabled: 'Zoom in to see them' });
  return <Menu x={x} y={y} titled label={`${nodes.length} frames too narrow to draw`} items={items} onClose={onClose} />;
}
