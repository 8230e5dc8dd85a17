// A button that is an icon: its name and its key are in the tooltip.

import { Icon, type IconName } from './icons.tsx';
import './button.css';

interface Props {
  icon: IconName;
  label: string;
  /** The key that does the same. */
  keys?: string;
  onClick: () => void;
  pressed?: boolean;
  disabled?: boolean;
  /** Why it is disabled. */
  why?: string;
  testid?: string;
}

export function Button({ icon, label, keys, onClick, pressed, disabled = false, why, testid }: Props) {
  const title = disabled && why ? `${label}. ${why}` : keys ? `${label} (${keys})` : label;
  return (
    <button class="icon-button" type="button" aria-label={label} title={title} aria-pressed={pressed} disabled={disabled} onClick={onClick} data-testid={testid}>
      <Icon name={icon} />
    </button>
  );
}
