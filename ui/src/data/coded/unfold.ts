// Tables with a story in place of columns: docs/page.md, Stories.

import { column, type Columns } from '../columns.ts';
import type { Steps } from '../inpage/slices.ts';
import { tell } from './story.ts';

/** More of either would need more memory than browsers give. */
const MOST = 1 << 25;

/** The columns of a table: in place of a story those that it tells of. */
export function* unfold(table: Columns): Steps<Columns> {
  if (!Object.hasOwn(table.columns, 'story')) return table;
  const story = column(table, 'story', 'u8');
  const of = (name: string): number => {
    const value = table.meta[name];
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > MOST) throw new Error(`the story has no number of ${name}`);
    return value;
  };
  const extent = { blocks: of('blocks'), inherited: of('inherited'), freed: of('freed'), stacks: of('stacks'), threads: of('threads') };
  const columns = yield* tell(story, extent);
  const { story: _, ...others } = table.columns;
  return { meta: table.meta, columns: { ...columns, ...others } };
}
