// One of a few: buttons side by side, of which one is pressed; where there is little room, a list.

import './choice.css';

interface Props<T extends string> {
  label: string;
  options: readonly { id: T; name: string; hint?: string; disabled?: boolean }[];
  value: T;
  onChange: (id: T) => void;
  /** As a list. */
  short?: boolean;
  /** Of all; with `-id`, of one. */
  testid?: string;
}

export function Choice<T extends string>({ label, options, value, onChange, short = false, testid }: Props<T>) {
  if (short)
    return (
      <select aria-label={label} value={value} data-testid={testid} onChange={(event) => onChange(event.currentTarget.value as T)}>
        {options.map(({ id, name, disabled }) => (
          <option key={id} value={id} disabled={disabled}>
            {name}
          </option>
        ))}
      </select>
    );
  return (
    <div class="segments" role="group" aria-label={label} data-testid={testid}>
      {options.map(({ id, name, hint, disabled }) => (
        <button
          key={id}
          type="button"
          aria-pressed={id === value}
          title={hint}
          disabled={disabled}
          onClick={() => onChange(id)}
          data-value={id}
          data-testid={testid && `${testid}-${id}`}
        >
          {name}
        </button>
      ))}
    </div>
  );
}
