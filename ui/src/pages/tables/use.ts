// What the tables ask for: one query a metric, made again only when what that metric depends on changes.

import type { Measure, Metric, ProcessData, Unit } from '../../data/types.ts';
import { type Answer, useQuery } from '../../state/query.ts';
import { a, b, data, filter, t } from '../../state/state.ts';
import { treesOf, weighThreads } from '../../tree/weights.ts';
import { METRICS } from '../../state/metrics.ts';

/** Values of stacks, of threads or of size classes, and which. */
export interface Values {
  of: ProcessData;
  kind: 'stacks' | 'threads' | 'sizes';
  bytes: Float64Array;
  blocks: Float64Array;
  total: Record<Unit, number>;
}

/** Only what the metric depends on is read, so that no other change asks again. */
function measureOf(metric: Metric): Measure {
  const live = metric === 'live';
  return { metric, t: live ? t.value : 0, a: live ? 0 : a.value, b: live ? 0 : b.value, q: filter.value };
}

async function ask(of: ProcessData, kind: Values['kind'], measure: Measure, signal: AbortSignal): Promise<Values> {
  if (kind === 'stacks') {
    const { bytes, blocks, total } = await of.weigh(measure, signal);
    return { of, kind, bytes, blocks, total };
  }
  if (kind === 'sizes') {
    const { sizes } = await of.histograms(measure, signal);
    const pick = (unit: Unit) => Float64Array.from(sizes, (it) => it[unit]);
    return summed(of, kind, pick('bytes'), pick('blocks'));
  }
  const selfs = await weighThreads(of, measure, signal);
  const trees = treesOf(of);
  const each = selfs.bytes.length / trees;
  const sum = (values: Float64Array) =>
    Float64Array.from({ length: trees }, (_, k) => values.subarray(k * each, (k + 1) * each).reduce((all, it) => all + it, 0));
  return summed(of, kind, sum(selfs.bytes), sum(selfs.blocks));
}

function summed(of: ProcessData, kind: Values['kind'], bytes: Float64Array, blocks: Float64Array): Values {
  const sum = (values: Float64Array) => values.reduce((all, it) => all + it, 0);
  return { of, kind, bytes, blocks, total: { bytes: sum(bytes), blocks: sum(blocks) } };
}

/** The answers to the metrics that are needed; those of another kind or process are not there. */
export function useMetrics(kind: Values['kind'], needed: ReadonlySet<Metric>): { known: Map<Metric, Values>; error: string } {
  const known = new Map<Metric, Values>();
  let error = '';
  for (const { id } of METRICS) {
    const wanted = needed.has(id);
    // The list of metrics never changes, so neither does the order of these.
    const answer: Answer<Values> = useQuery((signal) => (wanted ? ask(data.value, kind, measureOf(id), signal) : null), [kind, wanted]).value;
    if (!wanted) continue;
    error ||= answer.error;
    if (answer.value?.kind === kind && answer.value.of === data.value) known.set(id, answer.value);
  }
  return { known, error };
}
