// Tables with a story in place of columns: docs/page.md, Stories.

import { column, type Columns } from '../columns.ts';
import type { Steps } from '../inpage/slices.ts';
import { tellStacks } from './stacks.ts';
import { tell } from './story.ts';
import { tellTimes } from './times.ts';

/** More rows would need more memory than browsers give. */
const MOST = 1 << 25;

/** Reads a number of the story's table. */
type NumberOf = (name: string, most?: number) => number;

/** What reads the story of each table. */
const READERS: Record<string, (story: Uint8Array, of: NumberOf) => Steps<Columns['columns']>> = {
  blocks: (story, of) =>
    tell(story, { blocks: of('blocks'), inherited: of('inherited'), freed: of('freed'), stacks: of('stacks'), threads: of('threads') }),
  stacks: (story, of) => tellStacks(story, of('stacks')),
  times: (story, of) => tellTimes(story, of('changes'), of('unit_ns', Number.MAX_SAFE_INTEGER)),
};

/** The columns of a table: in place of a story those that it tells of. */
export function* unfold(name: string, table: Columns): Steps<Columns> {
  if (!Object.hasOwn(table.columns, 'story')) return table;
  const read = READERS[name];
  if (!read) throw new Error('it has a story that nobody reads');
  const of: NumberOf = (what, most = MOST) => {
    const value = table.meta[what];
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > most) throw new Error(`the story has no number of ${what}`);
    return value;
  };
  const columns = yield* read(column(table, 'story', 'u8'), of);
  const { story: _, ...others } = table.columns;
  return { meta: table.meta, columns: { ...columns, ...others } };
}
