// Resident memory over the run, from what was asked for to what is resident: layers that add up to RSS, each with what it
// holds and its share at T.

import { useRef } from 'preact/hooks';
import type { RssExplained } from '../../data/types.ts';
import { data, setT, t } from '../../state/state.ts';
import { byteTicks, timeTicks } from '../../strip/scale.ts';
import { category, css, mix, OTHER } from '../../ui/colour.ts';
import { useWidth } from '../../ui/size.ts';
import { theme } from '../../ui/theme.ts';
import { bytes, exactBytes, percent, roundBytes, time } from '../../ui/units.ts';

const HEIGHT = 340;
const LEFT = 60;
const BOTTOM = 22;

export function Rss({ rss }: { rss: RssExplained }) {
  const box = useRef<HTMLDivElement>(null);
  const width = useWidth(box, 0);
  const { times } = data.value;
  const now = times.of(t.value);
  const at = sampleAt(rss, now);
  return (
    <section aria-labelledby="rss" data-testid="rss">
      <h2 id="rss">Resident memory, explained</h2>
      <div class="rss">
        <div ref={box} class="rss-chart">
          {width > 0 && <Chart rss={rss} width={width} now={now} />}
        </div>
        <table class="rss-layers">
          <thead>
            <tr>
              <th scope="col">{at === null ? 'no sample yet at T' : `at ${time(rss.time_ns[at]!)}`}</th>
              <th scope="col">bytes</th>
              <th scope="col" title="Of RSS">of RSS</th>
            </tr>
          </thead>
          <tbody>
            {rss.layers.map((layer, k) => (
              <tr key={layer.name}>
                <th scope="row">
                  <span class="swatch" style={{ background: colourOf(k) }} />
                  <span>
                    {layer.name}
                    <small>{layer.explanation}</small>
                  </span>
                </th>
                <Cells value={at === null ? null : layer.bytes[at]!} of={at === null ? 0 : rss.rss[at]!} />
              </tr>
            )).reverse()}
            <tr class="rss-total">
              <th scope="row">RSS</th>
              <Cells value={at === null ? null : rss.rss[at]!} of={at === null ? 0 : rss.rss[at]!} />
            </tr>
          </tbody>
        </table>
      </div>
      {rss.note !== '' && <p class="muted">{rss.note}</p>}
    </section>
  );
}

function Cells({ value, of }: { value: number | null; of: number }) {
  return (
    <>
      <td title={value === null ? undefined : exactBytes(value)}>{value === null ? '–' : bytes(value)}</td>
      <td>{value === null ? '–' : percent(value, of)}</td>
    </>
  );
}

/** Seven colours, then lighter and lighter greys. */
function colourOf(layer: number): string {
  const grey = category(OTHER, theme.value);
  return css(layer < OTHER ? category(layer, theme.value) : mix(grey, theme.value === 'dark' ? 0xe6ebf0 : 0xffffff, 0.35 * (layer - OTHER)));
}

/** The last sample at or before a time. */
function sampleAt({ time_ns }: RssExplained, now: number): number | null {
  let found = -1;
  while (found + 1 < time_ns.length && time_ns[found + 1]! <= now) found++;
  return found < 0 ? null : found;
}

function Chart({ rss, width, now }: { rss: RssExplained; width: number; now: number }) {
  const { info, times } = data.value;
  const [from, to] = [info.start_ns, Math.max(info.end_ns, info.start_ns + 1)];
  const most = Math.max(1, ...rss.rss) * 1.05;
  const right = width - 8;
  const bottom = HEIGHT - BOTTOM;
  const x = (ns: number) => LEFT + ((right - LEFT) * (Math.min(to, ns) - from)) / (to - from);
  const y = (value: number) => bottom - ((bottom - 4) * value) / most;
  const sums = rss.time_ns.map(() => 0);
  const areas = rss.layers.map((layer) => {
    const below = sums.slice();
    layer.bytes.forEach((value, k) => (sums[k]! += value));
    return area(rss.time_ns, below, sums, x, y, right);
  });
  const click = (event: MouseEvent) => {
    const share = (event.offsetX - LEFT) / (right - LEFT);
    setT(times.at(from + (to - from) * Math.max(0, Math.min(1, share))));
  };
  return (
    <svg width={width} height={HEIGHT} role="img" aria-label="Resident memory over the run, by layer" onClick={click}>
      {byteTicks(most).map((tick) => (
        <g key={tick} class="rss-tick">
          <path d={`M${LEFT} ${y(tick)}H${right}`} />
          <text x={LEFT - 6} y={y(tick) + 4} text-anchor="end">{roundBytes(tick)}</text>
        </g>
      ))}
      {areas.map((path, k) => (
        <path key={k} class="rss-area" d={path} fill={colourOf(k)} />
      ))}
      <path class="rss-axis" d={`M${LEFT} ${bottom}H${right}`} />
      {timeTicks(from, to, (right - LEFT) / 110).map(({ ns, label }) => (
        <text key={ns} class="rss-time" x={x(ns)} y={HEIGHT - 6} text-anchor="middle">{label}</text>
      ))}
      {now >= from && now <= to && <path class="rss-now" d={`M${x(now)} 0V${bottom}`} />}
    </svg>
  );
}

/** A layer in steps: each sample holds until the next one, the last until the end. */
function area(time_ns: number[], below: number[], above: number[], x: (ns: number) => number, y: (value: number) => number, right: number): string {
  const end = (k: number) => (k + 1 < time_ns.length ? x(time_ns[k + 1]!) : right).toFixed(1);
  let up = '';
  let down = '';
  for (let k = 0; k < time_ns.length; k++) {
    up += `${k === 0 ? 'M' : 'L'}${x(time_ns[k]!).toFixed(1)} ${y(above[k]!).toFixed(1)}H${end(k)}`;
    down = `L${end(k)} ${y(below[k]!).toFixed(1)}H${x(time_ns[k]!).toFixed(1)}${down}`;
  }
  return up === '' ? '' : `${up}${down}Z`;
}
