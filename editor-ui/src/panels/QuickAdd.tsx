/** The list that opens at the pointer: type a word, press Enter, the node is there and wired. */

import { useMemo, useState } from 'react';
import { quickAdd } from '../commands/edits';
import { set, useEditor, type QuickAdd } from '../commands/store';
import { Icon, iconFor } from '../kit/icons';
import { Popover } from '../kit/widgets';
import { findTypes } from '../model/search';
import { usePaletteTypes } from './palette-types';

export function QuickAddList() {
  const at = useEditor((state) => state.quickAdd);
  return at && <List key={`${at.screen.x}.${at.screen.y}`} at={at} />;
}

function List({ at }: { at: QuickAdd }) {
  const list = usePaletteTypes();
  const recent = useEditor((state) => state.recent);
  const [query, setQuery] = useState('');
  const [row, setRow] = useState(0);
  const found = useMemo(() => {
    // A loose wire wants a node that it can end in.
    const fit = list.filter((item) =>
      at.wire
        ? at.wire.way === 'out'
          ? item.inputs > 0
          : item.outputs.length > 0
        : at.splice
          ? item.inputs > 0 && item.outputs.length > 0
          : true,
    );
    const hits = findTypes(fit, query);
    if (query.trim()) return hits;
    const first = recent.flatMap((type) => hits.find((item) => item.type === type) ?? []);
    return [...first, ...hits.filter((item) => !first.includes(item))];
  }, [list, query, recent, at]);
  const close = (): void => set({ quickAdd: null });
  const pick = (type: string | undefined): void => {
    close();
    if (type) quickAdd(type, at);
  };
  return (
    <Popover x={at.screen.x} y={at.screen.y} onClose={close} className="quick-add" label="Add a node">
      <label className="filter">
        <Icon name="search" size={13} />
        <input
          className="filter-input"
          autoFocus
          data-testid="quick-add"
          placeholder="Add a node"
          aria-label="Add a node"
          value={query}
          onChange={(event) => {
            setQuery(event.target.value);
            setRow(0);
          }}
          onKeyDown={(event) => {
            if (event.key === 'Enter') {
              event.preventDefault();
              pick(found[row]?.type);
            } else if (event.key === 'ArrowDown') {
              event.preventDefault();
              setRow(Math.min(found.length - 1, row + 1));
            } else if (event.key === 'ArrowUp') {
              event.preventDefault();
              setRow(Math.max(0, row - 1));
            }
            event.stopPropagation();
          }}
        />
      </label>
      <div className="quick-list" role="listbox" aria-label="Node types">
        {found.map((item, index) => (
          <button
            type="button"
            key={item.type}
            role="option"
            aria-selected={index === row}
            className={`quick-item role-${item.role}`}
            ref={(element) => {
              if (index === row) element?.scrollIntoView({ block: 'nearest' });
            }}
            onPointerMove={() => row !== index && setRow(index)}
            onClick={() => pick(item.type)}
          >
            <span className="card-chip">
              <Icon name={iconFor(item.type, item.icon)} size={15} />
            </span>
            <span className="quick-text">
              <b>{item.label}</b>
              <span>{item.summary}</span>
            </span>
            {!query && index < recent.length && recent.includes(item.type) && <span className="dim">recent</span>}
          </button>
        ))}
        {found.length === 0 && <p className="hint pad">No node does “{query}”.</p>}
      </div>
    </Popover>
  );
}
