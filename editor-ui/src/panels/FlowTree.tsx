/** All flows, their nodes and the shared nodes as a tree: find, open, reveal. */

import { useState } from 'react';
import { openFlow, reveal, useEditor } from '../commands/store';
import { Icon, iconFor } from '../kit/icons';
import { indexOf, usersOf } from '../model/document';
import { iconNameOf, labelOf, roleOf } from '../model/nodetypes';
import type { FlowNode } from '../model/types';

const MAX_ROWS = 400;

export function FlowTree() {
  const doc = useEditor((state) => state.doc);
  const types = useEditor((state) => state.types);
  const active = useEditor((state) => state.activeFlow);
  const selection = useEditor((state) => state.selection);
  const inspected = useEditor((state) => state.inspected);
  const [closed, setClosed] = useState<ReadonlySet<string>>(new Set());
  const [query, setQuery] = useState('');
  const index = indexOf(doc);
  const fits = (node: FlowNode): boolean => `${labelOf(doc, types, node)} ${node.type}`.toLowerCase().includes(query.toLowerCase());
  const toggle = (id: string): void => {
    const next = new Set(closed);
    if (!next.delete(id)) next.add(id);
    setClosed(next);
  };
  const row = (node: FlowNode, note = '') => (
    <button
      type="button"
      key={node.id}
      className={`tree-node role-${roleOf(types, node)}${selection.has(node.id) || inspected === node.id ? ' selected' : ''}${node.d ? ' off' : ''}`}
      onClick={() => reveal(node.id)}
    >
      <Icon name={iconFor(node.type, iconNameOf(doc, types, node))} size={13} />
      <span className="tree-name">{labelOf(doc, types, node)}</span>
      {note && <span className="dim">{note}</span>}
    </button>
  );
  return (
    <div className="flow-tree">
      <label className="filter">
        <Icon name="search" size={13} />
        <input
          className="filter-input"
          type="search"
          placeholder="Filter nodes"
          aria-label="Filter nodes"
          value={query}
          onChange={(event) => setQuery(event.target.value)}
        />
      </label>
      <div className="palette-scroll">
        {index.flows.map((flow) => {
          const nodes = (index.placed.get(flow.id) ?? []).filter(fits);
          const open = !closed.has(flow.id) && (query !== '' || flow.id === active);
          return (
            <section key={flow.id}>
              <div className={`tree-flow${flow.id === active ? ' active' : ''}${flow.disabled ? ' off' : ''}`}>
                <button
                  type="button"
                  className="mini"
                  aria-label={open ? 'Close' : 'Open'}
                  aria-expanded={open}
                  onClick={() => {
                    if (flow.id !== active) openFlow(flow.id);
                    else toggle(flow.id);
                  }}
                >
                  <Icon name={open ? 'chevron' : 'right'} size={11} />
                </button>
                <button type="button" className="tree-title" onClick={() => openFlow(flow.id)}>
                  {labelOf(doc, types, flow)}
                </button>
                <span className="dim">{index.placed.get(flow.id)?.length ?? 0}</span>
              </div>
              {open && nodes.slice(0, MAX_ROWS).map((node) => row(node))}
              {open && nodes.length > MAX_ROWS && <p className="hint pad">and {nodes.length - MAX_ROWS} more: type to filter</p>}
            </section>
          );
        })}
        {index.configs.length > 0 && (
          <section>
            <div className="tree-flow">
              <span className="tree-title plain">Connections</span>
              <span className="dim">{index.configs.length}</span>
            </div>
            {index.configs
              .filter(fits)
              .slice(0, MAX_ROWS)
              .map((node) => row(node, `${usersOf(doc, node.id).length} ×`))}
          </section>
        )}
      </div>
    </div>
  );
}
