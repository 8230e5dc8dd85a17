// The same as a table: the regions, and the blocks that are in sight.

import { useQuery } from '../../state/query.ts';
import { data, select, selected, t } from '../../state/state.ts';
import type { Blocks, Region } from '../../data/types.ts';
import { FrameName } from '../../ui/name.tsx';
import { Table, type Column } from '../../ui/table.tsx';
import { address, bytes, count, exactBytes, percent } from '../../ui/units.ts';
import { KINDS } from './draw.ts';
import { age } from './readout.tsx';
import { layout, visibleRows } from './view.ts';

const MOST = 100_000;

const REGIONS: Column<Region>[] = [
  { key: 'kind', title: 'region', width: '70px', cell: ({ kind }) => KINDS[kind] },
  { key: 'start', title: 'from', width: '130px', cell: ({ start }) => <code>{address(start)}</code> },
  { key: 'end', title: 'to', width: '130px', cell: ({ end }) => <code>{address(end)}</code> },
  { key: 'span', title: 'span', numeric: true, width: '80px', cell: ({ space }) => <span title={exactBytes(space.span_bytes)}>{bytes(space.span_bytes)}</span> },
  { key: 'used', title: 'used', numeric: true, width: '80px', cell: ({ space }) => <span title={exactBytes(space.used_bytes)}>{bytes(space.used_bytes)}</span> },
  { key: 'share', title: 'of span', numeric: true, width: '70px', cell: ({ space }) => percent(space.used_bytes, space.span_bytes) },
  { key: 'blocks', title: 'blocks', numeric: true, width: '80px', cell: ({ space }) => count(space.live_blocks) },
  { key: 'holes', title: 'holes', numeric: true, width: '70px', cell: ({ space }) => count(space.holes.count) },
  { key: 'largest', title: 'largest hole', numeric: true, width: '100px', cell: ({ space }) => bytes(space.holes.largest_bytes) },
];

export function List() {
  const answer = useQuery((signal) => {
    const rows = visibleRows.value;
    return rows.length === 0 ? null : data.value.live(t.value, rows[0]!.lo, rows.at(-1)!.hi, MOST, signal);
  });
  const regions = layout.value?.layout.regions ?? [];
  const found = answer.value.value;
  return (
    <div class="layout-list" data-testid="layout-list">
      <Table label="Regions" columns={REGIONS} count={regions.length} row={(index) => regions[index]} />
      {found?.too_many ? (
        <p class="quiet">More than {count(MOST)} live blocks are in sight: zoom in to list them.</p>
      ) : (
        <BlockTable blocks={found?.rows} />
      )}
    </div>
  );
}

function BlockTable({ blocks }: { blocks: Blocks | undefined }) {
  const of = data.value;
  const columns: Column<number>[] = [
    { key: 'id', title: 'block', numeric: true, width: '90px', cell: (k) => `#${blocks!.id[k]}` },
    { key: 'addr', title: 'address', width: '130px', cell: (k) => <code>{address(blocks!.addr[k]!)}</code> },
    { key: 'size', title: 'size', numeric: true, width: '80px', cell: (k) => <span title={exactBytes(blocks!.size[k]!)}>{bytes(blocks!.size[k]!)}</span> },
    { key: 'age', title: 'age', numeric: true, width: '90px', cell: (k) => age(of, blocks!, k, t.value) },
    { key: 'thread', title: 'thread', numeric: true, width: '80px', cell: (k) => of.info.threads[blocks!.thread[k]!]?.tid ?? '–' },
    { key: 'site', title: 'site', width: 'minmax(160px, 1fr)', cell: (k) => <FrameName frames={of.stacks.frames} frame={of.stacks.site[blocks!.stack[k]!]!} /> },
  ];
  return (
    <Table
      label="Blocks in sight"
      testid="layout-blocks"
      columns={columns}
      count={blocks?.count ?? 0}
      row={(index) => (blocks === undefined ? undefined : index)}
      rowKey={(k) => blocks!.id[k]!}
      selected={(k) => selected.value?.kind === 'block' && selected.value.id === blocks!.id[k]}
      onSelect={(k) => select('block', blocks!.id[k]!)}
      footer={`${count(blocks?.count ?? 0)} live blocks in sight`}
    />
  );
}
