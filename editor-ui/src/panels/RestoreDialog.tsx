/** Asks before an earlier deploy is brought back: what would change against what runs now. */

import { useEffect, useState } from 'react';
import { pending, toast, useEditor } from '../commands/store';
import { Icon } from '../kit/icons';
import { Modal } from '../kit/widgets';
import { diffCount, diffDocs } from '../model/diff';
import { docFrom, type Doc } from '../model/document';
import type { Deploy } from '../model/records';
import { ApiError, api } from '../net/api';
import { DiffList } from './DeployButton';
import { moment } from './live-hooks';
import { restore, words } from './session';

interface Now {
  doc: Doc;
  rev: string;
}

export function RestoreDialog({ position, onClose }: { position: number; onClose: () => void }) {
  const [deploy, setDeploy] = useState<Deploy | null>(null);
  const [now, setNow] = useState<Now | null>(null);
  const [clash, setClash] = useState(false);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState('');
  const draft = useEditor((state) => diffCount(pending(state)));
  useEffect(() => {
    Promise.all([api.deployAt(position), api.flows()]).then(
      ([found, flows]) => {
        setDeploy(found);
        setNow({ doc: docFrom(flows.flows), rev: flows.rev });
      },
      (problem: unknown) => setError(words(problem)),
    );
  }, [position]);
  const target = deploy ? docFrom(deploy.flows ?? []) : undefined;
  const diff = target && now ? diffDocs(now.doc, target) : undefined;
  const same = diff !== undefined && diffCount(diff) === 0;
  const go = async (): Promise<void> => {
    if (!deploy || !now) return;
    setBusy(true);
    try {
      await restore(position, now.rev);
      toast(`Deploy no. ${deploy.number} runs again.`, 'ok');
      onClose();
    } catch (problem) {
      if (problem instanceof ApiError && problem.status === 409) {
        const flows = await api.flows();
        setNow({ doc: docFrom(flows.flows), rev: flows.rev });
        setClash(true);
      } else setError(words(problem));
    } finally {
      setBusy(false);
    }
  };
  return (
    <Modal
      title={deploy ? `Bring back deploy no. ${deploy.number}?` : 'Bring back an earlier deploy?'}
      onClose={onClose}
      testId="restore-dialog"
      footer={
        <>
          <button type="button" className="button" data-autofocus="" onClick={onClose}>
            Cancel
          </button>
          <button
            type="button"
            className="button primary"
            data-testid="restore-confirm"
            disabled={busy || !diff || same}
            onClick={() => void go().catch((problem: unknown) => setError(words(problem)))}
          >
            <Icon name="history" size={13} /> {busy ? 'Restoring…' : clash ? 'Restore all the same' : 'Restore'}
          </button>
        </>
      }
    >
      {deploy && (
        <p className="restore-lead">
          By {deploy.author || 'unknown'}, {moment(deploy.time)}. It becomes a new deploy: those in between stay in the history, and nodes
          that do not change go on undisturbed.
        </p>
      )}
      {clash && (
        <p className="finding warning box" role="alert">
          <Icon name="warn" size={13} /> Somebody else deployed meanwhile. Nothing was changed yet; below is what restoring would change
          now, their changes included.
        </p>
      )}
      {draft > 0 && (
        <p className="finding warning box" role="alert">
          <Icon name="warn" size={13} /> Your {draft} {draft === 1 ? 'change that is' : 'changes that are'} not deployed would be dropped.
        </p>
      )}
      {error && (
        <p className="finding error box" role="alert">
          <Icon name="warn" size={13} /> {error}
        </p>
      )}
      {!diff && !error && <p className="hint">Loading…</p>}
      {same && <p className="hint">That is exactly what runs now.</p>}
      {diff && now && target && !same && (
        <>
          <h3 className="restore-title">Against what runs now</h3>
          <DiffList diff={diff} docs={{ before: now.doc, after: target }} />
        </>
      )}
    </Modal>
  );
}
