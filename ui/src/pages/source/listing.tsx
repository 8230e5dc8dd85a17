// The text of a file with a figure on each line that weighs something, and all of them at a glance beside it.

import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import { useQuery } from '../../state/query.ts';
import { data, select, source, unit } from '../../state/state.ts';
import { css, sequential } from '../../ui/colour.ts';
import { Name } from '../../ui/name.tsx';
import { theme } from '../../ui/theme.ts';
import { count, inUnit, percent } from '../../ui/units.ts';
import { CodeLine } from './code.tsx';
import { languageOf, lex, type Token } from './lexer.ts';
import { textOf, type HotFile, type HotLine, type Share, type Text } from './model.ts';

interface Props {
  file: HotFile;
  line: number;
  share: Share;
  /** What all lines are a part of. */
  whole: number;
}

const ROW = 20;
/** Lines that are listed of a file whose text is not there. */
const MOST_MISSING = 40;

type Row = { number: number; tokens: Token[]; hot: HotLine | undefined } | { from: number; to: number };

export function Listing({ file, line, share, whole }: Props) {
  const path = data.value.stacks.frames.strings[file.file]!;
  const answer = useQuery((signal) => textOf(data.value, file.lines, signal), [file.file, data.value]);
  const text = answer.value.value;
  return (
    <section class="listing" aria-label="Source">
      <header class="listing-head">
        <span class="mono"><Name text={path} tail={40} /></span>
        <b class="num">{inUnit(file[share], unit.value)}</b>
        <span class="muted num">{percent(file[share], whole)} of all</span>
      </header>
      {answer.value.error !== '' && <p class="failure">{answer.value.error}</p>}
      {text && (text.lines.size === 0 ? <Missing path={path} text={text} file={file} share={share} /> : <Lines path={path} text={text} file={file} line={line} share={share} />)}
    </section>
  );
}

/** The lines that are there, in order, with the gaps between. */
function rowsOf(path: string, text: Text, file: HotFile): Row[] {
  const numbers = [...text.lines.keys()].sort((x, y) => x - y);
  const tokens = lex(numbers.map((it) => text.lines.get(it)!), languageOf(path));
  const hot = new Map(file.lines.map((it) => [it.line, it]));
  return numbers.flatMap((number, k): Row[] => {
    const before = k === 0 ? 0 : numbers[k - 1]!;
    const row = { number, tokens: tokens[k]!, hot: hot.get(number) };
    return number > before + 1 ? [{ from: before + 1, to: number - 1 }, row] : [row];
  });
}

function Lines({ path, text, file, line, share }: { path: string; text: Text; file: HotFile; line: number; share: Share }) {
  const scroller = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(600);
  const rows = useMemo(() => rowsOf(path, text, file), [path, text, file]);
  const most = Math.max(1, ...file.lines.map((it) => Math.abs(it[share])));
  useLayoutEffect(() => {
    const observer = new ResizeObserver(() => setHeight(scroller.current!.clientHeight));
    observer.observe(scroller.current!);
    return () => observer.disconnect();
  }, []);
  const show = (index: number) => {
    scroller.current!.scrollTop = Math.max(0, index * ROW - scroller.current!.clientHeight / 2);
  };
  useEffect(() => show(rows.findIndex((row) => 'number' in row && row.number === line)), [line, text]);
  const first = Math.max(0, Math.floor(top / ROW) - 10);
  const last = Math.min(rows.length, Math.ceil((top + height) / ROW) + 10);
  return (
    <div class="listing-body">
      <div class="code listing-scroller" ref={scroller} tabIndex={0} role="region" aria-label={`Source of ${path}`} data-testid="listing" onScroll={(event) => setTop(event.currentTarget.scrollTop)}>
        <div style={{ height: `${rows.length * ROW}px`, position: 'relative' }}>
          {rows.slice(first, last).map((row, k) => (
            <div key={first + k} class="listing-row" style={{ top: `${(first + k) * ROW}px` }}>
              <OneRow row={row} line={line} share={share} most={most} />
            </div>
          ))}
        </div>
      </div>
      <Heat rows={rows} share={share} most={most} onPick={show} />
    </div>
  );
}

function OneRow({ row, line, share, most }: { row: Row; line: number; share: Share; most: number }) {
  if (!('number' in row)) return <div class="listing-gap">lines {row.from}–{row.to} are not in this report</div>;
  return (
    <CodeLine number={row.number} tokens={row.tokens} current={row.number === line}>
      <Pill hot={row.hot} share={share} most={most} />
    </CodeLine>
  );
}

function Pill({ hot, share, most }: { hot: HotLine | undefined; share: Share; most: number }) {
  if (!hot || (hot.own === 0 && hot.total === 0)) return <span class="pill-none" />;
  const value = hot[share];
  const [own, total] = [inUnit(hot.own, unit.value), inUnit(hot.total, unit.value)];
  return (
    <button class="pill" title={`${own} allocated here, ${total} with callees`} onClick={() => select('site', hot.frame)}>
      <span class="pill-heat" style={{ width: `${(100 * Math.abs(value)) / most}%` }} aria-hidden="true" />
      <span class="pill-text">{inUnit(value, unit.value)}</span>
    </button>
  );
}

/** All hot lines of the file from top to bottom, as a scroll bar would show them. */
function Heat({ rows, share, most, onPick }: { rows: Row[]; share: Share; most: number; onPick: (index: number) => void }) {
  return (
    <div class="heat-bar" aria-hidden="true">
      {rows.map((row, index) => {
        const value = 'number' in row ? Math.abs(row.hot?.[share] ?? 0) : 0;
        if (value === 0) return null;
        const style = { top: `${(100 * index) / rows.length}%`, height: `max(3px, ${100 / rows.length}%)`, background: css(sequential(0.2 + (0.8 * value) / most, theme.value)) };
        return <span key={index} style={style} onClick={() => onPick(index)} />;
      })}
    </div>
  );
}

function Missing({ path, text, file, share }: { path: string; text: Text; file: HotFile; share: Share }) {
  const hot = file.lines.filter((it) => it[share] !== 0);
  const folder = path.slice(0, path.lastIndexOf('/')) || '.';
  return (
    <div class="source-missing" data-testid="source-missing">
      <p>{text.missing ?? 'This report holds no lines of this file.'}</p>
      {text.searched.length > 0 && (
        <>
          <p class="muted">Looked for at:</p>
          <ul>
            {text.searched.map((it) => (
              <li key={it} class="mono">{it}</li>
            ))}
          </ul>
        </>
      )}
      <p class="muted">If the source is elsewhere, write the report with</p>
      <pre>heaptape report --source-map {folder}=/where/it/is {source.value.overview.tape}</pre>
      <table class="plain">
        <thead>
          <tr><th class="numeric">line</th><th class="numeric">{unit.value}</th><th>function</th></tr>
        </thead>
        <tbody>
          {hot.slice(0, MOST_MISSING).map((it) => (
            <tr key={it.line}>
              <td class="numeric">{it.line}</td>
              <td class="numeric">{inUnit(it[share], unit.value)}</td>
              <td>{data.value.stacks.frames.strings[data.value.stacks.frames.short[it.frame]!]}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {hot.length > MOST_MISSING && <p class="muted">{count(hot.length - MOST_MISSING)} more lines</p>}
    </div>
  );
}
