/** The right panel: what is selected, to set up, to watch and to read about. */

import { useEffect, useRef } from 'react';
import { setProperties, setProperty, toggleDisabled } from '../commands/edits';
import { canEdit, canOperate, problemsByNode, reveal, set, useEditor } from '../commands/store';
import { Form } from '../form/Form';
import { ownerOf } from '../form/owner';
import { Icon, iconFor } from '../kit/icons';
import { Markdown } from '../kit/Markdown';
import { Empty, IconButton, Tabs, Tree } from '../kit/widgets';
import { indexOf, usersOf } from '../model/document';
import { pathKey } from '../model/schema';
import { iconNameOf, isKnown, labelOf, roleOf, typeLabel } from '../model/nodetypes';
import type { FlowNode } from '../model/types';
import { live } from '../net/live';
import { DataTab } from './DataTab';
import { Advanced } from './Advanced';
import { Context } from './Context';
import { LinkEnds, SubflowFacts } from './Kin';
import { WireInspect } from './WireInspect';
import { Wires } from './Wires';
import { useLive } from './live-hooks';

export function Inspect({ sheet }: { sheet: boolean }) {
  const doc = useEditor((state) => state.doc);
  const selection = useEditor((state) => state.selection);
  const inspected = useEditor((state) => state.inspected);
  const activeFlow = useEditor((state) => state.activeFlow);
  const wireSelection = useEditor((state) => state.wireSelection);
  const wires = !inspected && selection.size === 0 ? [...wireSelection] : [];
  const id = inspected ?? (selection.size === 1 ? [...selection][0] : selection.size === 0 ? activeFlow : undefined);
  const node = id ? doc.nodes.get(id) : undefined;
  return (
    <aside className={`panel right${sheet ? ' sheet' : ''}`} data-testid="inspect" aria-label="Inspector">
      {wires.length ? (
        <WireInspect key={wires.join()} keys={wires} sheet={sheet} />
      ) : node ? (
        <NodePanel key={node.id} node={node} sheet={sheet} />
      ) : (
        <Many sheet={sheet} count={selection.size} />
      )}
    </aside>
  );
}

function Many({ count, sheet }: { count: number; sheet: boolean }) {
  const selection = useEditor((state) => state.selection);
  const edits = useEditor((state) => canEdit(state));
  const doc = useEditor((state) => state.doc);
  const types = useEditor((state) => state.types);
  if (!count) return <Empty title="No flow is open">Add a flow with + above the canvas, or import a flow file.</Empty>;
  const nodes = [...selection].flatMap((id) => doc.nodes.get(id) ?? []);
  return (
    <>
      <div className="inspect-head">
        <span className="inspect-title">{count} nodes selected</span>
        {sheet && <IconButton icon="close" label="Close" onClick={() => set({ right: false })} />}
      </div>
      <div className="panel-scroll pad">
        {edits && (
          <button type="button" className="button small" onClick={() => toggleDisabled(selection)}>
            <Icon name="off" size={12} /> Enable or disable
          </button>
        )}
        <div className="many-list">
          {nodes.slice(0, 60).map((node) => (
            <button type="button" className={`tree-node role-${roleOf(types, node)}`} key={node.id} onClick={() => reveal(node.id)}>
              <Icon name={iconFor(node.type, iconNameOf(doc, types, node))} size={13} />
              <span className="tree-name">{labelOf(doc, types, node)}</span>
            </button>
          ))}
        </div>
        {nodes.length > 60 && <p className="hint">and {nodes.length - 60} more</p>}
      </div>
    </>
  );
}

