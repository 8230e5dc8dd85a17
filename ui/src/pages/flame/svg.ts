// A flame graph as an SVG file. All text is escaped: names are hostile.

import { css, inkOn } from '../../ui/colour.ts';
import { cut } from '../../ui/name.tsx';
import type { Box } from './boxes.ts';
import { look, type Looks } from './looks.ts';
import { faded, type Palette, ROW } from './paint.ts';

interface Picture {
  rows: Box[][];
  width: number;
  up: boolean;
  looks: Looks;
  title: string;
  colours: Palette;
}

const HEAD = 30;
/** About the width of a character, pixels: a file does not know what font it will be drawn with. */
const CHARACTER = 6.4;

export function svg({ rows, width, up, looks, title, colours }: Picture): string {
  const height = HEAD + rows.length * ROW + 4;
  const frames = rows.flatMap((boxes, row) => {
    const y = HEAD + (up ? rows.length - 1 - row : row) * ROW;
    return boxes.map((box) => frame(box, y, looks, colours));
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="12">`,
    `<rect width="100%" height="100%" fill="${colours.bg}"/>`,
    `<text x="4" y="19" fill="${colours.text}" font-size="14">${escape(title)}</text>`,
    ...frames,
    '</svg>\n',
  ].join('\n');
}

function frame(box: Box, y: number, looks: Looks, colours: Palette): string {
  const width = Math.max(0.3, box.width - (box.width >= 3 ? 1 : 0)).toFixed(2);
  const at = `x="${box.x.toFixed(2)}" y="${y}" width="${width}" height="${ROW - 1}"`;
  if (box.small) return `<g><title>${box.small.length} small frames</title><rect ${at} fill="${colours.hole}" stroke="${colours.line}" stroke-width="0.5"/></g>`;
  const it = look(looks, box);
  const colour = it.dim ? faded(it.colour, colours.dark) : it.colour;
  const characters = Math.floor((box.width - 12) / CHARACTER);
  const { name, number } = it.words();
  const label = `${name} ${number}`;
  const text = label.length <= characters ? label : cut(name, characters);
  const written = box.width < 26 ? '' : `<text x="${(box.x + 6).toFixed(2)}" y="${y + 15}" fill="${it.dim ? colours.muted : inkOn(colour)}">${escape(text)}</text>`;
  return `<g><title>${escape(label)}</title><rect ${at} fill="${css(colour)}"/>${written}</g>`;
}

function escape(text: string): string {
  const safe = text.replace(/[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]|[\ud800-\udfff]/gu, '\ufffd');
  return safe.replace(/[&<>"]/g, (it) => `&#${it.charCodeAt(0)};`);
}
