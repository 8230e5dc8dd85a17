// The charts as tables, for those who would rather read numbers.

import type { Weight } from '../../data/types.ts';
import { bytes, count, exactBytes, time } from '../../ui/units.ts';
import { perSecond } from './rate.tsx';
import { lifetimeWords, sizeWords } from './words.ts';

export function BinTable({ name, bins, from, to, words }: { name: string; bins: Weight[]; from: number; to: number; words: (bin: number) => string }) {
  return (
    <div class="chart-table" tabIndex={0} role="region" aria-label={name}>
      <table class="plain">
        <thead>
          <tr><th>{name}</th><th class="numeric">blocks</th><th class="numeric">bytes</th></tr>
        </thead>
        <tbody>
          {bins.slice(from, to).map((it, k) => (
            <tr key={k}>
              <td>{words(from + k)}</td>
              <td class="numeric">{count(it.blocks)}</td>
              <td class="numeric" title={exactBytes(it.bytes)}>{bytes(it.bytes)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function CrossTable({ cross, sizes, lifetimes }: { cross: number[][]; sizes: [number, number]; lifetimes: [number, number] }) {
  const rows = [];
  for (let size = sizes[0]; size < sizes[1]; size++) {
    for (let life = lifetimes[0]; life < lifetimes[1]; life++) {
      const blocks = cross[size]?.[life] ?? 0;
      if (blocks !== 0) rows.push({ size, life, blocks });
    }
  }
  return (
    <div class="chart-table" tabIndex={0} role="region" aria-label="Size and lifetime">
      <table class="plain">
        <thead>
          <tr><th>Size</th><th>Lifetime</th><th class="numeric">blocks</th></tr>
        </thead>
        <tbody>
          {rows.map(({ size, life, blocks }) => (
            <tr key={`${size},${life}`}>
              <td>{sizeWords(size)}</td>
              <td>{lifetimeWords(life)}</td>
              <td class="numeric">{count(blocks)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function RateTable({ rate, from_ns, to_ns }: { rate: Float64Array; from_ns: number; to_ns: number }) {
  const bucket = Math.max(1, to_ns - from_ns) / rate.length;
  return (
    <div class="chart-table" tabIndex={0} role="region" aria-label="Allocations over the range">
      <table class="plain">
        <thead>
          <tr><th class="numeric">from</th><th class="numeric">allocations</th><th class="numeric">rate</th></tr>
        </thead>
        <tbody>
          {Array.from(rate, (value, k) => (
            <tr key={k}>
              <td class="numeric">{time(from_ns + k * bucket)}</td>
              <td class="numeric">{count(value)}</td>
              <td class="numeric">{perSecond(value, bucket)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
