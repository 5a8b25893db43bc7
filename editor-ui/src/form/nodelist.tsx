/** Choice of other nodes: whom a node listens to, or what it is linked with. */

import { useState } from 'react';
import { setLinked } from '../commands/edits';
import { useEditor } from '../commands/store';
import { indexOf, isLinked, type Doc } from '../model/document';
import { labelOf, type Types } from '../model/nodetypes';
import type { FlowNode } from '../model/types';
import type { WidgetProps } from './Form';

/** More than these, and a text to search for is offered. */
const MANY = 8;

/** Nodes that nothing can be heard of. */
const SILENT = new Set(['comment', 'junction']);

interface Group {
  flow: FlowNode | undefined;
  nodes: FlowNode[];
}

/** The nodes to choose from, flow by flow, the node's own flow first. */
function candidates(doc: Doc, node: FlowNode, types: readonly string[] | undefined): Group[] {
  const { flows, placed } = indexOf(doc);
  const fits = (one: FlowNode): boolean =>
    one.id !== node.id && (types ? types.includes(one.type) : !SILENT.has(one.type) && one.type !== 'group');
  const own = doc.nodes.get(node.z ?? '');
  // Links lead from tab to tab, but not into a subflow nor out of it.
  const others = types && own?.type !== 'subflow' ? flows.filter((flow) => flow.type === 'tab' && flow.id !== node.z) : [];
  return [own, ...others]
    .map((flow) => ({ flow, nodes: (placed.get(flow?.id ?? '') ?? []).filter(fits) }))
    .filter((group) => group.nodes.length > 0);
}

const idsIn = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((id): id is string => typeof id === 'string') : typeof value === 'string' && value ? [value] : [];

export function NodeList(props: WidgetProps) {
  const { field, value, onChange, inputId, owner, invalid } = props;
  if (field.schema['x-node-one'] === true) return <OneNode {...props} />;
  if (field.schema['x-node-scope'] !== true) return <Checklist {...props} />;
  const scope = Array.isArray(value) ? 'nodes' : value === 'group' ? 'group' : 'flow';
  const choose = (next: string): void => onChange(next === 'nodes' ? [] : next === 'group' ? 'group' : null);
  return (
    <>
      <select
        id={inputId}
        className="input"
        value={scope}
        disabled={owner.readOnly}
        aria-invalid={invalid}
        onChange={(event) => choose(event.target.value)}
      >
        <option value="flow">All nodes of this flow</option>
        <option value="group">Nodes of its group</option>
        <option value="nodes">Chosen nodes</option>
      </select>
      {scope === 'nodes' && <Checklist {...props} inputId={`${inputId}-list`} />}
    </>
  );
}

/** One node, from a menu. */
function OneNode({ field, value, onChange, inputId, owner, invalid }: WidgetProps) {
  const doc = useEditor((state) => state.doc);
  const types = useEditor((state) => state.types);
  const groups = candidates(doc, owner.node, wantedTypes(field.schema['x-node-types']));
  const [chosen] = idsIn(value);
  const known = groups.some((group) => group.nodes.some((node) => node.id === chosen));
  return (
    <select
      id={inputId}
      className="input"
      value={chosen ?? ''}
      disabled={owner.readOnly}
      aria-invalid={invalid || (chosen !== undefined && !known)}
      onChange={(event) => onChange(event.target.value ? [event.target.value] : [])}
    >
      <option value="">choose…</option>
      {chosen !== undefined && !known && <option value={chosen}>missing: {chosen}</option>}
      {groups.map(({ flow, nodes }) => (
        <optgroup key={flow?.id ?? ''} label={flow ? labelOf(doc, types, flow) : 'No flow'}>
          {nodes.map((node) => (
            <option key={node.id} value={node.id}>
              {labelOf(doc, types, node)}
            </option>
          ))}
        </optgroup>
      ))}
    </select>
  );
}

const wantedTypes = (types: unknown): string[] | undefined =>
  Array.isArray(types) ? types.filter((type): type is string => typeof type === 'string') : undefined;

/** Any number of nodes, each with a box to tick. */
function Checklist({ field, value, onChange, inputId, owner, invalid }: WidgetProps) {
  const doc = useEditor((state) => state.doc);
  const types = useEditor((state) => state.types);
  const [search, setSearch] = useState('');
  const wanted = wantedTypes(field.schema['x-node-types']);
  const groups = candidates(doc, owner.node, wanted);
  const chosen = idsIn(value);
  const ticked = (node: FlowNode): boolean => chosen.includes(node.id) || (wanted !== undefined && isLinked(owner.node, node));
  const all = groups.flatMap((group) => group.nodes);
  const missing = chosen.filter((id) => !all.some((node) => node.id === id));
  const tick = (node: FlowNode, on: boolean): void => {
    // A link stands at both of its ends, as Node-RED writes it.
    if (wanted) setLinked(owner.node.id, node.id, on);
    else onChange(on ? [...chosen, node.id] : chosen.filter((id) => id !== node.id));
  };
  if (all.length === 0 && missing.length === 0) return <p className="hint">{nothing(types, wanted)}</p>;
  return (
    <div className={`node-picker${invalid ? ' invalid' : ''}`} id={inputId} role="group" aria-label={field.label}>
      {all.length > MANY && (
        <input
          className="input"
          type="search"
          placeholder="Search by name or type"
          aria-label={`Search ${field.label}`}
          value={search}
          onChange={(event) => setSearch(event.target.value)}
        />
      )}
      <div className="node-picker-items">
        {missing.map((id) => (
          <label key={id} className="node-picker-item missing">
            <input type="checkbox" checked disabled={owner.readOnly} onChange={() => onChange(chosen.filter((one) => one !== id))} />
            <span className="node-picker-name">missing: {id}</span>
          </label>
        ))}
        {groups.map(({ flow, nodes }) => (
          <Nodes
            key={flow?.id ?? ''}
            heading={groups.length > 1 && flow ? labelOf(doc, types, flow) : ''}
            nodes={nodes.filter((node) => matches(doc, types, node, search))}
            doc={doc}
            types={types}
            readOnly={owner.readOnly}
            ticked={ticked}
            onTick={tick}
          />
        ))}
      </div>
    </div>
  );
}

interface NodesProps {
  heading: string;
  nodes: FlowNode[];
  doc: Doc;
  types: Types;
  readOnly: boolean;
  ticked: (node: FlowNode) => boolean;
  onTick: (node: FlowNode, on: boolean) => void;
}

function Nodes({ heading, nodes, doc, types, readOnly, ticked, onTick }: NodesProps) {
  if (nodes.length === 0) return null;
  return (
    <>
      {heading && <div className="node-picker-flow">{heading}</div>}
      {nodes.map((node) => (
        <label key={node.id} className="node-picker-item">
          <input type="checkbox" checked={ticked(node)} disabled={readOnly} onChange={(event) => onTick(node, event.target.checked)} />
          <span className="node-picker-name">{labelOf(doc, types, node)}</span>
          <span className="node-picker-type">{node.type}</span>
        </label>
      ))}
    </>
  );
}

function matches(doc: Doc, types: Types, node: FlowNode, search: string): boolean {
  const text = search.trim().toLowerCase();
  return !text || labelOf(doc, types, node).toLowerCase().includes(text) || node.type.includes(text);
}

function nothing(types: Types, wanted: readonly string[] | undefined): string {
  if (!wanted) return 'There are no other nodes on this flow.';
  return `There is no ${wanted.map((type) => types.get(type)?.label.toLowerCase() ?? type).join(' or ')} node yet.`;
}
