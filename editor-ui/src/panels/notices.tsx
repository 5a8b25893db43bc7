/** Banners and short messages. */

import { useEffect, useState } from 'react';
import { canEdit, canOperate, set, useEditor } from '../commands/store';
import { Icon } from '../kit/icons';
import { live } from '../net/live';
import { reload } from './session';

export function Banner() {
  const online = useEditor((state) => state.online);
  const foreign = useEditor((state) => state.foreignRev);
  const reader = useEditor((state) =>
    canEdit(state) ? '' : canOperate(state) ? 'You can look and press buttons, but not change flows' : 'You can look, but change nothing',
  );
  const role = useEditor((state) => state.session?.user?.role ?? '');
  const [lost, setLost] = useState(false);
  useEffect(() => {
    // A short gap is not worth a word.
    const timer = window.setTimeout(() => setLost(!live.online), online ? 0 : 2500);
    return () => window.clearTimeout(timer);
  }, [online]);
  if (lost && !online)
    return (
      <div className="banner error" role="alert" data-testid="connection-lost">
        <Icon name="warn" size={14} /> Connection lost. Trying again… Your changes are kept on this page.
      </div>
    );
  if (foreign) {
    return (
      <div className="banner warn" role="alert">
        <Icon name="info" size={14} /> Somebody else deployed meanwhile.
        <button type="button" className="button small" onClick={() => set({ dialog: { kind: 'conflict', rev: foreign } })}>
          Review
        </button>
        <button type="button" className="button small" onClick={() => void reload()}>
          Drop my changes and take theirs
        </button>
      </div>
    );
  }
  if (reader)
    return (
      <div className="banner" data-testid="read-only">
        <Icon name="lock" size={14} /> {reader}: your role is {role}.
      </div>
    );
  return null;
}

export function Toasts() {
  const toasts = useEditor((state) => state.toasts);
  return (
    <div className="toasts" aria-live="polite">
      {toasts.map((toast) => (
        <div key={toast.id} className={`toast ${toast.tone}`}>
          <Icon name={toast.tone === 'ok' ? 'check' : toast.tone === 'error' ? 'warn' : 'info'} size={15} />
          <span>{toast.text}</span>
        </div>
      ))}
    </div>
  );
}
