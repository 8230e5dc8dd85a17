// The box that goes to an address, a block or a function's blocks.

import { batch, signal } from '@preact/signals';
import { data, select, setT, t } from '../../state/state.ts';
import { functionName } from '../../ui/name.tsx';
import { address, time } from '../../ui/units.ts';
import { blockAt, bornTime, diedTime, isLive, startOf } from '../blocks/block.ts';
import { ground, showAddress, shown } from './view.ts';

/** What came of it, in a sentence; and where T would have to be. */
const said = signal<{ text: string; position?: number } | null>(null);

export function GoTo() {
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const box = (event.currentTarget as HTMLFormElement).elements.namedItem('where') as HTMLInputElement;
    void go(box.value.trim());
  };
  const answer = said.value;
  return (
    <form class="goto" onSubmit={submit} role="search" aria-label="Go to an address, a block or a function">
      <input
        name="where"
        data-testid="layout-goto"
        placeholder="0x…, #id or function"
        aria-label="Go to an address (0x…), a block (#id) or a function"
        spellcheck={false}
        autocomplete="off"
        onInput={() => (said.value = null)}
        onKeyDown={(event) => event.key === 'Escape' && event.currentTarget.blur()}
      />
      {answer !== null && (
        <span class="goto-said" role="status">
          {answer.text}
          {answer.position !== undefined && (
            <button type="button" class="link" onClick={() => (setT(answer.position!), (said.value = null))}>
              go there
            </button>
          )}
        </span>
      )}
    </form>
  );
}

async function go(where: string): Promise<void> {
  said.value = null;
  if (where === '') return;
  if (/^0x[0-9a-f]+$/i.test(where)) return goToAddress(Number(where));
  if (/^#?\d+$/.test(where)) return goToBlock(Number(where.replace('#', '')));
  return goToFunction(where);
}

function goToAddress(at: number): void {
  if (!showAddress(at)) said.value = { text: `No block was seen near ${address(at)}.` };
}

async function goToBlock(id: number): Promise<void> {
  const found = await data.value.block(id);
  if (found.count === 0) {
    said.value = { text: `There is no block #${id}.` };
    return;
  }
  const block = blockAt(found, 0);
  batch(() => {
    select('block', id);
    showAddress(block.addr);
  });
  if (isLive(block, t.value)) return;
  const { times } = data.value;
  const [born, died] = [time(bornTime(block, times)), diedTime(block, times)];
  const lived = died === null ? `from ${born} on` : `${born}–${time(died)}`;
  said.value = { text: `#${id} is not live at T; it was ${lived}.`, position: startOf(block) };
}

/** Selects the site of that name with most live bytes, and shows where most of them are. */
async function goToFunction(name: string): Promise<void> {
  const of = data.value;
  const wanted = name.replace(/\+(0x)?[0-9a-f]+$/i, '').toLowerCase();
  const weights = await of.weigh({ metric: 'live', t: t.value, a: 0, b: of.info.event_count, q: '' });
  const matching = new Map<number, number>();
  let named = false;
  of.stacks.site.forEach((site, stack) => {
    if (stack === 0 || !functionName(of.stacks.frames, site, true).toLowerCase().includes(wanted)) return;
    named = true;
    if (weights.bytes[stack]! > 0) matching.set(site, (matching.get(site) ?? 0) + weights.bytes[stack]!);
  });
  const best = [...matching].sort((x, y) => y[1] - x[1])[0];
  if (best === undefined) {
    said.value = { text: named ? `Nothing of ${name} is live at T.` : `No call site is called ${name}.` };
    return;
  }
  select('site', best[0]);
  const at = await mostOf(best[0]);
  if (at !== null) showAddress(at, 32);
}

/** The address at which the largest blocks of a site are; `null`: none is large enough to be seen. */
async function mostOf(site: number): Promise<number | null> {
  const { site: ofStack } = data.value.stacks;
  let [found, most]: [number | null, number] = [null, 0];
  const segments = shown.value.length > 0 ? shown.value : ground.value;
  for (const { start, end } of segments) {
    const cell = 2 ** Math.max(0, Math.ceil(Math.log2((end - start) / 4096)));
    const cells = await data.value.cells(t.value, start, cell, Math.ceil((end - start) / cell));
    cells.used.forEach((used, index) => {
      if (used <= most || ofStack[cells.stack[index]!] !== site) return;
      [found, most] = [start + index * cell, used];
    });
  }
  return found;
}
