// Names: cut in their middle where there is no room (numbers never are). What a name holds is hostile: it is a text
// node, and its direction is its own affair.

import type { Frames } from '../data/types.ts';
import './name.css';

/** So many characters at the end stay in sight: the part of a name or path that tells it apart. */
const TAIL = 14;
/** Names of fewer characters lose their end, if anything. */
const SHORT = 16;

/** What is not seen, or turns round what is: control characters, marks of direction. */
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
/** Writing from right to left: cut in two, its halves would change places. */
const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]/;

/** A name as it can be shown: what is not seen is written as in the terminal, `\u{202e}`. */
export function visible(text: string): string {
  return text.replace(UNSEEN, (it) => `\\u{${it.charCodeAt(0).toString(16)}}`);
}

/**
 * A name that shrinks to the room it has: its middle gives way. The whole is in the tooltip, and it is what is selected,
 * copied and read aloud: its two halves are only painted, as content of the style.
 */
export function Name({ text, tail = TAIL, title = text }: { text: string; tail?: number; title?: string }) {
  const characters = [...visible(text)];
  const whole = characters.length < SHORT || RIGHT_TO_LEFT.test(text);
  const kept = whole ? 0 : Math.min(tail, Math.floor(characters.length / 2));
  const at = characters.length - kept;
  const tooltip = title.split('\n').map(visible).join('\n');
  if (whole)
    return (
      <span class="name" title={tooltip}>
        <bdi class="name-whole">{characters.join('')}</bdi>
      </span>
    );
  return (
    <span class="name name-halves" title={tooltip} data-head={characters.slice(0, at).join('')} data-tail={characters.slice(at).join('')}>
      <bdi class="name-text">{characters.join('')}</bdi>
    </span>
  );
}

/** A frame: its function, and quietly its file and line. */
export function FrameName({ frames, frame, full = false }: { frames: Frames; frame: number; full?: boolean }) {
  const [file, line] = placeParts(frames, frame);
  return (
    <span class="frame-name">
      <Name text={functionName(frames, frame, full)} title={wholeFrame(frames, frame)} />
      {file !== '' && (
        <Place file={file} line={line} title={wholeFrame(frames, frame)} />
      )}
    </span>
  );
}

/** Quietly beside a name, `demo.cpp:19`: of the file the middle gives way, of the line nothing. */
export function Place({ file, line, title }: { file: string; line: string; title?: string }) {
  return (
    <span class="frame-place">
      <Name text={file} tail={8} {...(title !== undefined && { title })} />
      {line}
    </span>
  );
}

export function functionName(frames: Frames, frame: number, full = false): string {
  return visible(frames.strings[(full ? frames.name : frames.short)[frame]!] ?? '');
}

/** `demo.cpp:19`; where the file is not known, the module, unless the name is `module+0x…`; where that is not, nothing. */
export function place(frames: Frames, frame: number): string {
  return placeParts(frames, frame).join('');
}

/** File or module, and `:19`. */
function placeParts(frames: Frames, frame: number): [string, string] {
  const file = frames.strings[frames.file[frame]!] ?? '';
  if (file !== '') return [visible(baseName(file)), frames.line[frame] ? `:${frames.line[frame]}` : ''];
  const module = visible(baseName(frames.strings[frames.module[frame]!] ?? ''));
  return [functionName(frames, frame).startsWith(`${module}+0x`) ? '' : module, ''];
}

/** All that is known of a frame, for tooltips and copies. */
export function wholeFrame(frames: Frames, frame: number): string {
  const file = frames.strings[frames.file[frame]!] ?? '';
  const line = frames.line[frame] ? `:${frames.line[frame]}` : '';
  const module = frames.strings[frames.module[frame]!] ?? '';
  return [functionName(frames, frame, true), file && `${file}${line}`, module].filter((it) => it !== '').join('\n');
}

/** A command line as a shell would take it: words that it would split or read otherwise are in quotes. */
export function commandLine(words: readonly string[]): string {
  return words.map((it) => (/^[\p{L}\p{N}_@%+=:,./-]+$/u.test(it) ? it : `'${it.replaceAll("'", "'\\''")}'`)).join(' ');
}

export function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** A name of at most so many characters, cut in its middle: for canvases. */
export function cut(text: string, most: number): string {
  const characters = [...text];
  if (characters.length <= most) return text;
  if (most < 3) return '';
  const tail = Math.floor((most - 1) / 3);
  return `${characters.slice(0, most - 1 - tail).join('')}…${characters.slice(characters.length - tail).join('')}`;
}
