// Holes between live blocks by size.

import type { Blocks } from '../../data/types.ts';
import { footprintEnd } from './raster.ts';

/** Holes of at least the size before and less than this one. */
export interface HoleClass {
  label: string;
  short: string;
  count: number;
  bytes: number;
}

const CLASSES: { below: number; label: string; short: string }[] = [
  { below: 64, label: '32 to 63 B', short: '32' },
  { below: 256, label: '64 to 255 B', short: '64' },
  { below: 1024, label: '256 to 1023 B', short: '256' },
  { below: 4096, label: '1 to 4 KiB', short: '1K' },
  { below: 16384, label: '4 to 16 KiB', short: '4K' },
  { below: 65536, label: '16 to 64 KiB', short: '16K' },
  { below: 1048576, label: '64 KiB to 1 MiB', short: '64K' },
  { below: Infinity, label: '1 MiB and more', short: '1M' },
];

/** The blocks of each region, by address. */
export function holesBySize(regions: Blocks[]): HoleClass[] {
  const found = CLASSES.map(({ label, short }) => ({ label, short, count: 0, bytes: 0 }));
  for (const blocks of regions) {
    let reached = 0;
    for (let index = 0; index + 1 < blocks.count; index++) {
      reached = Math.max(reached, footprintEnd(blocks, index));
      const hole = blocks.addr[index + 1]! - reached;
      if (hole <= 0) continue;
      const class_ = found[CLASSES.findIndex(({ below }) => hole < below)]!;
      class_.count++;
      class_.bytes += hole;
    }
  }
  return found;
}
