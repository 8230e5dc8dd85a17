// The suppressions that were given, and what each has hidden.

import { bytes, count, exactBytes } from '../../ui/units.ts';
import type { LeakResult } from './model.ts';

export function Suppressions({ leaks }: { leaks: LeakResult }) {
  const all = leaks.suppressions ?? [];
  if (all.length === 0) return null;
  return (
    <details class="card leak-suppressions" data-testid="suppressions">
      <summary>
        {count(all.length)} suppressions hide {bytes(leaks.summary.suppressed.bytes)} in {count(leaks.summary.suppressed.blocks)} blocks
      </summary>
      <table class="plain">
        <thead>
          <tr><th>suppression</th><th>from</th><th class="numeric">blocks</th><th class="numeric">bytes</th></tr>
        </thead>
        <tbody>
          {all.map((it, index) => (
            <tr key={index}>
              <td class="mono break">{it.name}</td>
              <td class="break">{it.file}:{it.line}</td>
              <td class="numeric">{count(it.blocks)}</td>
              <td class="numeric" title={exactBytes(it.bytes)}>{bytes(it.bytes)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </details>
  );
}
