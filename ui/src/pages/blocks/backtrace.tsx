// A backtrace as a list of lines, innermost first; a line whose source is known leads there.

import './backtrace.css';
import type { Frames, Stacks } from '../../data/types.ts';
import { baseName, functionName, Name, place, wholeFrame } from '../../ui/name.tsx';
import { openSource } from '../links.ts';
import type { JsonFrame } from '../crash/model.ts';

export interface Line {
  name: string;
  place: string;
  /** All that is known, for the tooltip. */
  title: string;
  /** Wrappers of the allocator and what has no name: shown quietly. */
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
    title: wholeFrame(frames, frame),
    quiet: (flags & 4) !== 0 || (flags & 2) === 0,
    frame,
  };
}

/** The lines of a backtrace of `--json`; `frames` to find their source by. */
export function jsonLines(backtrace: JsonFrame[], frames: Frames): Line[] {
  return backtrace.map((it) => {
    const frame = it.file ? findFrame(frames, it.file, it.line) : null;
    return {
      name: it.short,
      place: it.file ? `${baseName(it.file)}:${it.line}` : it.module,
      title: [it.function, it.file ? `${it.file}:${it.line}` : '', it.module, it.why ?? ''].filter((line) => line !== '').join('\n'),
      quiet: !it.named || RUNTIME.test(it.short) || (frame !== null && (frames.flags[frame]! & 4) !== 0),
      frame,
    };
  });
}

/** What every backtrace begins and ends with. */
const RUNTIME = /^(_start|__libc_start\w*|start_thread|clone3?|__clone3?|malloc|calloc|realloc|operator new(\[\])?)$/;

/** A frame of this file and line. */
export function findFrame(frames: Frames, file: string, line: number): number | null {
  for (let frame = 0; frame < frames.count; frame++) {
    if (frames.line[frame] === line && frames.strings[frames.file[frame]!] === file) return frame;
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
          {line.frame !== null && line.place !== '' ? (
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
