/** All node types, by category, with a search that knows plain words. Drag one to the canvas, or press Enter. */

import { useMemo, useState } from 'react';
import { addNode } from '../commands/edits';
import { canEdit, set, useEditor } from '../commands/store';
import { Icon, iconFor } from '../kit/icons';
import { view } from '../canvas/view';
import { categories } from '../model/nodetypes';
import { findTypes } from '../model/search';
import { humanise } from '../model/schema';
import type { NodeType } from '../model/types';
import { usePaletteTypes } from './palette-types';

export function Palette({ sheet }: { sheet: boolean }) {
  const list = usePaletteTypes();
  const edits = useEditor((state) => canEdit(state));
  const [query, setQuery] = useState('');
  const [closed, setClosed] = useState<ReadonlySet<string>>(new Set());
  const found = useMemo(() => (query.trim() ? findTypes(list, query) : []), [list, query]);
  const groups = useMemo(() => categories(list), [list]);
  const toggle = (name: string): void => {
    const next = new Set(closed);
    if (!next.delete(name)) next.add(name);
    setClosed(next);
  };
  const add = (item: NodeType): void => {
    if (!edits) return;
    addNode(item.type, view.centre());
    if (sheet) set({ left: false });
  };
  return (
    <div className="palette" data-testid="palette">
      <label className="filter">
        <Icon name="search" size={13} />
        <input
          className="filter-input"
          type="search"
          placeholder="Search, e.g. if, alert, subscribe"
          aria-label="Search node types"
          value={query}
          onChange={(event) => setQuery(event.target.value)}
          onKeyDown={(event) => {
            if (event.key === 'Enter' && found[0]) add(found[0]);
            if (event.key === 'Escape') setQuery('');
          }}
        />
      </label>
      <div className="palette-scroll">
        {query.trim() ? (
          <div className="palette-items">
            {found.map((item) => (
              <Item key={item.type} item={item} edits={edits} onAdd={() => add(item)} />
            ))}
            {found.length === 0 && <p className="hint pad">No node does “{query}”. Try another word.</p>}
          </div>
        ) : (
          groups.map((group) => (
            <section key={group.name}>
              <button type="button" className="palette-group" aria-expanded={!closed.has(group.name)} onClick={() => toggle(group.name)}>
                <Icon name={closed.has(group.name) ? 'right' : 'chevron'} size={11} /> {humanise(group.name)}
                <span className="dim">{group.items.length}</span>
              </button>
              {!closed.has(group.name) && (
                <div className="palette-items">
                  {group.items.map((item) => (
                    <Item key={item.type} item={item} edits={edits} onAdd={() => add(item)} />
                  ))}
                </div>
              )}
            </section>
          ))
        )}
      </div>
    </div>
  );
}

function Item({ item, edits, onAdd }: { item: NodeType; edits: boolean; onAdd: () => void }) {
  return (
    <div
      className={`palette-item role-${item.role}`}
      data-testid="palette-item"
      data-type={item.type}
      draggable={edits}
      tabIndex={0}
      role="button"
      title={item.summary}
      onDragStart={(event) => {
        event.dataTransfer.setData('application/x-tidewire-type', item.type);
        event.dataTransfer.effectAllowed = 'copy';
      }}
      onDoubleClick={onAdd}
      onKeyDown={(event) => {
        if (event.key === 'Enter') {
          event.preventDefault();
          event.stopPropagation();
          onAdd();
        }
      }}
    >
      <span className="card-chip">
        <Icon name={iconFor(item.type, item.icon)} size={15} />
      </span>
      <span className="palette-name">{item.label}</span>
      {edits && (
        <button
          type="button"
          className="mini palette-add"
          tabIndex={-1}
          aria-label={`Add ${item.label}`}
          title="Add to the middle of the canvas"
          onClick={onAdd}
        >
          <Icon name="plus" size={12} />
        </button>
      )}
    </div>
  );
}
