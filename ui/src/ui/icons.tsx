// Icons: inline, drawn on a grid of 16, in the colour of the text around them. They stand beside a word, or in a control
// that has a name; so they say nothing themselves.

const PATHS = {
  about: 'M8 1.5a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13M8 7v4.5M8 4.3v.6',
  back: 'M10 3 5 8l5 5',
  blocks: 'M2 2.5h5v4H2zM9 2.5h5v4H9zM2 9.5h5v4H2zM9 9.5h5v4H9z',
  check: 'M3 8.5 6.5 12 13 4.5',
  close: 'M3.5 3.5l9 9M12.5 3.5l-9 9',
  collapse: 'M3 10.5 8 5.5l5 5',
  copy: 'M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3',
  crash: 'M4 4l8 8M12 4l-8 8',
  down: 'M8 2.5v11M3.5 9 8 13.5 12.5 9',
  drawer: 'M2 2.5h12v11H2zM10 2.5v11',
  expand: 'M3 5.5 8 10.5l5-5',
  fit: 'M2.5 5.5v-3h3M10.5 2.5h3v3M13.5 10.5v3h-3M5.5 13.5h-3v-3',
  flag: 'M4 14.5v-12h8l-2 3 2 3H4',
  flame: 'M1.5 2.5h13v3h-13zM1.5 6.5h8v3h-8zM1.5 10.5h4v3h-4z',
  forward: 'M6 3l5 5-5 5',
  help: 'M5.2 5.6a2.8 2.8 0 1 1 4.3 2.3c-1 .7-1.5 1.2-1.5 2.4M8 12.4v.7',
  info: 'M8 7v5.5M8 3.5v.8',
  keyboard: 'M1.5 4h13v8h-13zM4 6.5h.5M7 6.5h.5M10 6.5h.5M4.5 9.5h7',
  layout: 'M1.5 3h3v3h-3zM6 3h8.5v3H6zM1.5 7.5h7v3h-7zM10 7.5h1.5M13 7.5h1.5v3H13zM1.5 12h2v2h-2zM6 12h5v2H6z',
  leak: 'M8 1.5c2.6 3.4 4 5.6 4 7.7a4 4 0 0 1-8 0c0-2.1 1.4-4.3 4-7.700z',
  link: 'M6.5 9.500l3-3M7 4.5 8.8 2.700a2.9 2.9 0 0 1 4.1 4.100L11.1 8.600M9 11.500l-1.8 1.800a2.9 2.9 0 0 1-4.1-4.100L4.9 7.4',
  minus: 'M3 8h10',
  moon: 'M13 9.800A5.8 5.8 0 0 1 6.2 3a5.5 5.5 0 1 0 6.8 6.800z',
  pause: 'M5 3v10M11 3v10',
  peak: 'M8 3.500l5 9H3z',
  play: 'M4.5 2.500l9 5.5-9 5.500z',
  plus: 'M3 8h10M8 3v10',
  search: 'M7 2a5 5 0 1 1 0 10A5 5 0 0 1 7 2M10.7 10.7 14 14',
  snapshot: 'M8 2l5 6-5 6-5-6z',
  source: 'M5.5 4 1.5 8l4 4M10.5 4l4 4-4 4',
  sun: 'M8 5a3 3 0 1 1 0 6 3 3 0 0 1 0-6M8 1v1.500M8 13.500V15M1 8h1.500M13.5 8H15M3 3l1.1 1.100M11.9 11.9 13 13M13 3l-1.1 1.100M4.1 11.9 3 13',
  table: 'M1.5 2.500h13v11h-13zM1.5 6h13M1.5 9.700h13M6 2.500v11',
  up: 'M8 13.500v-11M3.5 7 8 2.5 12.5 7',
  warn: 'M8 2l6.5 12h-13zM8 6.500v3.500M8 11.800v.7',
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg class="icon" width={size} height={size} viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} fill="none" stroke="currentColor" stroke-width="1.5" stroke-linejoin="round" stroke-linecap="round" />
    </svg>
  );
}
