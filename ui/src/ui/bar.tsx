// A bar: a share of the largest in its column. It stands beside a number, which says what it means.

import './bar.css';

export function Bar({ share, colour = 'var(--accent)' }: { share: number; colour?: string }) {
  const width = Math.max(0, Math.min(1, share));
  // What is not nothing is seen.
  const shown = width === 0 ? '0' : `max(2px, ${(100 * width).toFixed(2)}%)`;
  return (
    <span class="bar" aria-hidden="true">
      <span style={{ width: shown, background: colour }} />
    </span>
  );
}
