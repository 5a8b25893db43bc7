/** Deploy, with how much and what has changed. */

import { useState } from 'react';
import { invoke, keyOf, showKey } from '../commands/actions';
import { get, pending, reveal, set, useEditor } from '../commands/store';
import { Icon, iconFor } from '../kit/icons';
import { Popover } from '../kit/widgets';
import { changedKeys, diffCount, type Diff, type Kind } from '../model/diff';
import type { Doc } from '../model/document';
import { labelOf, typeLabel } from '../model/nodetypes';
import { humanise } from '../model/words';
import { deploy, reload } from './session';

export const KIND_WORDS: Record<Kind, string> = {
  added: 'Added',
  changed: 'Changed',
  rewired: 'Rewired',
  moved: 'Moved',
  removed: 'Removed',
};

export function DeployButton() {
  const [at, setAt] = useState<{ x: number; y: number } | null>(null);
  const doc = useEditor((state) => state.doc);
  const deployed = useEditor((state) => state.deployed);
  const deploying = useEditor((state) => state.deploying);
  const secrets = useEditor((state) => Object.keys(state.secrets).length);
  const count = diffCount(pending({ doc, deployed })) + secrets;
  const text = deploying ? 'Deploying…' : count ? `${count} ${count === 1 ? 'change' : 'changes'}` : 'All deployed';
  return (
    <span className={`deploy${count ? ' dirty' : ''}`}>
      <button
        type="button"
        className="deploy-state"
        data-testid="save-state"
        aria-live="polite"
        title="What has changed"
        onClick={(event) => {
          const box = event.currentTarget.getBoundingClientRect();
          setAt(at ? null : { x: box.left - 60, y: box.bottom + 8 });
        }}
      >
        {!count && !deploying && <Icon name="check" size={13} />}
        <span>{text}</span>
        <Icon name="chevron" size={12} />
      </button>
      <button
        type="button"
        className="button primary deploy-button"
        data-testid="deploy"
        disabled={deploying || count === 0}
        title={`Deploy (${showKey(keyOf('core:deploy-flows'))})`}
        onClick={() => {
          setAt(null);
          void deploy();
        }}
      >
        Deploy{count > 0 && <span className="deploy-count">{count}</span>}
      </button>
      {at && (
        <Popover x={at.x} y={at.y} onClose={() => setAt(null)} className="changes" label="Changes">
          <Changes close={() => setAt(null)} secrets={secrets} />
        </Popover>
      )}
    </span>
  );
}

function Changes({ close, secrets }: { close: () => void; secrets: number }) {
  const doc = useEditor((state) => state.doc);
  const deployed = useEditor((state) => state.deployed);
  const diff = pending({ doc, deployed });
  const count = diffCount(diff);
  return (
    <>
      <h3>{count || secrets ? 'Changes since the last deploy' : 'What you see is what runs'}</h3>
      <DiffList
        diff={diff}
        onPick={(id) => {
          close();
          reveal(id);
        }}
      />
      {secrets > 0 && (
        <p className="hint">
          New secrets for {secrets} {secrets === 1 ? 'node' : 'nodes'}.
        </p>
      )}
      <div className="changes-foot">
        <button
          type="button"
          className="button small"
          disabled={!count && !secrets}
          onClick={() => {
            close();
            set({ secrets: {} });
            void reload();
          }}
        >
          Discard all
        </button>
        <button
          type="button"
          className="button small"
          onClick={() => {
            close();
            invoke('core:show-version-control-tab');
          }}
        >
          History
        </button>
        <span className="spacer" />
        <button
          type="button"
          className="button small"
          title="Stops and starts every node"
          onClick={() => {
            close();
            void deploy('full');
          }}
        >
          Deploy and restart everything
        </button>
      </div>
    </>
  );
}

interface DiffProps {
  diff: Partial<Diff>;
  onPick?: (id: string) => void;
  /** What is compared; the draft with what runs, when nothing is said. */
  docs?: { before: Doc; after: Doc };
}

export function DiffList({ diff, onPick, docs }: DiffProps) {
  const { doc: draft, deployed: running, types } = get();
  const [doc, deployed] = docs ? [docs.after, docs.before] : [draft, running];
  const kinds = (Object.keys(KIND_WORDS) as Kind[]).filter((kind) => diff[kind]?.length);
  return (
    <div className="diff-list">
      {kinds.map((kind) => (
        <section key={kind}>
          <h4>
            <span className={`diff-kind ${kind}`} />
            {KIND_WORDS[kind]} <span className="dim">{diff[kind]?.length}</span>
          </h4>
          {diff[kind]?.slice(0, 60).map((id) => {
            const node = doc.nodes.get(id) ?? deployed.nodes.get(id);
            const old = deployed.nodes.get(id);
            const now = doc.nodes.get(id);
            const keys = kind === 'changed' && old && now ? changedKeys(old, now).map(humanise).join(', ') : '';
            return (
              <button type="button" key={id} className="diff-row" disabled={!onPick || !draft.nodes.has(id)} onClick={() => onPick?.(id)}>
                <Icon name={iconFor(node?.type ?? '', types.get(node?.type ?? '')?.icon)} size={13} />
                <span className="diff-name">{node ? labelOf(doc, types, node) : id}</span>
                <span className="dim">{keys || (node ? typeLabel(doc, types, node) : '')}</span>
              </button>
            );
          })}
        </section>
      ))}
    </div>
  );
}
