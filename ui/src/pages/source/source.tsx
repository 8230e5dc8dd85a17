// Source lines with what they allocated: the hot files and lines at the left, the text with a figure on each line.

import '../parts.css';
import './source.css';
import { oneOf, param } from '../../state/params.ts';
import { useQuery } from '../../state/query.ts';
import { data, measure, select, selected, unit } from '../../state/state.ts';
import { Bar } from '../../ui/bar.tsx';
import { Choice } from '../../ui/choice.tsx';
import { baseName, Name } from '../../ui/name.tsx';
import { Table, type Column } from '../../ui/table.tsx';
import { inUnit, percent } from '../../ui/units.ts';
import { Nothing } from '../nothing.tsx';
import { Listing } from './listing.tsx';
import { hotFiles, type HotFile, type HotLine, type Share } from './model.ts';

const share = param<Share>('ss', 'own', oneOf('own', 'total'));

export function SourcePage() {
  const weights = useQuery((signal) => data.value.weigh(measure.value, signal));
  const frame = useQuery((signal) => selectedFrame(signal));
  const { value, error, pending } = weights.value;
  if (error !== '') return <p class="failure" role="alert">{error}</p>;
  if (!value) return <p class="muted">Counting…</p>;
  if (value.total.blocks === 0 && value.total.bytes === 0) return <Nothing what="blocks" />;
  const files = hotFiles(data.value.stacks, value, unit.value, share.value);
  if (files.length === 0) return <NoLines />;
  const chosen = chosenLine(files, frame.value.value ?? null);
  return (
    <div class={`source${pending ? ' stale' : ''}`} data-testid="source">
      <HotList files={files} chosen={chosen} whole={value.total[unit.value]} />
      <Listing key={chosen.file.file} file={chosen.file} line={chosen.line} share={share.value} whole={value.total[unit.value]} />
    </div>
  );
}

function NoLines() {
  return (
    <div class="empty" data-testid="empty">
      <p>No function of these backtraces has a known source line.</p>
      <p class="muted">Compile with <code>-g</code>, or install the distribution’s debug symbols; <code>heaptape report --debug-dir DIR</code> looks there, too.</p>
    </div>
  );
}

/** The frame of what is selected anywhere. */
async function selectedFrame(signal: AbortSignal): Promise<number | null> {
  const { stacks } = data.value;
  const it = selected.value;
  if (it === null) return null;
  if (it.kind === 'site') return it.id < stacks.frames.count ? it.id : null;
  if (it.kind === 'stack') return it.id > 0 && it.id < stacks.count ? stacks.site[it.id]! : null;
  if (it.kind === 'fn') {
    const frame = stacks.frames.fn.indexOf(it.id);
    return frame < 0 ? null : frame;
  }
  const block = await data.value.block(it.id, signal);
  return block.count > 0 && block.stack[0] !== 0 ? stacks.site[block.stack[0]!]! : null;
}

interface Chosen {
  file: HotFile;
  line: number;
}

/** The file and line of a frame; where it has none, or is not among the hot ones, the hottest. */
function chosenLine(files: HotFile[], frame: number | null): Chosen {
  const { frames } = data.value.stacks;
  const file = frame === null ? undefined : files.find((it) => it.file === frames.file[frame]);
  if (file) return { file, line: frames.line[frame!]! };
  return { file: files[0]!, line: files[0]!.lines[0]?.line ?? 0 };
}

const SHARES = [
  { id: 'own', name: 'by call site', hint: 'Blocks whose call site is the line' },
  { id: 'total', name: 'with callees', hint: 'Blocks with the line anywhere on their backtrace' },
] as const;

type ListRow = { file: HotFile; line: HotLine | null };

function HotList({ files, chosen, whole }: { files: HotFile[]; chosen: Chosen; whole: number }) {
  const rows: ListRow[] = files.flatMap((file) => {
    const lines = file === chosen.file ? file.lines.filter((it) => it[share.value] !== 0).map((line) => ({ file, line })) : [];
    return [{ file, line: null }, ...lines];
  });
  const most = Math.max(...files.map((it) => Math.abs(it[share.value])));
  return (
    <section class="source-list" aria-label="Hot files and lines">
      <Choice label="What a line weighs" options={SHARES} value={share.value} onChange={(chosen) => (share.value = chosen)} />
      <Table<ListRow>
        label="Hot files and lines"
        testid="hot-lines"
        columns={columns(whole, most)}
        count={rows.length}
        row={(index) => rows[index]}
        rowKey={({ file, line }) => `${file.file}:${line?.line ?? ''}`}
        selected={({ file, line }) => file === chosen.file && line?.line === chosen.line}
        onSelect={({ file, line }) => select('site', (line ?? file.lines[0]!).frame)}
      />
    </section>
  );
}

function columns(whole: number, most: number): Column<ListRow>[] {
  const { strings } = data.value.stacks.frames;
  const value = ({ file, line }: ListRow) => (line ?? file)[share.value];
  return [
    { key: 'value', title: unit.value === 'bytes' ? 'Bytes' : 'Blocks', width: '78px', numeric: true, cell: (it) => (
      <span class={it.line ? 'muted' : undefined} title={`${percent(value(it), whole)} of all`}>{inUnit(value(it), unit.value)}</span>
    ) },
    { key: 'bar', title: '', width: '48px', cell: (it) => <Bar share={Math.abs(value(it)) / Math.max(1, most)} /> },
    { key: 'place', title: 'File and line', width: 'minmax(120px, 1fr)', cell: ({ file, line }) => (
      line ? <span class="source-line"><span class="num">{line.line}</span> <Name text={strings[data.value.stacks.frames.short[line.frame]!] ?? ''} /></span>
        : <Name text={baseName(strings[file.file]!)} title={strings[file.file]!} />
    ) },
  ];
}
