// What a search for leaks found: records by kind and call site, and of the selected one all that is known.

import { useState } from 'preact/hooks';
import { data, source } from '../../state/state.ts';
import { SiteName } from '../site.tsx';
import { Table, type Column } from '../../ui/table.tsx';
import { bytes, count, counted, exactBytes } from '../../ui/units.ts';
import { Backtrace, stackLines } from '../blocks/backtrace.tsx';
import { CopyText } from '../copy.tsx';
import { openBlock } from '../links.ts';
import { Path } from './path.tsx';
import { suppression, type LeakRecord, type LeakResult } from './model.ts';

export function Records({ leaks }: { leaks: LeakResult }) {
  const { records } = leaks;
  const [at, setAt] = useState(0);
  const record = records[at];
  if (!record) {
    return (
      <div class="empty" data-testid="no-records">
        <p>The search found nothing that is lost.</p>
      </div>
    );
  }
  return (
    <div class="leak-records">
      <Table<LeakRecord>
        label="Records of the search"
        testid="leak-records"
        columns={COLUMNS}
        count={records.length}
        row={(index) => records[index]}
        selected={(it) => it === record}
        onSelect={(_, index) => setAt(index)}
        footer={<Listed leaks={leaks} />}
      />
      <Detail record={record} />
    </div>
  );
}

/** How many records are in the list, and what those come to that are not. */
function Listed({ leaks: { records, hidden } }: { leaks: LeakResult }) {
  if (hidden.records === 0) return <>{counted(records.length, 'record')}</>;
  return (
    <span data-testid="leaks-hidden" title={`heaptape leaks ${source.value.overview.tape} lists all`}>
      The worst {count(records.length)} of {counted(records.length + hidden.records, 'record')}; the other {count(hidden.records)} have{' '}
      <b class="num" title={exactBytes(hidden.bytes)}>{bytes(hidden.bytes)}</b> in <b class="num">{counted(hidden.blocks, 'block')}</b>
    </span>
  );
}

const COLUMNS: Column<LeakRecord>[] = [
  { key: 'kind', title: 'Kind', width: '98px', cell: (it) => <span class={`leak-kind leak-${it.kind}`}>{it.kind}</span> },
  { key: 'bytes', title: 'Bytes', width: '80px', numeric: true, hint: 'Of these blocks themselves', cell: (it) => <span title={exactBytes(it.bytes)}>{bytes(it.bytes)}</span> },
  { key: 'indirect', title: 'With them', width: '80px', numeric: true, hint: 'Bytes of blocks that are lost with them', cell: (it) => <span title={exactBytes(it.indirect.bytes)}>{bytes(it.indirect.bytes)}</span> },
  { key: 'blocks', title: 'Blocks', width: '66px', numeric: true, cell: (it) => count(it.blocks) },
  { key: 'site', title: 'Call site', width: 'minmax(180px, 1fr)', cell: (it) => <SiteOf record={it} /> },
];

function SiteOf({ record }: { record: LeakRecord }) {
  const { stacks } = data.value;
  if (record.stack === 0) return <span class="muted">no backtrace</span>;
  return <SiteName frame={stacks.site[record.stack]!} />;
}

function Detail({ record }: { record: LeakRecord }) {
  const { block, address, size, retained } = record.block;
  const line = suppression(data.value.stacks, record.stack);
  return (
    <section class="leak-detail" aria-label="The selected record" data-testid="leak-record">
      <h2>
        {bytes(record.bytes + record.indirect.bytes)} in {count(record.blocks + record.indirect.blocks)} blocks <span class={`leak-kind leak-${record.kind}`}>{record.kind}</span>
      </h2>
      {record.indirect.blocks > 0 && (
        <p class="muted">{bytes(record.bytes)} in {count(record.blocks)} blocks directly, {bytes(record.indirect.bytes)} in {count(record.indirect.blocks)} blocks through them.</p>
      )}
      <p>
        One of them:{' '}
        {block === null ? 'a block' : <button class="link" onClick={() => openBlock(block)}>#{block}</button>} at <span class="mono">{address}</span>, {bytes(size)}
        {retained > size && <>, keeps <b>{bytes(retained)}</b> alive</>}
      </p>
      <h3>Allocated with {record.function}</h3>
      <Backtrace lines={stackLines(data.value.stacks, record.stack)} label="Backtrace" none="No backtrace was recorded." />
      <Path record={record} />
      <h3>To suppress it</h3>
      <pre class="leak-suppression" tabIndex={0} aria-label="Suppression">{line}</pre>
      <p class="leak-copy">
        <CopyText text={() => `${line}\n`} label="Copy" testid="copy-suppression" />
        <span class="muted">a line of a file for <code>--suppressions</code>: hides every leak with this in its backtrace</span>
      </p>
    </section>
  );
}
