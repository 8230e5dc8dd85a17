// The pages, in the order of the questions that they answer.

import type { ComponentType } from 'preact';
import type { ProcessInfo } from '../data/types.ts';
import { About } from './about/about.tsx';
import { BlocksPage } from './blocks/blocks.tsx';
import { Crash } from './crash/crash.tsx';
import { Diff } from './diff/diff.tsx';
import { Flame } from './flame/flame.tsx';
import { HistogramsPage } from './histograms/histograms.tsx';
import { LayoutPage } from './layout/layout.tsx';
import { Leaks } from './leaks/leaks.tsx';
import { SourcePage } from './source/source.tsx';
import { Summary } from './summary/summary.tsx';
import { Tables } from './tables/tables.tsx';

export interface Page {
  id: string;
  title: string;
  component: ComponentType;
  /** Shown only where it says so. */
  when?: (info: ProcessInfo) => boolean;
  /** Has something to say of a process that allocated nothing. */
  forNothing?: boolean;
}

export const PAGES: Page[] = [
  { id: 'crash', title: 'Crash', component: Crash, when: (info) => info.crash !== null, forNothing: true },
  { id: 'summary', title: 'Summary', component: Summary, forNothing: true },
  { id: 'flame', title: 'Flame', component: Flame },
  { id: 'tables', title: 'Tables', component: Tables },
  { id: 'layout', title: 'Layout', component: LayoutPage },
  { id: 'blocks', title: 'Blocks', component: BlocksPage },
  { id: 'histograms', title: 'Histograms', component: HistogramsPage },
  { id: 'leaks', title: 'Leaks', component: Leaks },
  { id: 'diff', title: 'Diff', component: Diff },
  { id: 'source', title: 'Source', component: SourcePage },
  { id: 'about', title: 'About', component: About, forNothing: true },
];
