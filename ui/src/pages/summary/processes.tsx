// All processes of the recording as a tree: who started whom, what each held at most, how it ended.

import { useState } from 'preact/hooks';
import type { ProcessInfo } from '../../data/types.ts';
import { data, showProcess, source } from '../../state/state.ts';
import { Bar } from '../../ui/bar.tsx';
import { baseName, commandLine, Name, visible } from '../../ui/name.tsx';
import { bytes, count, duration, exactBytes, time } from '../../ui/units.ts';

interface Node {
  info: ProcessInfo;
  depth: number;
  /** Began by exec in the process before it: the same pid, another program. */
  exec: boolean;
  above: Node | null;
}

/** What `heaptape info --json` says of a process. */
interface Known {
  number: number;
  parent: number | null;
}

/** Parents before their children, both in the order in which they began. What an exec began follows what it replaced. */
function tree(): Node[] {
  const { processes, info } = source.value.overview;
  const known: Known[] = info?.processes ?? [];
  const parents = new Map(known.map((it) => [it.number, it.parent]));
  const before = new Map<number, number>();
  const lastOfPid = new Map<number, ProcessInfo>();
  for (const it of processes) {
    const former = lastOfPid.get(it.pid);
    if (former?.ending === 'exec') before.set(it.id, former.id);
    lastOfPid.set(it.pid, it);
  }
  const children = new Map<number | null, ProcessInfo[]>();
  for (const it of processes) {
    const above = before.get(it.id) ?? parents.get(it.id) ?? null;
    children.set(above, [...(children.get(above) ?? []), it]);
  }
  const nodes: Node[] = [];
  const added = new Set<number>();
  const add = (info: ProcessInfo, above: Node | null) => {
    if (added.has(info.id)) return;
    added.add(info.id);
    const exec = before.has(info.id);
    const node = { info, depth: above === null ? 0 : exec ? above.depth : above.depth + 1, exec, above };
    nodes.push(node);
    for (const child of children.get(info.id) ?? []) add(child, node);
  };
  for (const root of children.get(null) ?? []) add(root, null);
  // A tape may say nonsense, such as two that are each other's parents: none is left out.
  for (const it of processes) add(it, null);
  return nodes;
}

const FEW = 12;

/** The processes with the highest peaks and the one that is shown, with those above them. */
function important(nodes: Node[]): Node[] {
  const chosen = new Set<Node>();
  const largest = [...nodes].sort((x, y) => y.info.peak.bytes - x.info.peak.bytes).slice(0, FEW);
  const current = nodes.filter((it) => it.info.id === data.value.info.id);
  for (const it of [...largest, ...current]) for (let node: Node | null = it; node; node = node.above) chosen.add(node);
  return nodes.filter((it) => chosen.has(it));
}

export function Processes() {
  const [all, setAll] = useState(false);
  const nodes = tree();
  const most = Math.max(1, ...nodes.map((it) => it.info.peak.bytes));
  const shown = all || nodes.length <= FEW ? nodes : important(nodes);
  return (
    <section aria-labelledby="processes" data-testid="process-tree">
      <h2 id="processes">
        Processes <span class="muted">{count(nodes.length)}</span>
      </h2>
      <div class="processes-scroll">
        <table class="processes">
          <thead>
            <tr>
              <th scope="col">program</th>
              <th scope="col">pid</th>
              <th scope="col" colSpan={2}>peak</th>
              <th scope="col" title="Blocks that were allocated">blocks</th>
              <th scope="col">began</th>
              <th scope="col">ran for</th>
              <th scope="col">ended</th>
            </tr>
          </thead>
          <tbody>
            {shown.map((it) => (
              <Row key={it.info.id} {...it} most={most} />
            ))}
          </tbody>
        </table>
      </div>
      {shown.length < nodes.length && (
        <button class="link" onClick={() => setAll(true)}>
          These are the {FEW} with the highest peaks, and who started them. Show all {count(nodes.length)}
        </button>
      )}
    </section>
  );
}

/** So many times as much as the process that is shown, and the largest is worth naming before all else. */
const MUCH_LARGER = 2;

/** Where most memory was, when it was not in the process that is shown: in a compiler, not in its driver. */
export function Largest() {
  const { overview } = source.value;
  const here = data.value.info;
  const largest = overview.processes.reduce((most, it) => (it.peak.bytes > most.peak.bytes ? it : most), here);
  if (largest.peak.bytes < MUCH_LARGER * here.peak.bytes || largest.id === here.id) return null;
  const name = `#${largest.id} ${baseName(largest.argv[0] ?? largest.name)}`;
  return (
    <p class="processes-largest" data-testid="largest">
      Of {count(overview.processes.length)} processes this is #{here.id}. The largest is{' '}
      {largest.included ? (
        <button class="link" onClick={() => void showProcess(largest.id)}>
          <bdi>{visible(name)}</bdi>
        </button>
      ) : (
        <bdi>{visible(name)}</bdi>
      )}
      , {bytes(largest.peak.bytes)} at its peak
      {!largest.included && `: not in this report, but with heaptape report --process all ${overview.tape}`}.
    </p>
  );
}

function Row({ info, depth, exec, most }: Node & { most: number }) {
  const shown = data.value.info.id === info.id;
  const name = baseName(info.argv[0] ?? info.name);
  const command = commandLine(info.argv);
  return (
    <tr aria-current={shown ? 'true' : undefined}>
      <th scope="row">
        <span style={{ paddingLeft: `${Math.min(depth, 12) * 16}px` }}>
          {exec && <span class="muted" title="The same process, by exec">exec </span>}
          {info.included && !shown ? (
            <button class="link" title={command} onClick={() => void showProcess(info.id)}>
              <Name text={name} />
            </button>
          ) : (
            <span title={info.why_not ?? command}>
              <Name text={name} title={info.why_not ?? command} />
            </span>
          )}
          <span class="processes-arguments">
            <Name text={commandLine(info.argv.slice(1))} tail={12} title={command} />
          </span>
        </span>
      </th>
      <td>{info.pid}</td>
      <td title={exactBytes(info.peak.bytes)}>{bytes(info.peak.bytes)}</td>
      <td class="processes-bar">
        <Bar share={info.peak.bytes / most} />
      </td>
      <td>{count(info.block_count)}</td>
      <td>{time(info.start_ns)}</td>
      <td>{duration(info.end_ns - info.start_ns)}</td>
      <td class="processes-ending">
        {info.ending}
        {!info.included && <span class="muted" title={info.why_not ?? undefined}>, not in this report</span>}
      </td>
    </tr>
  );
}
