// Where each frame of a flame graph stands: rows of boxes, from the root down. Frames too narrow to see are put together.

import type { View } from '../../tree/view.ts';

export interface Box {
  node: number;
  row: number;
  /** Pixels. */
  x: number;
  width: number;
  /** Frames that are too narrow to be drawn one by one stand together in one box: which. `node` is their parent then. */
  small: number[] | null;
}

/** Children by size, or by name; an order stays as it is, whatever becomes of the sizes, until it is forgotten. */
export class Order {
  private known = new Map<number, number[]>();
  private readonly name: ((view: View, node: number) => string) | null;

  /** `name`: by it, not by size. */
  constructor(name: ((view: View, node: number) => string) | null) {
    this.name = name;
  }

  children(view: View, node: number): number[] {
    let sorted = this.known.get(node);
    if (sorted === undefined) {
      sorted = Array.from(view.shape.children(node)).sort((x, y) => this.compare(view, x, y));
      this.known.set(node, sorted);
    }
    return sorted;
  }

  private compare(view: View, x: number, y: number): number {
    if (!this.name) return view.width.total(y) - view.width.total(x) || x - y;
    const [one, other] = [this.name(view, x), this.name(view, y)];
    return one < other ? -1 : one > other ? 1 : x - y;
  }
}

/**
 * The rows of boxes. The node `zoom` and its callers are as wide as the picture; what is beside them is left out.
 * Boxes narrower than `least` pixels are small.
 */
export function boxes(view: View, zoom: number, pixels: number, order: Order, least = 0.5): Box[][] {
  const above = [];
  for (let node = zoom; node >= 0; node = view.shape.parent(node)) above.push(node);
  const rows: Box[][] = above.reverse().map((node, row) => [{ node, row, x: 0, width: pixels, small: null }]);
  const whole = view.width.total(zoom);
  if (whole <= 0) return rows;
  const scale = pixels / whole;
  for (let row = rows.at(-1)!; row.length > 0; ) {
    row = row.flatMap((box) => (box.small ? [] : below(view, box, scale, order, least)));
    if (row.length > 0) rows.push(row);
  }
  return rows;
}

function below(view: View, box: Box, scale: number, order: Order, least: number): Box[] {
  const placed: Box[] = [];
  const small: number[] = [];
  let smallWidth = 0;
  let x = box.x;
  for (const node of order.children(view, box.node)) {
    const width = view.width.total(node) * scale;
    if (width <= 0) continue;
    if (width < least) {
      small.push(node);
      smallWidth += width;
      continue;
    }
    placed.push({ node, row: box.row + 1, x, width, small: null });
    x += width;
  }
  if (smallWidth >= least) placed.push({ node: box.node, row: box.row + 1, x, width: smallWidth, small });
  return placed;
}

/** The box at a place, if any. */
export function boxAt(rows: Box[][], row: number, x: number): Box | undefined {
  const boxes = rows[row];
  if (!boxes) return undefined;
  let [low, high] = [0, boxes.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (boxes[middle]!.x <= x) low = middle;
    else high = middle - 1;
  }
  const box = boxes[low];
  return box && x >= box.x && x < box.x + box.width ? box : undefined;
}
