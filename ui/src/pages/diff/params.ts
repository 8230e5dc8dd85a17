// What the address says of the difference.

import { computed } from '@preact/signals';
import { source } from '../../state/state.ts';
import { oneOf, param } from '../../state/params.ts';

/** This recording and another one, or two moments of it. */
export const between = param('between', 'recordings', oneOf('recordings', 'moments'));
/** The other recording, where it is compared with. */
export const other = computed(() => (between.value === 'recordings' ? source.value.other : undefined));
export const rows = param('by', 'site', oneOf('site', 'function', 'stack', 'flame'));
