// Light or dark: what the system prefers, until someone says otherwise; remembered where storage works.

import { signal } from '@preact/signals';

export type Theme = 'light' | 'dark';

const KEY = 'heaptape-theme';
const dark = matchMedia('(prefers-color-scheme: dark)');

/** The theme that is shown. Whoever draws on a canvas reads it and so draws again when it changes. */
export const theme = signal<Theme>(remembered() ?? preferred());

dark.addEventListener('change', () => remembered() === null && show(preferred()));
document.documentElement.dataset['theme'] = theme.value;

export function toggleTheme(): void {
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
  theme.value = wanted;
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
