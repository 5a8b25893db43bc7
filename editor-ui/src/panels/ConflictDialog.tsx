/** Somebody else deployed in between: see both sides, then merge, overwrite or take theirs. */

import { useEffect, useState } from 'react';
import { get, pending, toast } from '../commands/store';
import { Modal } from '../kit/widgets';
import { diffDocs, merge, type Diff } from '../model/diff';
import { docFrom, type Doc } from '../model/document';
import { labelOf } from '../model/nodetypes';
import { api } from '../net/api';
import { DiffList } from './DeployButton';
import { mergeTheirs, overwrite, reload, words } from './session';

export function ConflictDialog({ onClose }: { onClose: () => void }) {
  const [theirs, setTheirs] = useState<{ doc: Doc; diff: Diff } | null>(null);
  const [busy, setBusy] = useState(false);
  const { deployed, doc, types } = get();
  useEffect(() => {
    api.flows().then(
      (answer) => {
        const now = docFrom(answer.flows);
        setTheirs({ doc: now, diff: diffDocs(get().deployed, now) });
      },
      (error: unknown) => toast(words(error), 'error'),
    );
  }, []);
  const clashes = theirs ? merge(deployed, doc, theirs.doc).conflicts : [];
  const work = (job: () => Promise<unknown>): void => {
    setBusy(true);
    job()
      .catch((error: unknown) => toast(words(error), 'error'))
      .finally(() => setBusy(false));
  };
  return (
    <Modal
      title="Somebody else deployed meanwhile"
      onClose={onClose}
      wide
      testId="conflict-dialog"
      footer={
        <>
          <button type="button" className="button danger" disabled={busy} onClick={() => work(overwrite)} data-testid="conflict-overwrite">
            Overwrite theirs
          </button>
          <span className="spacer" />
          <button type="button" className="button" disabled={busy} onClick={() => work(reload)} data-testid="conflict-theirs">
            Take theirs, drop mine
          </button>
          <button
            type="button"
            className="button primary"
            disabled={busy || !theirs}
            data-testid="conflict-merge"
            onClick={() =>
              work(async () => {
                const count = await mergeTheirs();
                toast(
                  count
                    ? `Merged. Where both changed a node (${count}), your version stays: look, then deploy.`
                    : 'Merged. Look, then deploy.',
                  'ok',
                );
              })
            }
          >
            Merge
          </button>
        </>
      }
    >
      <div className="two-sides">
        <section>
          <h3>Your changes</h3>
          <DiffList diff={pending(get())} />
        </section>
        <section>
          <h3>Their changes</h3>
          {theirs ? <DiffList diff={theirs.diff} /> : <p className="hint">Loading…</p>}
        </section>
      </div>
      {clashes.length > 0 && (
        <p className="finding warning box">
          Both sides changed:{' '}
          {clashes.map((id) => labelOf(doc, types, doc.nodes.get(id) ?? theirs?.doc.nodes.get(id) ?? { id, type: id })).join(', ')}. Merge
          keeps your version of {clashes.length === 1 ? 'it' : 'them'}.
        </p>
      )}
      <p className="hint">
        Merge puts your changes on top of theirs. Overwrite makes the flow exactly what you see. Nothing runs before you deploy again,
        except with Overwrite.
      </p>
    </Modal>
  );
}
