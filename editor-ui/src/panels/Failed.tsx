/** Messages that nodes failed on and nobody caught: look at them, and send them again once the flow is mended. */

import { useEffect, useState, useSyncExternalStore } from 'react';
import { canOperate, reveal, toast, useEditor } from '../commands/store';
import { Icon, iconFor } from '../kit/icons';
import { Empty, Tree } from '../kit/widgets';
import { gist } from '../model/debugvalue';
import { standFor } from '../model/document';
import { labelOf, roleOf } from '../model/nodetypes';
import { byNode, type DeadLetter, type LetterGroup } from '../model/records';
import { api } from '../net/api';
import { letters } from '../net/letters';
import { moment } from './live-hooks';
import { words } from './session';

export function Failed() {
  const items = useSyncExternalStore(letters.on, () => letters.items);
  const error = useSyncExternalStore(letters.on, () => letters.error);
  const loaded = useSyncExternalStore(letters.on, () => letters.loaded);
  const next = useSyncExternalStore(letters.on, () => letters.next);
  const operates = useEditor((state) => canOperate(state));
  useEffect(() => {
    if (operates) void letters.refresh();
  }, [operates]);
  // Who sees the list has seen what is new.
  useEffect(() => letters.look(), [items]);
  if (!operates) return <Empty title="Not for your role">Messages may hold private data: only operators and editors see them.</Empty>;
  return (
    <div className="debug" data-testid="failed">
      <div className="debug-list">
        {error && <p className="finding error pad">{error}</p>}
        {byNode(items).map((group) => (
          <Group key={group.node.id} group={group} />
        ))}
        {loaded && !items.length && !error && (
          <Empty title="No failed messages">
            When a node cannot work with a message, and no catch node takes it, the message is kept here with the reason. Mend the flow,
            then send it again.
          </Empty>
        )}
        {next && (
          <button
            type="button"
            className="button small more"
            onClick={() => void letters.more().catch((problem: unknown) => toast(words(problem), 'error'))}
          >
            Show earlier ones
          </button>
        )}
      </div>
    </div>
  );
}

const SHOWN = 5;

function Group({ group }: { group: LetterGroup }) {
  const doc = useEditor((state) => state.doc);
  const types = useEditor((state) => state.types);
  const [all, setAll] = useState(false);
  const { busy, send } = useSending();
  const node = standFor(doc, group.node.id);
  const name = node ? labelOf(doc, types, node) : group.node.name || group.node.type;
  const retryAll = (): Promise<void> =>
    send(async () => {
      const { retried, not_kept: lost, more } = await api.retryAll(group.node.id);
      const rest = lost ? ` ${lost} were too large to be kept.` : '';
      toast(`${retried} sent again to ${name}.${rest}${more ? ' There are more: press again.' : ''}`, retried ? 'ok' : 'info');
    });
  return (
    <section className={`letter-group role-${node ? roleOf(types, node) : 'system'}`} data-testid="letter-group">
      <div className="letter-head">
        <span className="card-chip">
          <Icon name={iconFor(group.node.type, types.get(group.node.type)?.icon)} size={14} />
        </span>
        {node ? (
          <button type="button" className="debug-name strong" title="Show the node" onClick={() => reveal(node.id)}>
            {name}
          </button>
        ) : (
          <span className="letter-gone">
            {name} <span className="dim">not in the flows any more</span>
          </span>
        )}
        <span className="dim letter-count">
          {group.letters.length} failed{group.suppressed ? `, and ${group.suppressed} more that were only counted` : ''}
        </span>
        <span className="spacer" />
        {group.open > 0 && node && (
          <button type="button" className="button small" disabled={busy} onClick={() => void retryAll()} data-testid="retry-all">
            <Icon name="again" size={12} /> {busy ? 'Sending…' : 'Send all again'}
          </button>
        )}
      </div>
      {(all ? group.letters : group.letters.slice(0, SHOWN)).map((letter) => (
        <Letter key={letter.id} letter={letter} there={node !== undefined} />
      ))}
      {group.letters.length > SHOWN && (
        <button type="button" className="link letter-more" aria-expanded={all} onClick={() => setAll(!all)}>
          {all ? 'Show fewer' : `Show all ${group.letters.length}`}
        </button>
      )}
    </section>
  );
}

/** Runs a request to send letters again: says what goes wrong, and looks anew afterwards. */
function useSending(): { busy: boolean; send: (request: () => Promise<void>) => Promise<void> } {
  const [busy, setBusy] = useState(false);
  const send = async (request: () => Promise<void>): Promise<void> => {
    setBusy(true);
    try {
      await request();
    } catch (problem) {
      toast(words(problem), 'error');
    } finally {
      setBusy(false);
      await letters.refresh();
    }
  };
  return { busy, send };
}

function Letter({ letter, there }: { letter: DeadLetter; there: boolean }) {
  const [open, setOpen] = useState(false);
  const { busy, send } = useSending();
  const payload = 'payload' in letter.message ? letter.message.payload : letter.message;
  const topic = typeof letter.message.topic === 'string' ? letter.message.topic : '';
  const retry = (): Promise<void> =>
    send(async () => {
      await api.retry(letter.id, Boolean(letter.retried));
      toast('Sent again.', 'ok');
    });
  return (
    <div className={`event-row letter${letter.retried ? ' done' : ''}`} data-testid="letter">
      <div className="history-line">
        <button type="button" className="letter-main" aria-expanded={open} onClick={() => setOpen(!open)}>
          <Icon name={open ? 'chevron' : 'right'} size={11} />
          <span className="message-time">{moment(letter.time)}</span>
          <span className="letter-error">{letter.reason === 'removed' ? 'The node was removed before it got to it' : letter.error}</span>
          <span className="letter-value">
            {topic && <span className="dim">{topic} </span>}
            {gist(payload, 90)}
          </span>
        </button>
        {letter.retried ? (
          <span className="history-now" title={moment(letter.retried)}>
            <Icon name="check" size={12} /> sent again
          </span>
        ) : null}
        {there && letter.kept && (
          <button
            type="button"
            className="button small"
            disabled={busy}
            aria-label={`Send the message of ${moment(letter.time)} ${letter.retried ? 'once more' : 'again'}`}
            onClick={() => void retry()}
            data-testid="retry"
          >
            <Icon name="again" size={12} /> {letter.retried ? 'Once more' : 'Send again'}
          </button>
        )}
        {!letter.kept && <span className="dim">too large to keep</span>}
      </div>
      {open && (
        <div className="event-detail">
          <p className="finding error">
            <Icon name="warn" size={12} /> {letter.error}
          </p>
          <Tree value={letter.message} path="msg" open />
          {letter.cut ? <p className="hint">Only the beginning of {letter.cut} bytes is shown.</p> : null}
        </div>
      )}
    </div>
  );
}
