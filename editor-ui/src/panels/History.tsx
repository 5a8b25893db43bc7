/** Every deploy with who did it and what it changed; any of them can be brought back. */

import { useCallback, useEffect, useState } from 'react';
import { canEdit, reveal, set, useEditor } from '../commands/store';
import { Icon } from '../kit/icons';
import { Empty } from '../kit/widgets';
import { diffDocs } from '../model/diff';
import { docFrom, emptyDoc, type Doc } from '../model/document';
import { changeWords, kindWords, type Deploy } from '../model/records';
import { api } from '../net/api';
import { DiffList } from './DeployButton';
import { moment } from './live-hooks';
import { words } from './session';

export function History() {
  const rev = useEditor((state) => state.rev);
  const [items, setItems] = useState<Deploy[] | null>(null);
  const [next, setNext] = useState<string | null>(null);
  const [error, setError] = useState('');
  const fail = useCallback((problem: unknown) => setError(words(problem)), []);
  useEffect(() => {
    // Each deploy gives a new revision, and with it a new first line.
    api.deploys().then((answer) => {
      setItems(answer.items);
      setNext(answer.next);
      setError('');
    }, fail);
  }, [rev, fail]);
  const more = (): void => {
    if (next)
      api.deploys(next).then((answer) => {
        setItems([...(items ?? []), ...answer.items]);
        setNext(answer.next);
      }, fail);
  };
  return (
    <div className="debug" data-testid="history">
      <div className="debug-list">
        {error && <p className="finding error pad">{error}</p>}
        {items?.map((deploy, at) => (
          <Row key={deploy.position} deploy={deploy} earlier={items.slice(at + 1)} runs={at === 0} />
        ))}
        {items?.length === 0 && <Empty title="No deploy yet">Each deploy is kept here, with who did it and what it changed.</Empty>}
        {next && (
          <button type="button" className="button small more" onClick={more}>
            Show earlier ones
          </button>
        )}
      </div>
    </div>
  );
}

function Row({ deploy, earlier, runs }: { deploy: Deploy; earlier: readonly Deploy[]; runs: boolean }) {
  const [open, setOpen] = useState(false);
  const edits = useEditor((state) => canEdit(state));
  const kind = kindWords(deploy, earlier);
  return (
    <div className={`event-row${open ? ' open' : ''}`} data-testid="deploy-row">
      <div className="history-line">
        <button type="button" className="history-main" aria-expanded={open} onClick={() => setOpen(!open)}>
          <Icon name={open ? 'chevron' : 'right'} size={11} />
          <span className="event-position">no. {deploy.number}</span>
          <span className="message-time">{moment(deploy.time)}</span>
          <span className="history-author">{deploy.author || 'unknown'}</span>
          <span className="history-words">
            {changeWords(deploy.changes)}
            {kind && <span className="dim"> · {kind}</span>}
          </span>
        </button>
        {runs ? (
          <span className="history-now">
            <Icon name="check" size={12} /> runs now
          </span>
        ) : (
          edits && (
            <button
              type="button"
              className="button small"
              data-testid="restore"
              aria-label={`Restore deploy no. ${deploy.number}`}
              onClick={() => set({ dialog: { kind: 'restore', position: deploy.position } })}
            >
              <Icon name="history" size={12} /> Restore…
            </button>
          )
        )}
      </div>
      {open && <Detail deploy={deploy} before={earlier[0]} />}
    </div>
  );
}

/** What one deploy changed, node by node. */
function Detail({ deploy, before }: { deploy: Deploy; before: Deploy | undefined }) {
  const [docs, setDocs] = useState<{ before: Doc; after: Doc } | null>(null);
  const [error, setError] = useState('');
  const old = before?.position;
  useEffect(() => {
    let gone = false;
    const flows = async (position: number | undefined): Promise<Doc> =>
      position === undefined ? emptyDoc : docFrom((await api.deployAt(position)).flows ?? []);
    Promise.all([flows(deploy.position), flows(old)]).then(
      ([after, earlier]) => !gone && setDocs({ before: earlier, after }),
      (problem: unknown) => !gone && setError(words(problem)),
    );
    return () => {
      gone = true;
    };
  }, [deploy.position, old]);
  if (error) return <p className="finding error pad">{error}</p>;
  if (!docs) return <p className="hint pad">Loading…</p>;
  return (
    <div className="history-detail">
      <DiffList diff={diffDocs(docs.before, docs.after)} docs={docs} onPick={reveal} />
    </div>
  );
}
