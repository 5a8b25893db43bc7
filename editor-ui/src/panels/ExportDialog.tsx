/** Export of a selection, a flow or everything: to the clipboard or a file, just as the nodes are. */

import { useMemo, useState } from 'react';
import { exportNodes } from '../commands/edits';
import { get, toast } from '../commands/store';
import { Icon } from '../kit/icons';
import { Modal, copyText } from '../kit/widgets';
import { exportText } from '../model/transfer';

type Scope = 'selection' | 'flow' | 'all';

const PREVIEW = 20_000;

export function ExportDialog({ onClose }: { onClose: () => void }) {
  const some = get().selection.size > 0;
  const [scope, setScope] = useState<Scope>(some ? 'selection' : 'flow');
  const [formatted, setFormatted] = useState(true);
  const nodes = useMemo(() => exportNodes(scope), [scope]);
  const text = useMemo(() => exportText(nodes, formatted), [nodes, formatted]);
  const download = (): void => {
    const link = document.createElement('a');
    link.href = URL.createObjectURL(new Blob([text], { type: 'application/json' }));
    link.download = scope === 'all' ? 'flows.json' : `${scope}.json`;
    link.click();
    URL.revokeObjectURL(link.href);
  };
  const copy = async (): Promise<void> => {
    if (await copyText(text)) toast(`${nodes.length} ${nodes.length === 1 ? 'node' : 'nodes'} copied as JSON`, 'ok');
    else toast('The browser refused the clipboard: use Download.', 'error');
  };
  const choice = (id: Scope, label: string, off = false) => (
    <button type="button" aria-pressed={scope === id} disabled={off} onClick={() => setScope(id)}>
      {label}
    </button>
  );
  return (
    <Modal
      title="Export"
      onClose={onClose}
      testId="export-dialog"
      footer={
        <>
          <button type="button" className="button" onClick={download} data-testid="export-download">
            <Icon name="export" size={13} /> Download
          </button>
          <button type="button" className="button primary" onClick={() => void copy()}>
            <Icon name="copy" size={13} /> Copy to clipboard
          </button>
        </>
      }
    >
      <div className="export-bar">
        <div className="segmented">
          {choice('selection', 'Selection', !some)}
          {choice('flow', 'This flow')}
          {choice('all', 'All flows')}
        </div>
        <span className="spacer" />
        <div className="segmented">
          <button type="button" aria-pressed={!formatted} onClick={() => setFormatted(false)}>
            Compact
          </button>
          <button type="button" aria-pressed={formatted} onClick={() => setFormatted(true)}>
            Formatted
          </button>
        </div>
      </div>
      <textarea
        className="input area mono export-text"
        readOnly
        aria-label="Exported JSON"
        value={text.length > PREVIEW ? `${text.slice(0, PREVIEW)}\n… ${text.length - PREVIEW} more characters` : text}
      />
      <p className="hint">
        {nodes.length} {nodes.length === 1 ? 'node' : 'nodes'}, {(new Blob([text]).size / 1024).toFixed(1)} kB. Secrets are never part of an
        export.
      </p>
    </Modal>
  );
}
