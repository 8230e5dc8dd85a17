// The history of an address: the blocks that were there one after another, as a line in time.

import './history.css';
import { useRef } from 'preact/hooks';
import { useQuery } from '../../state/query.ts';
import { data, select, t } from '../../state/state.ts';
import { useWidth } from '../../ui/size.ts';
import { address, bytes, count, exactTime, time } from '../../ui/units.ts';
import { blocksOf, bornTime, diedTime, type Block } from './block.ts';

const MOST = 1000;
/** Blocks before and after the selected one that are named. */
const NAMED = 3;

export function History({ block }: { block: Block }) {
  const answer = useQuery((signal) => data.value.history(block.addr, MOST, signal), [block.addr]);
  const { value, error } = answer.value;
  const blocks = value ? blocksOf(value) : [];
  return (
    <section class="detail-part" aria-label="History of this address" data-testid="history-line">
      <h3>History of this address <span class="muted mono">{address(block.addr)}</span></h3>
      {error !== '' && <p class="failure">{error}</p>}
      {blocks.length > 0 && <Line blocks={blocks} current={block.id} />}
      {blocks.length > 0 && <Named blocks={blocks} current={block.id} />}
    </section>
  );
}

function Line({ blocks, current }: { blocks: Block[]; current: number }) {
  const box = useRef<HTMLDivElement>(null);
  const width = useWidth(box);
  const { info, times } = data.value;
  const span = Math.max(1, info.end_ns - info.start_ns);
  const x = (ns: number) => ((ns - info.start_ns) / span) * (width - 2) + 1;
  const label = `${count(blocks.length)} blocks were at this address${blocks.length === MOST ? ' (the newest of them)' : ''}`;
  return (
    <div ref={box} class="history">
      <svg width={width} height={44} role="img" aria-label={label}>
        <path class="history-axis" d={`M0 25H${width}`} />
        {blocks.map((block) => {
          const from = x(bornTime(block, times));
          const to = x(diedTime(block, times) ?? info.end_ns);
          return (
            <rect key={block.id} class={`history-block${block.id === current ? ' history-current' : ''}`} x={from} y={6} width={Math.max(2, to - from - 0.5)}
              height={18} onClick={() => select('block', block.id)}>
              <title>{nameOf(block)}</title>
            </rect>
          );
        })}
        <path class="history-t" d={`M${x(times.of(t.value))} 2V30`} />
        <text x={0} y={41}>{time(info.start_ns)}</text>
        <text x={width} y={41} text-anchor="end">{time(info.end_ns)}</text>
      </svg>
    </div>
  );
}

function nameOf(block: Block): string {
  const { times } = data.value;
  const died = diedTime(block, times);
  return `#${block.id} ${bytes(block.size)} ${exactTime(bornTime(block, times))} – ${died === null ? 'never freed' : exactTime(died)}`;
}

function Named({ blocks, current }: { blocks: Block[]; current: number }) {
  const index = Math.max(0, blocks.findIndex((it) => it.id === current));
  const first = Math.max(0, index - NAMED);
  const last = Math.min(blocks.length, index + NAMED + 1);
  return (
    <ol class="history-names">
      {first > 0 && <li class="muted">{blocks.length === MOST ? `at least ${count(first)}` : count(first)} earlier</li>}
      {blocks.slice(first, last).map((block) => (
        <li key={block.id}>
          {block.id === current ? <b>{nameOf(block)}</b> : <button class="link" onClick={() => select('block', block.id)}>{nameOf(block)}</button>}
        </li>
      ))}
      {last < blocks.length && <li class="muted">{count(blocks.length - last)} later</li>}
    </ol>
  );
}
