// A stretch of memory as bricks in a row, lower addresses left: blocks, what was freed, and the holes between them.
//
// Widths are not to scale (a hole of megabytes beside a block of 16 bytes could not be shown), but within a brick the
// marked address is where it is.

import './neighbourhood.css';
import { useId, useRef } from 'preact/hooks';
import { useWidth } from '../../ui/size.ts';
import { address, bytes, count } from '../../ui/units.ts';

/** A piece of memory. `usable` 0: not known. */
export interface Brick {
  kind: 'live' | 'freed' | 'hole';
  /** Of a block; `null` of a hole, and of a block without a number. */
  id: number | null;
  addr: number;
  size: number;
  /** Whether it is the one that all is about. */
  main?: boolean;
}

interface Props {
  bricks: Brick[];
  /** An address to mark with a cross. */
  mark?: number;
  onOpen?: (id: number) => void;
  label: string;
}

const HEIGHT = 58;
const TOP = 22;
/** Room for a cross at the very ends. */
const SIDE = 7;

/** Blocks by address with the holes between them. Those of no size get one byte; what overlaps is cut. */
export function withHoles(blocks: Brick[]): Brick[] {
  const bricks: Brick[] = [];
  let end = -1;
  for (const block of [...blocks].sort((x, y) => x.addr - y.addr)) {
    if (end >= 0 && block.addr > end) bricks.push({ kind: 'hole', id: null, addr: end, size: block.addr - end });
    bricks.push(block);
    end = Math.max(end, block.addr + Math.max(1, block.size));
  }
  return bricks;
}

/** Room that a brick's labels need. */
function least(brick: Brick): number {
  return brick.kind === 'hole' ? 62 : brick.main ? 150 : 84;
}

/** As many bricks around the main one as there is room for; at least its next ones. */
function fitting(bricks: Brick[], width: number): Brick[] {
  const main = Math.max(0, bricks.findIndex((it) => it.main));
  let [from, to] = [0, bricks.length];
  const needed = () => bricks.slice(from, to).reduce((sum, brick) => sum + least(brick), 0);
  while (needed() > width && (main - from > 2 || to - main > 3)) {
    if (main - from >= to - 1 - main) from++;
    else to--;
  }
  return bricks.slice(from, to);
}

/** Room for each brick: more for larger ones, enough for a label, never nothing. */
function widths(bricks: Brick[], width: number): number[] {
  const fixed = bricks.reduce((sum, brick) => sum + least(brick), 0);
  const weight = (brick: Brick) => Math.log2(2 + brick.size) * (brick.main ? 2 : brick.kind === 'hole' ? 0.5 : 1);
  const weights = bricks.reduce((sum, brick) => sum + weight(brick), 0);
  // Few bricks are not blown up to fill a wide screen.
  const spare = Math.max(0, Math.min(width - fixed, 180 * bricks.length));
  return bricks.map((brick) => least(brick) + (spare * weight(brick)) / Math.max(1, weights));
}

export function Neighbourhood({ bricks: all, mark, onOpen, label }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const room = useWidth(box);
  const bricks = fitting(all, room - 2 * SIDE);
  const wide = widths(bricks, room - 2 * SIDE);
  const total = wide.reduce((sum, it) => sum + it, 0);
  let x = SIDE;
  const placed = bricks.map((brick, k) => {
    const at = x;
    x += wide[k]!;
    return { brick, x: at, width: wide[k]! };
  });
  const cross = mark === undefined ? null : crossAt(placed, mark);
  const height = TOP + HEIGHT + 20;
  const hatch = useId();
  return (
    <div class="bricks" ref={box}>
      <svg width={Math.max(room, total + 2 * SIDE)} height={height} role="group" aria-label={label}>
        <defs>
          <pattern id={hatch} width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
            <path class="brick-hatch" d="M0 0V6" />
          </pattern>
        </defs>
        {placed.map(({ brick, x, width }) => (
          <OneBrick key={brick.addr} brick={brick} x={x} width={width} hatch={hatch} onOpen={onOpen} />
        ))}
        {cross !== null && <Cross x={cross} text={crossText(bricks, mark!)} width={Math.max(room, total + 2 * SIDE)} />}
      </svg>
    </div>
  );
}

