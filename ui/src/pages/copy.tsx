// A control that copies text; where the browser does not let it, the text is shown, selected.

import { useState } from 'preact/hooks';
import { copy } from '../state/actions.ts';
import { Icon } from '../ui/icons.tsx';

interface Props {
  text: () => string;
  label: string;
  testid?: string;
}

export function CopyText({ text, label, testid }: Props) {
  const [copied, setCopied] = useState(false);
  const [shown, setShown] = useState('');
  const take = async () => {
    // A page from a file may not be let near the clipboard.
    if (!(await copy(text()))) return setShown(text());
    setCopied(true);
    setTimeout(() => setCopied(false), 2000);
  };
  return (
    <>
      <button class="action" data-testid={testid} onClick={take}>
        <Icon name={copied ? 'check' : 'copy'} /> <span aria-live="polite">{copied ? 'Copied' : label}</span>
      </button>
      {shown !== '' && (
        <textarea class="copy-text" readOnly rows={12} aria-label="Text to copy" ref={(element) => element?.select()}>
          {shown}
        </textarea>
      )}
    </>
  );
}
