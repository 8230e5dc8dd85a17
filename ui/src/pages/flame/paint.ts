// Draws the boxes of a flame graph on a canvas.

import { type Colour, css, inkOn, mix } from '../../ui/colour.ts';
import { styled } from '../../ui/theme.ts';
import type { Box } from './boxes.ts';
import { GAP, Measure } from './measure.ts';

export const ROW = 22;
const FONT = '12px system-ui, sans-serif';
const PAD = 6;

/** How a box looks. */
export interface Look {
  colour: Colour;
  /** What is written on it: of most boxes nothing, they are too narrow. */
  words: () => { name: string; number: string };
  /** Does not fit what is searched for. */
  dim: boolean;
  /** More (1) or less (-1) than before: hatched one way or the other. */
  change: number;
}

/** Colours of the page that are drawn with. */
export interface Palette {
  bg: string;
  text: string;
  muted: string;
  line: string;
  hole: string;
  focus: string;
  dark: boolean;
}

export function palette(): Palette {
  const dark = document.documentElement.dataset['theme'] === 'dark';
  return { bg: styled('--bg'), text: styled('--text'), muted: styled('--muted'), line: styled('--line'), hole: styled('--hole'), focus: styled('--focus'), dark };
}

export interface Scene {
  rows: Box[][];
  width: number;
  height: number;
  /** Pixels of the picture above the window. */
  top: number;
  /** The root at the bottom. */
  up: boolean;
  look: (box: Box) => Look;
  hover: Box | null;
  focus: number;
  /** Whether the graph has the keyboard. */
  focused: boolean;
  chosen: number;
  /** So many rows are callers of what is zoomed to: wider than they are drawn. */
  context: number;
  colours: Palette;
}

/** The first pixel of a row in the picture. */
export function rowTop(scene: Pick<Scene, 'rows' | 'up' | 'height'>, row: number): number {
  if (!scene.up) return row * ROW;
  return Math.max(scene.rows.length * ROW, scene.height) - (row + 1) * ROW;
}

export class Painter {
  readonly canvas: HTMLCanvasElement;
  private readonly pen: CanvasRenderingContext2D;
  private readonly measure: Measure;
  private hatches = new Map<string, CanvasPattern>();

  constructor(canvas: HTMLCanvasElement) {
    this.canvas = canvas;
    this.pen = canvas.getContext('2d', { alpha: false })!;
    this.pen.font = FONT;
    this.pen.fontKerning = 'none';
    this.measure = new Measure(this.pen);
  }

  draw(scene: Scene): void {
    const { canvas, pen } = this;
    const ratio = devicePixelRatio || 1;
    const [wide, high] = [Math.round(scene.width * ratio), Math.round(scene.height * ratio)];
    if (canvas.width !== wide || canvas.height !== high) {
      canvas.width = wide;
      canvas.height = high;
      canvas.style.height = `${scene.height}px`;
    }
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.fillStyle = scene.colours.bg;
    pen.fillRect(0, 0, scene.width, scene.height);
    pen.font = FONT;
    pen.fontKerning = 'none';
    pen.textBaseline = 'middle';
    for (let row = 0; row < scene.rows.length; row++) {
      const y = rowTop(scene, row) - scene.top;
      if (y + ROW < 0 || y > scene.height) continue;
      for (const box of scene.rows[row]!) this.box(scene, box, y);
    }
    this.outlines(scene);
  }

