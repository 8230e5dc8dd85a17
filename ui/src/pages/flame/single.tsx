// One tree: top-down or bottom-up, as a picture or as a table.

import { useSignal } from '@preact/signals';
import { useLayoutEffect, useMemo, useState } from 'preact/hooks';
import { selected, selection } from '../../state/state.ts';
import { useKeys } from '../../state/keys.ts';
import { merged, nodeName } from '../../tree/shared.ts';
import { follow, path } from '../../tree/shape.ts';
import { value, type View } from '../../tree/view.ts';
import { count, inUnit, percent } from '../../ui/units.ts';
import { type Box, boxes, type Order } from './boxes.ts';
import { Crumbs } from './crumbs.tsx';
import { Find } from './find.tsx';
import { Graph } from './graph.tsx';
import { InfoLine } from './info.tsx';
import { look, type Looks } from './looks.ts';
import { choose, FrameMenu, SmallMenu } from './menus.tsx';
import { asTable, turn, upwards, zoomPath } from './params.ts';
import { FlameTable } from './table.tsx';

interface Props {
  view: View;
  looks: Looks;
  order: Order;
  found: { bytes: number; blocks: number; nodes: number; fns: number } | null;
  lineOf: ((node: number) => number[]) | null;
  /** Whether functions and stacks have the numbers that they have on other pages; without, nothing is selected. */
  own?: boolean;
}

type Open = { kind: 'frame'; node: number; x: number; y: number } | { kind: 'small'; box: Box; x: number; y: number } | null;

export function Single({ view, looks, order, found, lineOf, own = true }: Props) {
  const { shape } = view;
  const { stacks } = looks;
  const [focus, setFocus] = useState(0);
  const [hover, setHover] = useState<Box | null>(null);
  const [open, setOpen] = useState<Open>(null);
  const picked = useSignal({ selection: '', node: -1 });
  const wanted = zoomPath.value;
  const zoom = useMemo(() => follow(shape, wanted), [shape, wanted.join()]);
  // Before the next key, whose place would be one of the graph before.
  useLayoutEffect(() => setFocus(zoom), [shape]);
  const zoomTo = (node: number) => {
    zoomPath.value = path(shape, node);
    setFocus(node);
  };
  const pick = (node: number) => {
    if (shape.fn(node) < 0 || !own) return;
    choose(view, node);
    picked.value = { selection: selection.value, node };
  };
  const chosen = picked.value.selection === selection.value && selection.value !== '' ? picked.value.node : nodeOfSelection(view);
  const step = (by: 1 | -1) => {
    const next = match(view, looks.fits, order, focus, by);
    if (next === undefined) return;
    if (!inSight(view, zoom, next)) zoomPath.value = path(shape, shape.parent(next));
    setFocus(next);
    pick(next);
  };
  useKeys(
    [
      { keys: ['n', 'N'], does: 'Next, previous match of the search', run: (event) => step(event.key === 'n' ? 1 : -1) },
      { keys: ['y'], does: 'Picture, table', run: () => void (asTable.value = !asTable.value) },
      { keys: ['Backspace'], does: 'Zoom out', run: () => zoomTo(Math.max(0, shape.parent(zoom))) },
    ],
    [view, looks.fits, order, focus, zoom],
  );
  const info = hover ?? { node: focus, small: null };
  const alone = turn.value === 'top' || !own;
  return (
    <>
      <div class="flame-bar">
        <Crumbs shape={shape} stacks={stacks} node={zoom} onZoom={zoomTo} />
        <Find found={found} total={value(view, 0)} unit={view.unit} signed={view.signed} onStep={step} />
      </div>
      <InfoLine
        view={view}
        stacks={stacks}
        node={info.node}
        small={info.small?.length ?? null}
        alone={alone}
        line={lineOf?.(info.node) ?? null}
      />
      {asTable.value ? (
        <FlameTable alone={alone} view={view} stacks={stacks} zoom={zoom} fits={looks.fits} onZoom={zoomTo} onChoose={pick} />
      ) : (
        <Graph
          view={view}
          zoom={zoom}
          onZoom={zoomTo}
          up={upwards.value}
          order={order}
          look={(box) => look(looks, box)}
          focus={focus}
          onFocus={setFocus}
          chosen={chosen}
          onChoose={pick}
          onHover={setHover}
          onMenu={(node, x, y) => setOpen({ kind: 'frame', node, x, y })}
          onSmall={(box, x, y) => setOpen({ kind: 'small', box, x, y })}
          onKey={(key, node) => {
            // The selection follows the keyboard only where something is done with it; the key itself goes on its way.
            if (['s', 'l', 'k'].includes(key)) pick(node);
            return false;
          }}
          spoken={(node, rows) => spoken(view, looks, node, rows)}
          label={`Flame graph, ${turn.value === 'top' ? 'from the outermost function down' : 'from the allocating function to its callers'}`}
          autoFocus
          testid="flame-canvas"
        />
      )}
      {open?.kind === 'frame' && own && <FrameMenu {...open} view={view} stacks={stacks} onZoom={zoomTo} onPick={pick} onClose={() => setOpen(null)} />}
      {open?.kind === 'small' && <SmallMenu {...open} nodes={open.box.small!} view={view} stacks={stacks} onZoom={zoomTo} onClose={() => setOpen(null)} />}
    </>
  );
}

/** The node of what is selected elsewhere, where this tree has one. */
function nodeOfSelection(view: View): number {
  const what = selected.value;
  return what?.kind === 'stack' && view.shape === merged.value ? (merged.value.of[what.id] ?? -1) : -1;
}

/** So wide a picture is searched for frames that fit: narrower ones are not stepped to. */
const SEARCHED_PIXELS = 8000;

/** The frame that fits and comes next after one, in the order in which they are read; round at the ends. */
function match(view: View, fits: Uint8Array | null, order: Order, after: number, by: 1 | -1): number | undefined {
  if (!fits) return undefined;
  const all = boxes(view, 0, SEARCHED_PIXELS, order).flat().filter((box) => !box.small);
  all.sort((one, other) => one.x - other.x || one.row - other.row);
  const nodes = all.filter((box) => fits[view.shape.fn(box.node)] === 1 || box.node === after).map((box) => box.node);
  const at = nodes.indexOf(after);
  const next = nodes.at(at < 0 ? (by === 1 ? 0 : -1) : (at + by + nodes.length) % nodes.length);
  // Where the frame does not fit itself, the list holds it beside those that do.
  return next === after && fits[view.shape.fn(after)] !== 1 ? undefined : next;
}

/** Whether a node is under the one that is zoomed to, and wide enough to be seen. */
function inSight(view: View, zoom: number, node: number): boolean {
  let at = node;
  while (at > 0 && at !== zoom) at = view.shape.parent(at);
  return at === zoom && view.width.total(node) > 0.003 * view.width.total(zoom);
}

function spoken(view: View, looks: Looks, node: number, rows: Box[][]): string {
  const row = rows.find((boxes) => boxes.some((box) => box.node === node && !box.small));
  if (!row) return '';
  const siblings = row.filter((box) => !box.small && view.shape.parent(box.node) === view.shape.parent(node));
  const at = siblings.findIndex((box) => box.node === node);
  const share = percent(view.width.total(node), view.width.total(0));
  const name = nodeName(view.shape, looks.stacks, node);
  return `${name}, ${inUnit(value(view, node), view.unit, view.signed)}, ${share}, level ${count(row[0]!.row)}, child ${at + 1} of ${siblings.length}`;
}
