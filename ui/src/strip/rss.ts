// Whether the strip draws resident memory.

import { oneOf, param } from '../state/params.ts';
import { data } from '../state/state.ts';

/** Whether RSS is drawn: `auto` where it leaves the live bytes room. */
export const rssShown = param<'auto' | 'on' | 'off'>('rss', 'auto', oneOf('auto', 'on', 'off'));

/** Whether there are samples of RSS, and they are drawn. */
export function showsRss(): boolean {
  const { samples, info } = data.value;
  if (samples.rss.length === 0 || rssShown.value === 'off') return false;
  if (rssShown.value === 'on') return true;
  return samples.rss.reduce((x, y) => Math.max(x, y), 0) < 4 * info.peak.bytes;
}