  private box(scene: Scene, box: Box, y: number): void {
    const { pen } = this;
    // From pixel to pixel: edges between two would be blended, which takes longer and says nothing.
    const x = Math.round(box.x);
    const wide = Math.max(1, Math.round(box.x + box.width) - x);
    // A gap of a pixel between neighbours, where there is room for it.
    const width = wide >= 3 ? wide - 1 : wide;
    if (box.small) return this.small(scene, box.small.length, x, y, width);
    const look = scene.look(box);
    const shade = look.dim ? 0.82 : box.row < scene.context ? 0.45 : 0;
    const colour = shade > 0 ? faded(look.colour, scene.colours.dark, shade) : look.colour;
    pen.fillStyle = css(colour);
    pen.fillRect(x, y, width, ROW - 1);
    if (look.change !== 0 && width >= 4) {
      pen.fillStyle = this.hatch(look.change > 0 ? 'rise' : 'fall', inkOn(colour));
      pen.globalAlpha = 0.16;
      pen.fillRect(x, y, width, ROW - 1);
      pen.globalAlpha = 1;
    }
    if (width < 26) return;
    const { name, number } = look.words();
    const label = this.measure.label(name, number, width - 2 * PAD);
    pen.fillStyle = look.dim ? scene.colours.muted : inkOn(colour);
    this.text(label.name, x + PAD, y);
    if (label.number === '') return;
    pen.globalAlpha = look.dim ? 1 : 0.8;
    this.text(label.number, x + PAD + this.measure.width(label.name) + GAP, y);
    pen.globalAlpha = 1;
  }

  private text(text: string, x: number, y: number): void {
    if (text !== '') this.pen.fillText(text, x, y + ROW / 2);
  }

  private small(scene: Scene, count: number, x: number, y: number, width: number): void {
    const { pen } = this;
    pen.fillStyle = scene.colours.hole;
    pen.fillRect(x, y, width, ROW - 1);
    pen.fillStyle = this.hatch('small', scene.colours.muted);
    pen.globalAlpha = 0.55;
    pen.fillRect(x, y, width, ROW - 1);
    pen.globalAlpha = 1;
    const label = `+${count} small`;
    const own = this.measure.width(label);
    if (own + 2 * PAD > width) return;
    pen.fillStyle = scene.colours.hole;
    pen.fillRect(x + PAD - 3, y + 3, own + 6, ROW - 7);
    pen.fillStyle = scene.colours.text;
    this.text(label, x + PAD, y);
  }

  private outlines(scene: Scene): void {
    for (const boxes of scene.rows) {
      for (const box of boxes) {
        if (box.small && box !== scene.hover) continue;
        const chosen = box.node === scene.chosen && !box.small;
        const focus = scene.focused && box.node === scene.focus && !box.small;
        if (chosen) this.outline(scene, box, scene.colours.text, 2);
        if (focus) this.outline(scene, box, scene.colours.focus, 3);
        else if (box === scene.hover) this.outline(scene, box, scene.colours.text, 1);
      }
    }
  }

  private outline(scene: Scene, box: Box, colour: string, thick: number): void {
    const y = rowTop(scene, box.row) - scene.top;
    const inset = thick / 2;
    const [width, height] = [Math.max(thick, box.width - thick), ROW - 1 - thick];
    this.pen.strokeStyle = scene.colours.bg;
    this.pen.lineWidth = thick + 2;
    if (thick > 1) this.pen.strokeRect(box.x + inset, y + inset, width, height);
    this.pen.strokeStyle = colour;
    this.pen.lineWidth = thick;
    this.pen.strokeRect(box.x + inset, y + inset, width, height);
  }

  /** Lines that rise, lines that fall, or both ways for what is put together. */
  private hatch(kind: 'rise' | 'fall' | 'small', colour: string): CanvasPattern {
    const key = kind + colour;
    const known = this.hatches.get(key);
    if (known) return known;
    const tile = document.createElement('canvas');
    tile.width = tile.height = 6;
    const pen = tile.getContext('2d')!;
    pen.strokeStyle = colour;
    pen.lineWidth = 1;
    const [from, to] = kind === 'fall' ? [-1, 7] : [7, -1];
    for (const shift of [-6, 0, 6]) {
      pen.moveTo(-1 + shift, from);
      pen.lineTo(7 + shift, to);
    }
    pen.stroke();
    const pattern = this.pen.createPattern(tile, 'repeat')!;
    this.hatches.set(key, pattern);
    return pattern;
  }
}

/** Nearer to the ground; `share` 1 is the ground. */
export function faded(colour: Colour, dark: boolean, share = 0.82): Colour {
  return mix(colour, dark ? 0x12171c : 0xffffff, share);
}
