// Flame: who asked for the memory, as a picture whose widths are bytes or blocks.

import { computed } from '@preact/signals';
import { useEffect, useMemo, useState } from 'preact/hooks';
import { useQuery } from '../../state/query.ts';
import { data, filter, metric, unit } from '../../state/state.ts';
import { nodeName } from '../../tree/shared.ts';
import { categories } from '../../ui/colour.ts';
import { theme } from '../../ui/theme.ts';
import { Order } from './boxes.ts';
import type { Looks } from './looks.ts';
import { moduleColours } from './modules.ts';
import { Legend } from './legend.tsx';
import { Nothing } from '../nothing.tsx';
import { alphabetical, colouring, turn } from './params.ts';
import { Sandwich } from './sandwich.tsx';
import { Single } from './single.tsx';
import { Tools } from './tools.tsx';
import { useFits, useFound, useLines, useMoments, useView, useWeighed } from './use.ts';
import './flame.css';

/** Functions that are the call site of something. */
const sites = computed(() => {
  const { site, frames, count } = data.value.stacks;
  const fns = new Set<number>();
  for (let stack = 1; stack < count; stack++) fns.add(frames.fn[site[stack]!]!);
  return fns;
});

export function Flame() {
  const weighed = useWeighed();
  const view = useView(weighed).value;
  const fits = useFits();
  const found = useFound(weighed, fits);
  const moments = useMoments();
  const signed = metric.value === 'diff';
  const colour = colouring.value === 'auto' || (colouring.value === 'change' && !signed) ? (signed ? 'change' : 'module') : colouring.value;
  const ranks = useQuery(() => (colour === 'site' ? categories(data.value, 'fn') : moduleColours(data.value)), [colour]);
  const lineOf = useLines(view?.shape, moments.value);
  const order = useOrder(view?.shape, weighed.value.value);
  const { error } = weighed.value;
  if (error !== '') return <p class="failure" role="alert">{error}</p>;
  if (!view) return <p class="quiet">Weighing backtraces …</p>;
  const looks: Looks = {
    view, stacks: data.value.stacks, theme: theme.value, colouring: colour, categories: ranks.value.value ?? new Map(),
    sites: sites.value, fits: fits.value,
  };
  const answer = weighed.value.value!;
  return (
    <div class="flame">
      <Tools view={view} looks={looks} order={order} weighed={answer} />
      {view.width.total(0) === 0 ? (
        <Nothing what="blocks" />
      ) : turn.value === 'sandwich' ? (
        <Sandwich selfs={answer.selfs} looks={looks} order={alphabetical.value} moments={moments.value} />
      ) : (
        <Single view={view} looks={looks} order={order} found={found.value} lineOf={lineOf} />
      )}
      {view.width.total(0) > 0 && <Legend looks={looks} />}
    </div>
  );
}

/** So long T has to rest until frames are put in order anew, milliseconds. */
const REST = 700;

/** An order that stays while T moves. */
function useOrder(shape: object | undefined, weighed: object | undefined): Order {
  const [rested, setRested] = useState(weighed);
  useEffect(() => {
    const timer = setTimeout(() => setRested(weighed), REST);
    return () => clearTimeout(timer);
  }, [weighed]);
  const { stacks } = data.value;
  return useMemo(
    () => new Order(alphabetical.value ? (view, node) => nodeName(view.shape, stacks, node) : null),
    [shape, rested, metric.value, unit.value, filter.value, alphabetical.value],
  );
}
