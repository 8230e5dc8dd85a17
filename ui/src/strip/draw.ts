// Draws the strip's picture: live bytes as steps, their least and most in each pixel, and the lines that go with them.

import type { Envelope, Samples } from '../data/types.ts';
import { roundBytes } from '../ui/units.ts';
import type { Stretch } from '../state/view.ts';
import { byteTicks } from './scale.ts';
import { totals, type Stack } from './stack.ts';

/** The strip's parts, in CSS pixels. */
export interface Place {
  width: number;
  height: number;
  /** The plot's edges; above it a lane for marks, below it the times. */
  left: number;
  right: number;
  top: number;
  bottom: number;
}

export interface Picture {
  envelope: Envelope;
  /** Its call sites, where they are told apart. */
  stack: Stack | null;
  samples: Samples | null;
  view: Stretch;
  /** The value at the plot's top. */
  most: number;
}

interface Colours {
  text: string;
  muted: string;
  line: string;
  accent: string;
  rss: string;
  /** Of layers, the last for what has no colour of its own. */
  layers: string[];
}

/** Live bytes, and RSS where it is shown, fit under it. */
export function mostOf(envelope: Envelope, samples: Samples | null, view: Stretch): number {
  let most = 0;
  for (const value of envelope.max) most = Math.max(most, value);
  for (let k = 0; samples && k < samples.rss.length; k++) {
    if (samples.time_ns[k]! <= view.to && samples.time_ns[k]! >= view.from) most = Math.max(most, samples.rss[k]!);
  }
  return most * 1.04;
}

export function draw(canvas: HTMLCanvasElement, place: Place, picture: Picture, colours: Colours): void {
  const context = prepare(canvas, place);
  context.font = '12px system-ui, sans-serif';
  const y = (value: number) => place.bottom - ((place.bottom - place.top) * value) / Math.max(1, picture.most);
  drawGrid(context, place, picture, colours, y);
  drawLive(context, place, picture, colours, y);
  if (picture.samples) drawRss(context, place, picture, colours, y);
}

/** A canvas of its size on the screen's own grid of pixels, cleared. */
export function prepare(canvas: HTMLCanvasElement, { width, height }: { width: number; height: number }): CanvasRenderingContext2D {
  const ratio = devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext('2d')!;
  context.scale(ratio, ratio);
  return context;
}

type Y = (value: number) => number;

function drawGrid(context: CanvasRenderingContext2D, place: Place, picture: Picture, colours: Colours, y: Y): void {
  context.fillStyle = colours.line;
  context.fillRect(place.left, place.bottom, place.right - place.left, 1);
  context.textAlign = 'right';
  context.textBaseline = 'middle';
  for (const tick of byteTicks(picture.most)) {
    const at = Math.round(y(tick));
    context.fillStyle = colours.line;
    context.fillRect(place.left, at, place.right - place.left, 1);
    context.fillStyle = colours.muted;
    if (at >= place.top) context.fillText(roundBytes(tick), place.left - 6, at);
  }
}

/** The area is solid up to the least of each bucket and lighter up to its most: what is short stays in sight. */
function drawLive(context: CanvasRenderingContext2D, place: Place, picture: Picture, colours: Colours, y: Y): void {
  const { min, max } = picture.envelope;
  const step = (place.right - place.left) / Math.max(1, max.length);
  const steps = (values: Float64Array) => {
    const path = new Path2D();
    path.moveTo(place.left, place.bottom);
    for (let k = 0; k < values.length; k++) {
      path.lineTo(place.left + k * step, y(values[k]!));
      path.lineTo(place.left + (k + 1) * step, y(values[k]!));
    }
    path.lineTo(place.right, place.bottom);
    return path;
  };
  context.fillStyle = colours.accent;
  const most = steps(max);
  context.globalAlpha = 0.28;
  context.fill(most);
  if (!picture.stack) context.fill(steps(min));
  context.globalAlpha = 1;
  if (picture.stack) drawStack(context, place, picture.stack, picture.envelope, colours, y);
  context.save();
  context.beginPath();
  // The line's way down at both ends is no step of memory.
  context.rect(place.left + 1, 0, place.right - place.left - 2, place.bottom - 0.5);
  context.clip();
  context.strokeStyle = colours.accent;
  context.lineWidth = 1.25;
  context.stroke(most);
  context.restore();
}

/** Each column is as high as what is live at its end; what no layer has is on top. */
function drawStack(context: CanvasRenderingContext2D, place: Place, { columns, layers }: Stack, envelope: Envelope, colours: Colours, y: Y): void {
  const all = totals(envelope, columns);
  const step = (place.right - place.left) / columns;
  const below = new Float64Array(columns);
  const fill = (colour: string, height: (k: number) => number) => {
    context.fillStyle = colour;
    context.beginPath();
    for (let k = 0; k < columns; k++) {
      const bytes = Math.min(all[k]! - below[k]!, height(k));
      if (bytes <= 0) continue;
      const [bottom, top] = [y(below[k]!), y((below[k]! += bytes))];
      context.rect(place.left + k * step, top, step, bottom - top);
    }
    context.fill();
  };
  layers.forEach((layer, category) => fill(colours.layers[category]!, (k) => layer[k]!));
  fill(colours.layers[layers.length]!, () => Infinity);
}

function drawRss(context: CanvasRenderingContext2D, place: Place, picture: Picture, colours: Colours, y: Y): void {
  const { time_ns, rss } = picture.samples!;
  const { from, to } = picture.view;
  const x = (ns: number) => place.left + ((place.right - place.left) * (ns - from)) / (to - from);
  context.save();
  context.beginPath();
  context.rect(place.left, 0, place.right - place.left, place.bottom);
  context.clip();
  context.strokeStyle = colours.rss;
  context.lineWidth = 1.25;
  context.beginPath();
  for (let k = 0; k < rss.length; k++) {
    // A sample holds until the next one.
    if (k === 0) context.moveTo(x(time_ns[k]!), y(rss[k]!));
    else context.lineTo(x(time_ns[k]!), y(rss[k - 1]!));
    context.lineTo(x(time_ns[k]!), y(rss[k]!));
  }
  if (rss.length > 0) context.lineTo(place.right, y(rss[rss.length - 1]!));
  context.stroke();
  context.restore();
}

/** The whole run, small, for the bar that shows where a zoomed strip is. */
export function drawOverview(canvas: HTMLCanvasElement, size: { width: number; height: number }, envelope: Envelope, colour: string): void {
  const context = prepare(canvas, size);
  let most = 1;
  for (const value of envelope.max) most = Math.max(most, value);
  const step = size.width / envelope.max.length;
  const path = new Path2D();
  path.moveTo(0, size.height);
  envelope.max.forEach((value, k) => {
    const y = size.height * (1 - value / most);
    path.lineTo(k * step, y);
    path.lineTo((k + 1) * step, y);
  });
  path.lineTo(size.width, size.height);
  context.fillStyle = colour;
  context.globalAlpha = 0.5;
  context.fill(path);
}
