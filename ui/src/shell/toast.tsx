// Says what was done, briefly: `Link copied`.

import { useEffect } from 'preact/hooks';
import { said } from '../state/actions.ts';
import './toast.css';

const SHOWN_MS = 4000;

export function Toast() {
  const text = said.value;
  useEffect(() => {
    if (text === '') return;
    const over = setTimeout(() => (said.value = ''), SHOWN_MS);
    return () => clearTimeout(over);
  }, [text]);
  return (
    <p class="toast" role="status" data-testid="toast">
      {text}
    </p>
  );
}
