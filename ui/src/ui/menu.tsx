// A menu at a place: of a right click, or of a button. Arrow keys, Escape, and a click elsewhere close it.

import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import './menu.css';

export interface Item {
  /** Where labels are not all different. */
  id?: string;
  label: string;
  /** Shown beside the label: it works on the thing itself as well. */
  keys?: string;
  run: () => void;
  /** Why it does nothing here. */
  disabled?: string | undefined;
}

interface Props {
  x: number;
  y: number;
  label: string;
  /** Whether the label is shown. */
  titled?: boolean;
  items: (Item | null)[];
  onClose: () => void;
}

/** `null` in the items draws a line. */
export function Menu({ x, y, label, titled = false, items, onClose }: Props) {
  const menu = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const element = menu.current!;
    const { width, height } = element.getBoundingClientRect();
    element.style.left = `${Math.max(4, Math.min(x, innerWidth - width - 8))}px`;
    element.style.top = `${Math.max(4, Math.min(y, innerHeight - height - 8))}px`;
    const before = document.activeElement as HTMLElement | null;
    element.querySelector('button')?.focus();
    return () => before?.focus?.({ preventScroll: true });
  }, []);
  useEffect(() => {
    const outside = (event: Event) => menu.current?.contains(event.target as Node) || onClose();
    addEventListener('pointerdown', outside, true);
    return () => removeEventListener('pointerdown', outside, true);
  }, [onClose]);
  const onKeyDown = (event: KeyboardEvent) => {
    const buttons = [...menu.current!.querySelectorAll('button')];
    const at = buttons.indexOf(document.activeElement as HTMLButtonElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }[event.key];
    if (to !== undefined) buttons.at(to % buttons.length)?.focus();
    else if (event.key === 'Escape' || event.key === 'Tab') onClose();
    else if (event.key !== 'Enter' && event.key !== ' ') return;
    if (event.key !== 'Enter' && event.key !== ' ') event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div class="menu" role="menu" aria-label={label} ref={menu} onKeyDown={onKeyDown} data-testid="menu">
      {titled && <div class="menu-title" role="presentation">{label}</div>}
      {items.map((item, index) =>
        item === null ? (
          <div key={index} class="menu-line" role="separator" />
        ) : (
          <button
            key={item.id ?? item.label}
            role="menuitem"
            aria-disabled={item.disabled !== undefined}
            title={item.disabled}
            onClick={() => {
              if (item.disabled !== undefined) return;
              onClose();
              item.run();
            }}
          >
            <span>{item.label}</span>
            {item.keys && <kbd>{item.keys}</kbd>}
          </button>
        ),
      )}
    </div>
  );
}
