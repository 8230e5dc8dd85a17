// What can be seen on the map of the page Layout, from its pixels.

/** Room for addresses left of the picture, CSS pixels. */
export const GUTTER = 114;

/** Cells of the picture that are not faded: islands of clear pixels on the upper canvas, inside their outlines. */
export function outlinedCells(page) {
  return page.evaluate((gutter) => {
    const canvas = document.querySelector('.map-over');
    const { width, height } = canvas;
    const pixels = new Uint32Array(canvas.getContext('2d').getImageData(0, 0, width, height).data.buffer);
    const clear = (at) => pixels[at] >>> 24 === 0;
    const left = Math.ceil(gutter * devicePixelRatio);
    const seen = new Uint8Array(pixels.length);
    let islands = 0;
    for (let from = 0; from < pixels.length; from++) {
      if (from % width < left || seen[from] || !clear(from)) continue;
      islands++;
      const todo = [from];
      while (todo.length > 0) {
        const at = todo.pop();
        if (at < 0 || at >= pixels.length || seen[at] || at % width < left || !clear(at)) continue;
        seen[at] = 1;
        todo.push(at - width, at + width);
        if (at % width > left) todo.push(at - 1);
        if (at % width < width - 1) todo.push(at + 1);
      }
    }
    return islands;
  }, GUTTER);
}
