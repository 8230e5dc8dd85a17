// Bars side by side: each is a control that says what it stands for; arrow keys go from one to the next.

import './bars.css';
import { useRef, useState } from 'preact/hooks';
import { useWidth } from '../../ui/size.ts';

export interface Bin {
  /** Under the bar; empty: none. */
  label: string;
  /** All of it in words: `65 B to 128 B: 1,204 blocks, 120 KiB`. */
  title: string;
  value: number;
  /** Whether the filter is just this. */
  chosen?: boolean;
}

/** Room that a label needs, in pixels. */
const LABEL = 62;

/** The labels of bins so many pixels wide, without those that would touch the one before. */
export function apart(labels: string[], wide: number): string[] {
  let free = 0;
  return labels.map((label, index) => {
    if (label === '' || index * wide < free) return '';
    free = index * wide + LABEL;
    return label;
  });
}

interface Props {
  bins: Bin[];
  format: (value: number) => string;
  onPick: (index: number) => void;
  /** What is drawn, and what a press does. */
  label: string;
  testid?: string;
}

export function Bars({ bins, format, onPick, label, testid }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const [at, setAt] = useState(0);
  const [pointed, setPointed] = useState<number | null>(null);
  const most = Math.max(1, ...bins.map((bin) => Math.abs(bin.value)));
  const go = (event: KeyboardEvent) => {
    const step = { ArrowRight: 1, ArrowLeft: -1, Home: -bins.length, End: bins.length }[event.key];
    if (step === undefined) return;
    const next = Math.max(0, Math.min(bins.length - 1, at + step));
    setAt(next);
    (box.current!.children[next] as HTMLElement | undefined)?.focus();
    event.preventDefault();
    event.stopPropagation();
  };
  const width = useWidth(box, 600);
  return (
    <figure class="bars" data-testid={testid}>
      <div class="bars-scale" aria-hidden="true">
        <span>{format(most)}</span>
        <span>{format(most / 2)}</span>
        <span>0</span>
      </div>
      <div class="bars-plot" ref={box} role="group" aria-label={label} onKeyDown={go} style={{ gridTemplateColumns: `repeat(${bins.length}, minmax(0, 1fr))` }}>
        {bins.map((bin, index) => (
          <button
            key={index}
            class={`bars-bar${bin.value < 0 ? ' bars-negative' : ''}`}
            tabIndex={index === Math.min(at, bins.length - 1) ? 0 : -1}
            aria-label={bin.title}
            aria-pressed={bin.chosen ?? false}
            onClick={() => (setAt(index), onPick(index))}
            onFocus={() => (setAt(index), setPointed(index))}
            onBlur={() => setPointed(null)}
            onPointerEnter={() => setPointed(index)}
            onPointerLeave={() => setPointed(null)}
          >
            <span style={{ height: bin.value === 0 ? '0' : `max(2px, ${((100 * Math.abs(bin.value)) / most).toFixed(2)}%)` }} />
          </button>
        ))}
      </div>
      <div class="bars-labels" aria-hidden="true" style={{ gridTemplateColumns: `repeat(${bins.length}, minmax(0, 1fr))` }}>
        {apart(bins.map((bin) => bin.label), width / bins.length).map((label, index) => (
          <span key={index}>{label}</span>
        ))}
      </div>
      <figcaption class="bars-told">{pointed === null ? '\u00a0' : bins[pointed]?.title}</figcaption>
    </figure>
  );
}