function NodePanel({ node, sheet }: { node: FlowNode; sheet: boolean }) {
  const tab = useEditor((state) => state.rightTab);
  const types = useEditor((state) => state.types);
  const doc = useEditor((state) => state.doc);
  const isNode = node.type !== 'tab' && node.type !== 'subflow' && node.type !== 'group';
  const reads = useEditor((state) => canOperate(state));
  const hidden = (tab === 'data' && (!isNode || node.x === undefined)) || (tab === 'context' && (!reads || node.type === 'subflow'));
  const shown = hidden ? 'setup' : tab;
  return (
    <>
      <div className={`inspect-head role-${roleOf(types, node)}`}>
        <span className="card-chip big">
          <Icon name={iconFor(node.type, iconNameOf(doc, types, node))} size={17} />
        </span>
        <span className="inspect-names">
          <span className="inspect-title">{labelOf(doc, types, node)}</span>
          <span className="inspect-type">
            {node.type.startsWith('subflow:') ? 'Subflow' : typeLabel(doc, types, node)}
            {node.d || node.disabled ? ' · off' : ''}
          </span>
        </span>
        {sheet && <IconButton icon="close" label="Close" onClick={() => set({ right: false })} />}
      </div>
      <div className="panel-head">
        <Tabs
          label="Inspector"
          value={shown}
          onChange={(rightTab) => set({ rightTab })}
          tabs={[
            { id: 'setup' as const, label: 'Setup' },
            ...(isNode && node.x !== undefined ? [{ id: 'data' as const, label: 'Data', testId: 'data-tab' }] : []),
            ...(reads && node.type !== 'subflow' ? [{ id: 'context' as const, label: 'Context', testId: 'context-tab' }] : []),
            { id: 'help' as const, label: 'Help' },
          ]}
        />
      </div>
      <div className="panel-scroll">
        {shown === 'setup' && (isNode ? <Setup node={node} /> : <FlowSetup node={node} />)}
        {shown === 'data' && <DataTab node={node} />}
        {shown === 'context' && <Context node={node} />}
        {shown === 'help' && <Help node={node} />}
      </div>
    </>
  );
}

function Setup({ node }: { node: FlowNode }) {
  const types = useEditor((state) => state.types);
  const doc = useEditor((state) => state.doc);
  const problems = useEditor((state) => state.problems);
  const edits = useEditor((state) => canEdit(state));
  const name = useRef<HTMLInputElement>(null);
  const def = types.get(node.type);
  const mine = problemsByNode({ doc, problems, types }).get(node.id) ?? [];
  const running = useLive('problems', () => live.runtimeProblems.get(node.id) ?? '');
  // Of an unknown type there is one thing to say, and the form says it.
  const general = mine.filter((one) => isKnown(types, node) && !def?.schema.properties?.[pathKey(one.path)]);
  useEffect(() => {
    const focus = (): void => (name.current ?? document.querySelector<HTMLElement>('[data-testid="setup"] .input'))?.focus();
    window.addEventListener('tidewire:edit', focus);
    return () => window.removeEventListener('tidewire:edit', focus);
  }, []);
  return (
    <div className="setup" data-testid="setup">
      {running && (
        <p className="finding error box" role="alert">
          <Icon name="warn" size={13} /> {running}
        </p>
      )}
      {general.map((one) => (
        <p key={one.path + one.text} className={`finding box ${one.severity}`} role="alert">
          <Icon name="warn" size={13} /> {one.text}
        </p>
      ))}
      {node.type !== 'comment' && (
        <div className="field">
          <div className="field-head">
            <label htmlFor="node-name">Name</label>
          </div>
          <input
            id="node-name"
            ref={name}
            className="input"
            value={node.name ?? ''}
            placeholder={typeLabel(doc, types, node)}
            readOnly={!edits}
            onChange={(event) => setProperty(node.id, 'name', event.target.value)}
          />
        </div>
      )}
      {def ? (
        <Form owner={ownerOf(node, def, !edits)} problems={mine} skip={node.type === 'comment' ? [] : ['name']} />
      ) : (
        <Unknown node={node} />
      )}
      {node.type.startsWith('subflow:') && <SubflowFacts node={node} />}
      <LinkEnds node={node} />
      {node.x !== undefined && node.type !== 'comment' && <Wires node={node} edits={edits} />}
      {node.type !== 'comment' && <Notes node={node} edits={edits} />}
      {node.x !== undefined && node.type !== 'comment' && isKnown(types, node) && <Advanced node={node} edits={edits} />}
      <Foot node={node} edits={edits} />
    </div>
  );
}

/** A node whose type is not known here: everything it carries, for reading. */
function Unknown({ node }: { node: FlowNode }) {
  const types = useEditor((state) => state.types);
  if (isKnown(types, node)) return null;
  const rest = Object.fromEntries(
    Object.entries(node).filter(([key]) => !['id', 'type', 'z', 'x', 'y', 'wires', 'name', 'g', 'd'].includes(key)),
  );
  return (
    <>
      <p className="finding warning box">
        <Icon name="info" size={13} /> The type “{node.type}” is not known here. The node is a placeholder: it does nothing, stops nothing,
        and is exported exactly as it came.
      </p>
      <div className="field">
        <div className="field-head">
          <label>Properties</label>
        </div>
        <div className="json-box">
          <Tree value={rest} open />
        </div>
      </div>
    </>
  );
}

