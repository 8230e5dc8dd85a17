// One of a few: buttons side by side, of which one is pressed.

interface Props<T extends string> {
  label: string;
  options: readonly { id: T; name: string; hint?: string; disabled?: boolean }[];
  value: T;
  onChange: (id: T) => void;
  testid?: string;
}

export function Choice<T extends string>({ label, options, value, onChange, testid }: Props<T>) {
  return (
    <div class="segments" role="group" aria-label={label} data-testid={testid}>
      {options.map(({ id, name, hint, disabled }) => (
        <button key={id} aria-pressed={id === value} title={hint} disabled={disabled} onClick={() => onChange(id)} data-value={id}>
          {name}
        </button>
      ))}
    </div>
  );
}
