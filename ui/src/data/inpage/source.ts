// Source lines as the report holds them.

import type { Frames, SourceView } from '../types.ts';

/** The table `source`. */
export interface SourceFiles {
  files: { file: string; pieces: { first: number; lines: string[] }[] }[];
}

/** The piece with the line of a frame. */
export function sourceOf(source: SourceFiles | null, frames: Frames, frame: number): SourceView {
  const file = frames.strings[frames.file[frame] ?? 0] ?? '';
  const line = frames.line[frame] ?? 0;
  const none = (missing: string): SourceView => ({ file, first: 0, lines: [], missing, searched: file ? [file] : [] });
  if (file === '') return none('The debug information does not say which file this function is from.');
  if (!source) return none('This report was written without source lines (--source none).');
  const pieces = source.files.find((it) => it.file === file)?.pieces ?? [];
  const piece = pieces.find((it) => it.first <= line && line < it.first + it.lines.length);
  if (!piece) return none(pieces.length > 0 ? 'This report holds other lines of the file.' : 'The file was not found when this report was written.');
  return { file, first: piece.first, lines: piece.lines, missing: null, searched: [] };
}
