// A backtrace as a list of lines, innermost first; a line whose source is known leads there.

import './backtrace.css';
import type { Frames, Stacks } from '../../data/types.ts';
import { baseName, functionName, Name, place, wholeFrame } from '../../ui/name.tsx';
import { openSource } from '../links.ts';
import type { JsonFrame } from '../crash/model.ts';

export interface Line {
  name: string;
  place: string;
  /** Whether the place is a line of source. */
  source: boolean;
  /** All that is known, for the tooltip. */
  title: string;
  /** Of the allocator, its wrappers or the language's runtime: no call site. */
  wrapper: boolean;
  /** Wrappers, what starts programs, and what has no name: shown quietly. */
  quiet: boolean;
  /** The frame of the tables, where it is one. */
  frame: number | null;
}

/** The lines of a stack of the tables. */
export function stackLines(stacks: Stacks, stack: number): Line[] {
  const lines: Line[] = [];
  for (let at = stack; at !== 0; at = stacks.parent[at]!) lines.push(frameLine(stacks.frames, stacks.frame[at]!));
  return lines;
}

function frameLine(frames: Frames, frame: number): Line {
  const flags = frames.flags[frame]!;
  return {
    name: functionName(frames, frame),
    place: place(frames, frame),
    source: frames.file[frame] !== 0,
    title: wholeFrame(frames, frame),
    wrapper: (flags & 4) !== 0,
    quiet: (flags & 4) !== 0 || (flags & 2) === 0 || STARTS.test(functionName(frames, frame)),
    frame,
  };
}

/** The lines of a backtrace of `--json`; `frames` to find their source by. */
export function jsonLines(backtrace: JsonFrame[], frames: Frames): Line[] {
  return backtrace.map((it) => {
    const frame = findFrame(frames, it);
    const wrapper = frame === null ? ALLOCATES.test(it.short) : (frames.flags[frame]! & 4) !== 0;
    return {
      name: it.short,
      place: it.file ? `${baseName(it.file)}:${it.line}` : it.module,
      source: it.file !== null,
      title: [it.function, it.file ? `${it.file}:${it.line}` : '', it.module, it.why ?? ''].filter((line) => line !== '').join('\n'),
      wrapper,
      quiet: wrapper || !it.named || STARTS.test(it.short),
      frame,
    };
  });
}

/** What every backtrace ends with. */
const STARTS = /^(_start|__libc_start\w*|start_thread|clone3?|__clone3?)$/;
/** What the tables do not hold, as no block of theirs was allocated there. */
const ALLOCATES = /^(malloc|calloc|realloc|operator new(\[\])?)$/;

/** The frame of the tables that is this one; `null`: no block was allocated or freed there. */
function findFrame(frames: Frames, wanted: JsonFrame): number | null {
  const file = wanted.file ?? '';
  for (let frame = 0; frame < frames.count; frame++) {
    if (frames.line[frame] !== wanted.line || frames.strings[frames.file[frame]!] !== file) continue;
    if (frames.strings[frames.name[frame]!] === wanted.function) return frame;
  }
  return null;
}

export function Backtrace({ lines, label, none }: { lines: Line[]; label: string; none: string }) {
  if (lines.length === 0) return <p class="muted">{none}</p>;
  return (
    <ol class="backtrace" aria-label={label}>
      {lines.map((line, index) => (
        <li key={index} class={line.quiet ? 'quiet' : undefined}>
          <Name text={line.name} title={line.title} />
          {line.frame !== null && line.source ? (
            <button class="backtrace-place" title="Show its source" onClick={() => openSource(line.frame!)}>
              <Name text={line.place} tail={10} title={line.title} />
            </button>
          ) : (
            <span class="backtrace-place"><Name text={line.place} tail={10} title={line.title} /></span>
          )}
        </li>
      ))}
    </ol>
  );
}