/** What people write about a node; shown under Help. */
function Notes({ node, edits }: { node: FlowNode; edits: boolean }) {
  const text = typeof node.info === 'string' ? node.info : '';
  return (
    <details className="notes" open={text !== ''}>
      <summary>Description</summary>
      <textarea
        className="input area"
        aria-label="Description"
        rows={3}
        placeholder="What is this node for? Markdown, shown under Help."
        value={text}
        readOnly={!edits}
        onChange={(event) => setProperty(node.id, 'info', event.target.value)}
      />
    </details>
  );
}

function Foot({ node, edits }: { node: FlowNode; edits: boolean }) {
  const doc = useEditor((state) => state.doc);
  const types = useEditor((state) => state.types);
  const config = node.x === undefined;
  const users = config ? usersOf(doc, node.id) : [];
  return (
    <div className="setup-foot">
      {config ? (
        <div className="field">
          <div className="field-head">
            <label>Used by</label>
          </div>
          {users.map((user) => (
            <button type="button" key={user.id} className={`tree-node role-${roleOf(types, user)}`} onClick={() => reveal(user.id)}>
              <Icon name={iconFor(user.type, iconNameOf(doc, types, user))} size={13} />
              <span className="tree-name">{labelOf(doc, types, user)}</span>
            </button>
          ))}
          {users.length === 0 && <p className="hint">Nothing uses it.</p>}
        </div>
      ) : (
        <div className="field check">
          <input
            id="node-on"
            type="checkbox"
            role="switch"
            className="switch"
            checked={node.d !== true}
            disabled={!edits}
            onChange={() => toggleDisabled([node.id])}
          />
          <label htmlFor="node-on">Enabled</label>
        </div>
      )}
      <p className="node-id">
        id <code>{node.id}</code>
      </p>
    </div>
  );
}

/** Properties of a tab, subflow or group. */
function FlowSetup({ node }: { node: FlowNode }) {
  const doc = useEditor((state) => state.doc);
  const edits = useEditor((state) => canEdit(state));
  const index = indexOf(doc);
  const key = node.type === 'tab' ? 'label' : 'name';
  const nodes = index.placed.get(node.id)?.length ?? 0;
  const wires = index.wires.get(node.id)?.length ?? 0;
  return (
    <div className="setup" data-testid="setup">
      <div className="field">
        <div className="field-head">
          <label htmlFor="flow-name">Name</label>
        </div>
        <input
          id="flow-name"
          className="input"
          value={String(node[key] ?? '')}
          readOnly={!edits}
          onChange={(event) => setProperty(node.id, key, event.target.value)}
        />
      </div>
      {node.type !== 'group' && (
        <div className="field">
          <div className="field-head">
            <label htmlFor="flow-info">Description</label>
          </div>
          <textarea
            id="flow-info"
            className="input area"
            rows={5}
            placeholder="What is this flow for? Markdown."
            value={typeof node.info === 'string' ? node.info : ''}
            readOnly={!edits}
            onChange={(event) => setProperties(node.id, { info: event.target.value }, 'info')}
          />
        </div>
      )}
      {node.type === 'tab' && (
        <div className="field check">
          <input
            id="flow-on"
            type="checkbox"
            role="switch"
            className="switch"
            checked={node.disabled !== true}
            disabled={!edits}
            onChange={() => toggleDisabled([node.id])}
          />
          <label htmlFor="flow-on">Enabled</label>
        </div>
      )}
      {node.type !== 'group' && (
        <dl className="facts">
          <dt>Nodes</dt>
          <dd>{nodes}</dd>
          <dt>Wires</dt>
          <dd>{wires}</dd>
        </dl>
      )}
      <p className="node-id">
        id <code>{node.id}</code>
      </p>
    </div>
  );
}

function Help({ node }: { node: FlowNode }) {
  const types = useEditor((state) => state.types);
  const def = types.get(node.type);
  const own = typeof node.info === 'string' && node.info && node.type !== 'comment' ? node.info : '';
  return (
    <div className="help">
      {own && <Markdown text={own} />}
      {def && <Markdown text={def.help || def.summary} />}
      {!def && !own && (
        <p className="hint">
          {node.type === 'tab' ? 'Write a description in Setup: it is shown here.' : `There is no help for “${node.type}”.`}
        </p>
      )}
    </div>
  );
}
