// What the address says of the difference.

import { oneOf, param } from '../../state/params.ts';

/** Two moments of this recording, or this recording and another one. */
export const between = param('between', 'moments', oneOf('moments', 'recordings'));
export const rows = param('by', 'site', oneOf('site', 'function', 'stack', 'flame'));
