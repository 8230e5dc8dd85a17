// Size against lifetime: how many blocks are in each cell of both, darker or brighter for more (by the logarithm).

import './heatmap.css';
import { useRef, useState } from 'preact/hooks';
import { useWidth } from '../../ui/size.ts';
import { css, inkOn, sequential } from '../../ui/colour.ts';
import { theme } from '../../ui/theme.ts';
import { count } from '../../ui/units.ts';
import { apart } from './bars.tsx';
import { hasTerm, lifetimeTerm, sizeTerm, toggleTerms } from './terms.ts';
import { labelled, lifetimeLabel, lifetimeWords, sizeLabel, sizeWords } from './words.ts';

/** Room of the labels of lifetimes, about. */
const AXIS = 56;

interface Props {
  /** `cross[size bin][lifetime bin]`: blocks. */
  cross: number[][];
  /** The bins that are shown. */
  sizes: [number, number];
  lifetimes: [number, number];
}

export function HeatMap({ cross, sizes, lifetimes }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const [at, setAt] = useState<[number, number]>([sizes[0], lifetimes[0]]);
  const [pointed, setPointed] = useState<[number, number] | null>(null);
  const width = useWidth(box, 600);
  const most = Math.max(1, ...cross.flat().map(Math.abs));
  const value = (size: number, life: number) => cross[size]?.[life] ?? 0;
  const words = (size: number, life: number) => `${sizeWords(size)}, lived ${lifetimeWords(life)}: ${count(value(size, life))} blocks`;
  const go = (event: KeyboardEvent) => {
    const steps: Record<string, [number, number]> = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    const step = steps[event.key];
    if (!step) return;
    const to = (value: number, [from, end]: [number, number]) => Math.max(from, Math.min(end - 1, value));
    const next: [number, number] = [to(at[0] + step[0], sizes), to(at[1] + step[1], lifetimes)];
    setAt(next);
    box.current!.querySelector<HTMLElement>(`[data-cell="${next[0]},${next[1]}"]`)?.focus();
    event.preventDefault();
    event.stopPropagation();
  };
  const lives = labelled(...lifetimes, lifetimeLabel, lifetimeWords);
  const cells = [];
  for (let life = lifetimes[1] - 1; life >= lifetimes[0]; life--) {
    cells.push(<span key={`l${life}`} class="heat-life" aria-hidden="true">{lives[life - lifetimes[0]]}</span>);
    for (let size = sizes[0]; size < sizes[1]; size++) {
      const blocks = value(size, life);
      const share = blocks === 0 ? 0 : 0.12 + (0.88 * Math.log(1 + Math.abs(blocks))) / Math.log(1 + most);
      const colour = sequential(share, theme.value);
      const chosen = hasTerm(sizeTerm(size)) && hasTerm(lifetimeTerm(life));
      cells.push(
        <button
          key={`${size},${life}`} class="heat-cell" data-cell={`${size},${life}`} aria-label={words(size, life)} aria-pressed={chosen}
          tabIndex={size === at[0] && life === at[1] ? 0 : -1}
          style={blocks === 0 ? undefined : { background: css(colour), color: inkOn(colour) }}
          onClick={() => (setAt([size, life]), toggleTerms(sizeTerm(size), lifetimeTerm(life)))}
          onFocus={() => setPointed([size, life])} onBlur={() => setPointed(null)}
          onPointerEnter={() => setPointed([size, life])} onPointerLeave={() => setPointed(null)}
        />,
      );
    }
  }
  const names = labelled(...sizes, sizeLabel, sizeWords);
  const labels = apart(names, (width - AXIS) / names.length).map((label, index) => <span key={index} class="heat-size">{label}</span>);
  return (
    <figure class="heat" data-testid="heat">
      <div class="heat-grid" ref={box} role="group" aria-label="Blocks by size and lifetime; arrow keys move, Enter filters" onKeyDown={go}
        style={{ gridTemplateColumns: `auto repeat(${sizes[1] - sizes[0]}, minmax(0, 1fr))` }}>
        {cells}
        <span aria-hidden="true" />
        {labels}
      </div>
      <figcaption class="bars-told">{pointed === null ? '\u00a0' : words(...pointed)}</figcaption>
    </figure>
  );
}
