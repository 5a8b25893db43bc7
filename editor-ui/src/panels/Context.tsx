/** Context values around a node: its own, those of its flow, and those of all; by store. */

import { useEffect, useState } from 'react';
import { canOperate, toast, useEditor } from '../commands/store';
import { Icon } from '../kit/icons';
import { IconButton, Tree } from '../kit/widgets';
import { contextRows, type ContextRow, type ContextScope } from '../model/context';
import { isFlow } from '../model/document';
import type { FlowNode } from '../model/types';
import { api } from '../net/api';
import { words } from './session';

interface Place {
  scope: ContextScope;
  id: string;
  title: string;
  /** What would stand here. */
  empty: string;
}

/** Whose values matter to somebody who looks at this node. */
function places(node: FlowNode, inSubflow: boolean): Place[] {
  const all: Place = { scope: 'global', id: '', title: 'Global', empty: 'Values that nodes of all flows share.' };
  const flow = (id: string, title: string): Place => ({ scope: 'flow', id, title, empty: 'Values that nodes of one flow share.' });
  if (isFlow(node)) return [flow(node.id, 'This flow'), all];
  // What runs inside of a subflow has the context of its instance, not of the definition.
  const around = node.z && !inSubflow ? [flow(node.z, 'Flow')] : [];
  if (node.type === 'group') return [...around, all];
  const own: Place = { scope: 'node', id: node.id, title: 'Node', empty: 'Values that this node keeps for itself.' };
  const inner = node.type.startsWith('subflow:') ? [flow(node.id, 'Inside of this subflow')] : [];
  return [own, ...inner, ...around, all];
}

export function Context({ node }: { node: FlowNode }) {
  const inSubflow = useEditor((state) => state.doc.nodes.get(node.z ?? '')?.type === 'subflow');
  const [round, setRound] = useState(0);
  return (
    <div className="context" data-testid="context">
      <div className="context-bar">
        <span className="dim">As it was when read. Nodes may change it at any time.</span>
        <button type="button" className="button small" onClick={() => setRound(round + 1)} data-testid="context-refresh">
          <Icon name="again" size={12} /> Refresh
        </button>
      </div>
      {places(node, inSubflow).map((place) => (
        <Values key={place.scope + place.id} place={place} round={round} />
      ))}
    </div>
  );
}

function Values({ place, round }: { place: Place; round: number }) {
  const [rows, setRows] = useState<ContextRow[] | null>(null);
  const [error, setError] = useState('');
  const { scope, id } = place;
  useEffect(() => {
    let gone = false;
    api.context(scope, id).then(
      (answer) => {
        if (gone) return;
        setRows(contextRows(answer));
        setError('');
      },
      (problem: unknown) => !gone && setError(words(problem)),
    );
    return () => {
      gone = true;
    };
  }, [scope, id, round]);
  const stores = [...new Set(rows?.map((row) => row.store))];
  return (
    <section className="context-scope" aria-label={place.title}>
      <h4>
        {place.title} {rows && rows.length > 0 && <span className="dim">{rows.length}</span>}
      </h4>
      {error && <p className="finding error">{error}</p>}
      {rows?.length === 0 && <p className="hint">Nothing yet. {place.empty}</p>}
      {stores.map((store) => (
        <div key={store}>
          <p className="context-store">store {store}</p>
          {rows
            ?.filter((row) => row.store === store)
            .map((row) => (
              <Row key={row.key} row={row} place={place} onGone={() => setRows((old) => old?.filter((one) => one !== row) ?? null)} />
            ))}
        </div>
      ))}
    </section>
  );
}

function Row({ row, place, onGone }: { row: ContextRow; place: Place; onGone: () => void }) {
  const [asking, setAsking] = useState(false);
  const operates = useEditor((state) => canOperate(state));
  const remove = (): void => {
    api.deleteContext(place.scope, place.id, row.store, row.path).then(onGone, (problem: unknown) => {
      setAsking(false);
      toast(words(problem), 'error');
    });
  };
  return (
    <div className="context-row" data-testid="context-row">
      <div className="context-value">
        <Tree name={row.key} value={row.value} path={row.path} onPath={(path) => toast(`Copied: ${path}`)} />
        {operates && <IconButton icon="trash" size={12} label={`Delete ${row.key}`} onClick={() => setAsking(true)} />}
      </div>
      {asking && (
        <div className="ask" role="alertdialog" aria-label={`Delete ${row.key}?`}>
          <span>Delete {row.key} for good?</span>
          <button type="button" className="button small danger" autoFocus onClick={remove}>
            Delete
          </button>
          <button type="button" className="button small" onClick={() => setAsking(false)}>
            Keep
          </button>
        </div>
      )}
    </div>
  );
}
