/** Small screens: a bar that opens the sheets, and below 600 px the flow as a list of nodes. */

import { useEffect, useState, useSyncExternalStore } from 'react';
import { canEdit, select, set, useEditor, type State } from '../commands/store';
import { problemsByNode } from '../commands/store';
import { Icon, iconFor } from '../kit/icons';
import { Empty } from '../kit/widgets';
import { indexOf } from '../model/document';
import { gist, rate } from '../model/debugvalue';
import { iconNameOf, labelOf, roleOf, typeLabel } from '../model/nodetypes';
import type { FlowNode } from '../model/types';
import { letters } from '../net/letters';
import { live } from '../net/live';
import { useLiveText } from './live-hooks';
import { act } from './session';

const SHUT = { left: false, right: false, drawer: false };

export function BottomBar() {
  const state = useEditor();
  const edits = canEdit(state);
  const fresh = useSyncExternalStore(letters.on, () => letters.fresh);
  const item = (icon: string, label: string, on: boolean, open: Partial<State>) => (
    <button
      type="button"
      className={`bottom-item${on ? ' on' : ''}`}
      aria-pressed={on}
      onClick={() => set(on ? SHUT : { ...SHUT, ...open })}
    >
      <Icon name={icon} size={18} />
      <span>{label}</span>
    </button>
  );
  return (
    <nav className="bottom-bar" aria-label="Panels">
      {edits && item('plus', 'Palette', state.left && state.leftTab === 'palette', { left: true, leftTab: 'palette' })}
      {item('thing', 'Things', state.left && state.leftTab === 'things', { left: true, leftTab: 'things' })}
      {item('info', 'Inspect', state.right, { right: true })}
      {item('debug', 'Debug', state.drawer && state.drawerTab === 'debug', { drawer: true, drawerTab: 'debug' })}
      {item('store', 'Events', state.drawer && state.drawerTab === 'events', { drawer: true, drawerTab: 'events' })}
      {fresh > 0 && item('warn', `${fresh} failed`, state.drawer && state.drawerTab === 'failed', { drawer: true, drawerTab: 'failed' })}
    </nav>
  );
}

/** The nodes of a flow from left to right, then from top to bottom: the order in which messages pass. */
export function NodeList() {
  const doc = useEditor((state) => state.doc);
  const activeFlow = useEditor((state) => state.activeFlow);
  const problems = useEditor((state) => state.problems);
  const types = useEditor((state) => state.types);
  const selection = useEditor((state) => state.selection);
  const [painted, setPainted] = useState(false);
  const nodes = [...(indexOf(doc).placed.get(activeFlow) ?? [])]
    .filter((node) => node.type !== 'junction')
    .sort((a, b) => Math.round((a.y ?? 0) / 60) - Math.round((b.y ?? 0) / 60) || (a.x ?? 0) - (b.x ?? 0));
  const marks = problemsByNode({ doc, problems, types });
  const ids = nodes.map((node) => node.id).join();
  useEffect(() => {
    live.setWatch(ids ? ids.split(',').slice(0, 300) : []);
  }, [ids]);
  useEffect(() => {
    const frame = requestAnimationFrame(() => setPainted(true));
    return () => cancelAnimationFrame(frame);
  }, []);
  return (
    <div className="node-list" data-testid="canvas">
      {nodes.map((node) => (
        <NodeRow key={node.id} node={node} selected={selection.has(node.id)} problem={marks.get(node.id)?.[0]?.text ?? ''} />
      ))}
      {nodes.length === 0 && <Empty title="An empty flow">Add nodes from the palette below, or import a flow.</Empty>}
      {painted && <span className="ready-mark" data-testid="canvas-ready" aria-hidden="true" />}
    </div>
  );
}

function NodeRow({ node, selected, problem }: { node: FlowNode; selected: boolean; problem: string }) {
  const doc = useEditor((state) => state.doc);
  const types = useEditor((state) => state.types);
  const def = types.get(node.type);
  const named = Boolean(node.name?.trim());
  const value = useLiveText(() => gist(live.nodes.get(node.id)?.last?.value, 20));
  const speed = useLiveText(() => rate(live.nodes.get(node.id)?.rate ?? 0));
  const status = useLiveText(() => {
    const text = live.status.get(node.id)?.text;
    return text && named ? `· ${text}` : (text ?? '');
  });
  return (
    <div
      className={`node-row role-${roleOf(types, node)}${selected ? ' selected' : ''}${node.d ? ' off' : ''}`}
      data-testid="node"
      data-node-id={node.id}
      data-node-type={node.type}
      role="button"
      tabIndex={0}
      onClick={() => {
        select([node.id]);
        set({ ...SHUT, right: true });
      }}
      onKeyDown={(event) => {
        if (event.key === 'Enter') {
          select([node.id]);
          set({ ...SHUT, right: true });
        }
      }}
    >
      <span className="card-chip big">
        <Icon name={iconFor(node.type, iconNameOf(doc, types, node))} size={17} />
      </span>
      <span className="node-row-text">
        <b>
          {labelOf(doc, types, node)}
          {problem && (
            <span className="row-mark" title={problem}>
              <Icon name="warn" size={13} />
            </span>
          )}
        </b>
        <span className="dim">
          {named ? `${typeLabel(doc, types, node)} ` : ''}
          <span ref={status} />
        </span>
      </span>
      <span className="node-row-live">
        <span className="value" ref={value} />
        <span className="dim" ref={speed} />
      </span>
      {def?.button && (
        <button
          type="button"
          className="icon-button"
          aria-label={`Press ${labelOf(doc, types, node)}`}
          onClick={(event) => {
            event.stopPropagation();
            void act(node);
          }}
        >
          <Icon name={node.type === 'debug' ? 'eye' : 'play'} size={15} />
        </button>
      )}
    </div>
  );
}
