// Light or dark: what the system prefers, until someone says otherwise; remembered where storage works. Where the system
// forces its own colours on pages, it decides alone.

import { signal } from '@preact/signals';

export type Theme = 'light' | 'dark';

const KEY = 'heaptape-theme';
const dark = matchMedia('(prefers-color-scheme: dark)');
const forcedColours = matchMedia('(forced-colors: active)');
/** Whether the system forces its own colours on the page. */
export const forced = forcedColours.matches;

/** The theme that is shown. Whoever draws on a canvas reads it and so draws again when it changes. */
export const theme = signal<Theme>(chosen());

dark.addEventListener('change', () => show(chosen()));
// Rare, and everything is to be drawn anew; what is shown stands in the address.
forcedColours.addEventListener('change', () => location.reload());
document.documentElement.dataset['theme'] = theme.value;

export function toggleTheme(): void {
  if (forced) return;
  const other = theme.value === 'dark' ? 'light' : 'dark';
  show(other);
  try {
    localStorage.setItem(KEY, other);
  } catch {
    // A page that may not store shows the theme all the same.
  }
}

function show(wanted: Theme): void {
  // The style sheet first: canvases ask it for colours as soon as the signal changes.
  document.documentElement.dataset['theme'] = wanted;
  resolved.clear();
  theme.value = wanted;
}

/** A colour of the style sheet, `--accent`, as canvases take it, `#rrggbb`: also one that the system decides, or a mixture of such. */
export function styled(name: string): string {
  const written = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  if (/^#[0-9a-f]{6}$/i.test(written)) return written;
  const known = resolved.get(written) ?? resolve(written);
  resolved.set(written, known);
  return known;
}

const resolved = new Map<string, string>();

/** What the browser paints for a colour. */
function resolve(written: string): string {
  const probe = document.createElement('i');
  probe.style.setProperty('forced-color-adjust', 'none');
  probe.style.color = written;
  document.body.append(probe);
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = 1;
  const context = canvas.getContext('2d')!;
  context.fillStyle = getComputedStyle(probe).color;
  context.fillRect(0, 0, 1, 1);
  probe.remove();
  return `#${[...context.getImageData(0, 0, 1, 1).data.subarray(0, 3)].map((it) => it.toString(16).padStart(2, '0')).join('')}`;
}

function chosen(): Theme {
  return (forced ? null : remembered()) ?? preferred();
}

function preferred(): Theme {
  return dark.matches ? 'dark' : 'light';
}

function remembered(): Theme | null {
  try {
    const stored = localStorage.getItem(KEY);
    return stored === 'light' || stored === 'dark' ? stored : null;
  } catch {
    return null;
  }
}
