// What the address says of the flame graph.

import { flag, oneOf, param, text } from '../../state/params.ts';
import { numbers } from '../../tree/shared.ts';

export type Turn = 'top' | 'bottom' | 'sandwich';
export type Colouring = 'auto' | 'module' | 'site' | 'change';

export const turn = param<Turn>('turn', 'top', oneOf('top', 'bottom', 'sandwich'));
/** The root at the bottom. */
export const upwards = param('up', false, flag);
export const colouring = param<Colouring>('colour', 'auto', oneOf('auto', 'module', 'site', 'change'));
export const threaded = param('threads', false, flag);
export const alphabetical = param('az', false, flag);
/** The path to the node that fills the width: functions from the root's child down. */
export const zoomPath = param<number[]>('z', () => [], numbers);
/** What is searched for: a regular expression. */
export const search = param('find', '', text);
/** The function in the middle of the sandwich; empty: the heaviest. */
export const middle = param('fn', '', text);
/** A table instead of the picture. */
export const asTable = param('table', false, flag);