interface OneProps {
  brick: Brick;
  x: number;
  width: number;
  /** The id of the pattern of freed blocks. */
  hatch: string;
  onOpen: ((id: number) => void) | undefined;
}

function OneBrick({ brick, x, width, hatch, onOpen }: OneProps) {
  const { kind, id, size, addr, main } = brick;
  const words = { live: 'live', freed: 'freed', hole: 'hole' }[kind];
  const name = kind === 'hole' ? 'hole' : id === null ? 'block' : `#${id}`;
  const exact = `${name}: ${count(size)} B at ${address(addr)}, ${words}`;
  // As it stands there, so that who speaks to the page can name it.
  const spoken = [name, bytes(size), kind === 'hole' ? '' : words, address(addr)].filter((it) => it !== '').join(' ');
  const opens = kind !== 'hole' && id !== null && onOpen !== undefined;
  const open = () => opens && onOpen(id);
  return (
    <g
      class={`brick brick-${kind}${main ? ' brick-main' : ''}${opens ? ' brick-opens' : ''}`}
      role={opens ? 'button' : 'img'}
      tabIndex={opens ? 0 : undefined}
      aria-label={spoken}
      onClick={open}
      onKeyDown={(event) => (event.key === 'Enter' || event.key === ' ') && (event.preventDefault(), open())}
    >
      <title>{exact}</title>
      <rect x={x} y={TOP} width={width} height={HEIGHT} />
      {kind === 'freed' && <rect x={x} y={TOP} width={width} height={HEIGHT} style={{ fill: `url(#${hatch})` }} />}
      <text x={x + width / 2} y={TOP + 18} class="brick-name">{`${name} `}</text>
      <text x={x + width / 2} y={TOP + 34}>{`${bytes(size)} `}</text>
      {kind !== 'hole' && <text x={x + width / 2} y={TOP + 50} class="brick-state">{`${words} `}</text>}
      {kind !== 'hole' && width >= 110 && (
        <text x={x + 2} y={TOP + HEIGHT + 14} class="brick-address">{address(addr)}</text>
      )}
    </g>
  );
}

function crossAt(placed: { brick: Brick; x: number; width: number }[], mark: number): number | null {
  for (const { brick, x, width } of placed) {
    const size = Math.max(1, brick.size);
    if (mark >= brick.addr && mark < brick.addr + size) return x + (width * (mark - brick.addr + 0.5)) / size;
  }
  const first = placed[0];
  if (!first) return null;
  const last = placed.at(-1)!;
  if (mark < first.brick.addr) return SIDE;
  return mark === last.brick.addr + last.brick.size ? last.x + last.width : null;
}

function crossText(bricks: Brick[], mark: number): string {
  const main = bricks.find((it) => it.main);
  if (!main || main.id === null) return address(mark);
  const off = mark - main.addr;
  return `#${main.id} ${off < 0 ? '\u2212' : '+'} ${count(Math.abs(off))}`;
}

function Cross({ x, text, width }: { x: number; text: string; width: number }) {
  const anchor = x < 70 ? 'start' : x > width - 70 ? 'end' : 'middle';
  return (
    <g class="brick-cross" data-testid="cross">
      <path d={`M${x} 16V${TOP + HEIGHT}`} class="brick-cross-line" />
      <path d={`M${x - 6} ${TOP + HEIGHT - 21}l12 12m0 -12l-12 12`} class="brick-cross-mark" />
      <text x={anchor === 'start' ? 1 : anchor === 'end' ? width - 1 : x} y={12} text-anchor={anchor}>{text}</text>
    </g>
  );
}
