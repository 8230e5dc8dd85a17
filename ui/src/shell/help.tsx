// The help: all keys, as the table of keys has them, and what hands do on the strip.

import { useLayoutEffect, useRef } from 'preact/hooks';
import { helpOpen, keysNow, type Key } from '../state/keys.ts';
import { sentence, toldMetrics } from '../state/metrics.ts';
import { data, measure, source, t } from '../state/state.ts';
import { Button } from '../ui/button.tsx';
import './help.css';

const SPOKEN: Record<string, string> = { ArrowLeft: '←', ArrowRight: '→', ArrowUp: '↑', ArrowDown: '↓', Escape: 'Esc', ' ': 'Space' };

/** `Shift+←`. */
function spoken(key: string): string {
  const parts = key === '+' ? ['+'] : key.split('+');
  return parts.map((part) => SPOKEN[part] ?? part).join('+');
}

export function Help() {
  const dialog = useRef<HTMLDialogElement>(null);
  const open = helpOpen.value;
  useLayoutEffect(() => {
    if (open && !dialog.current!.open) dialog.current!.showModal();
    if (!open) dialog.current!.close();
  }, [open]);
  const close = () => (helpOpen.value = false);
  const groups = new Map<string, Key[]>();
  for (const key of keysNow()) groups.set(key.group, [...(groups.get(key.group) ?? []), key]);
  return (
    <dialog ref={dialog} class="help" aria-labelledby="help-title" onCancel={close} onClose={close} onClick={(event) => event.target === dialog.current && close()}>
      <header>
        <h2 id="help-title">Keys and gestures</h2>
        <Button icon="close" label="Close" keys="Esc" onClick={close} />
      </header>
      {open && (
        <div class="help-columns">
          {[...groups].map(([group, keys]) => (
            <section key={group}>
              <h3>{group}</h3>
              <dl>
                {keys.map((key) => (
                  <div key={key.does}>
                    <dt>
                      {key.keys.map((it) => (
                        <kbd key={it}>{spoken(it)}</kbd>
                      ))}
                    </dt>
                    <dd>{key.does}</dd>
                  </div>
                ))}
              </dl>
            </section>
          ))}
          <section>
            <h3>On the strip</h3>
            <dl>
              {GESTURES.map(([hand, does]) => (
                <div key={hand}>
                  <dt>{hand}</dt>
                  <dd>{does}</dd>
                </div>
              ))}
            </dl>
          </section>
          <section class="help-metrics">
            <h3>The metrics, of what is shown now</h3>
            <dl>
              {toldMetrics(source.value.overview).map((it) => (
                <div key={it.id}>
                  <dt>{it.name}</dt>
                  <dd>{sentence({ ...measure.value, metric: it.id, t: t.value }, 'bytes', data.value.info.peak.position, data.value.times, false)}.</dd>
                </div>
              ))}
            </dl>
          </section>
        </div>
      )}
    </dialog>
  );
}

const GESTURES: [string, string][] = [
  ['click', 'sets T'],
  ['drag', 'sets the range'],
  ['drag T’s line or the times', 'moves T'],
  ['drag inside the range', 'moves it'],
  ['drag an end of it', 'resizes it'],
  ['wheel', 'zooms at the pointer'],
  ['Shift+wheel', 'pans'],
  ['double click', 'shows and measures the whole run'],
];
