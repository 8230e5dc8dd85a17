// How wide text is on a canvas, and what of it fits: the widths of characters are asked for once.

import { cut } from '../../ui/name.tsx';

export class Measure {
  private readonly widths = new Map<string, number>();
  private readonly pen: CanvasRenderingContext2D;

  /** `pen` has its font set; kerning is left out, so that widths add up. */
  constructor(pen: CanvasRenderingContext2D) {
    this.pen = pen;
  }

  width(text: string): number {
    let sum = 0;
    for (const character of text) {
      let width = this.widths.get(character);
      if (width === undefined) this.widths.set(character, (width = this.pen.measureText(character).width));
      sum += width;
    }
    return sum;
  }

  /** The text, cut in its middle where there is no room for it; empty where nothing that says something fits. */
  fit(text: string, room: number): string {
    if (room < 14) return '';
    if (this.width(text) <= room) return text;
    // Of a function without a name, its place in the module tells more than the module.
    const place = /\+0x[0-9a-f]+$/.exec(text);
    if (place) return this.width(`…${place[0]}`) <= room ? `…${place[0]}` : '';
    let [fits, tooMany] = [0, Math.min([...text].length, Math.ceil(room / 2))];
    while (fits + 1 < tooMany) {
      const middle = (fits + tooMany) >> 1;
      if (this.width(cut(text, middle)) <= room) fits = middle;
      else tooMany = middle;
    }
    return fits < 4 ? '' : cut(text, fits);
  }

  /** A name and its number: the name gives way first, then the number goes. */
  label(name: string, number: string, room: number): { name: string; number: string } {
    const own = this.width(number);
    const beside = this.fit(name, room - own - GAP);
    if (beside !== '' && (beside === name || room - own - GAP > 70)) return { name: beside, number };
    return { name: this.fit(name, room), number: '' };
  }
}

/** Between a name and its number, pixels. */
export const GAP = 8;
