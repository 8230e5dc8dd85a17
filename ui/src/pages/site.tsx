// What the summary knows of a call site beyond its weight: that it grew, and that it is a pool which a library keeps by
// design, so that nobody looks for a leak there.

import './site.css';
import { data } from '../state/state.ts';
import { baseName, FrameName, Place, visible } from '../ui/name.tsx';

interface Told {
  growing: boolean;
  known_pool: string | null;
}

type List = (Told & { frame: { function: string; line: number } | null })[];

function toldIn(list: List | undefined, frame: number): Told | undefined {
  const { name, line, strings } = data.value.stacks.frames;
  return list?.find((it) => it.frame?.function === strings[name[frame]!] && it.frame?.line === line[frame]);
}

/** Whether the never freed blocks of a site became more over the run. */
export function isGrowing(frame: number): boolean {
  return toldIn(data.value.info.summary?.never_freed?.sites, frame)?.growing === true;
}

/** A call site: the frame, or the pool that it is known to be: `emergency pool by design libstdc++.so.6`. */
export function SiteName({ frame }: { frame: number }) {
  const { frames } = data.value.stacks;
  const { never_freed, peak } = data.value.info.summary ?? {};
  const pool = (toldIn(never_freed?.sites, frame) ?? toldIn(peak?.sites, frame))?.known_pool;
  if (pool == null) return <FrameName frames={frames} frame={frame} />;
  return (
    <span class="frame-name site-pool" title="A library keeps it until the program ends, by design: it is no leak">
      <span>{pool}</span>
      <span class="site-by-design">by design</span>
      <Place file={visible(baseName(frames.strings[frames.module[frame]!] ?? ''))} line="" />
    </span>
  );
}
