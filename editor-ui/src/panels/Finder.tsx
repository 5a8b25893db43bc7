/** Search over nodes and actions, the list of all actions, and the table of keys. */

import { useMemo, useState } from 'react';
import { allActions, showKey } from '../commands/actions';
import { reveal, useEditor } from '../commands/store';
import { Icon, iconFor } from '../kit/icons';
import { Modal } from '../kit/widgets';
import { labelOf } from '../model/nodetypes';
import { findNodes, subsequence } from '../model/search';

interface Row {
  key: string;
  icon: string;
  title: string;
  note: string;
  keys: string;
  run: () => void;
}

function actionRows(query: string): Row[] {
  const q = query.trim().toLowerCase();
  return allActions()
    .filter((action) => !q || action.label.toLowerCase().includes(q) || action.id.includes(q) || subsequence(action.label.toLowerCase(), q))
    .map((action) => ({ key: action.id, icon: 'right', title: action.label, note: '', keys: showKey(action.keys[0]), run: action.run }));
}

export function ActionsDialog({ onClose }: { onClose: () => void }) {
  const [query, setQuery] = useState('');
  return (
    <Picker
      title="All actions"
      placeholder="What do you want to do?"
      query={query}
      setQuery={setQuery}
      rows={actionRows(query)}
      onClose={onClose}
    />
  );
}

export function SearchDialog({ onClose }: { onClose: () => void }) {
  const doc = useEditor((state) => state.doc);
  const types = useEditor((state) => state.types);
  const [query, setQuery] = useState('');
  const rows = useMemo(() => {
    const hits: Row[] = findNodes(doc, query).map((hit) => ({
      key: hit.node.id,
      icon: iconFor(hit.node.type, types.get(hit.node.type)?.icon),
      title: labelOf(doc, types, hit.node),
      note: `${hit.node.type} · ${hit.where}: ${hit.excerpt}`,
      keys: hit.node.z ? labelOf(doc, types, doc.nodes.get(hit.node.z) ?? hit.node) : '',
      run: () => reveal(hit.node.id),
    }));
    return [...hits, ...(query.trim() ? actionRows(query) : [])];
  }, [doc, types, query]);
  return (
    <Picker
      title="Search"
      placeholder="Name, type, topic, any property; type:switch, uses:id"
      query={query}
      setQuery={setQuery}
      rows={rows}
      onClose={onClose}
    />
  );
}

function Picker({
  title,
  placeholder,
  query,
  setQuery,
  rows,
  onClose,
}: {
  title: string;
  placeholder: string;
  query: string;
  setQuery: (query: string) => void;
  rows: Row[];
  onClose: () => void;
}) {
  const [at, setAt] = useState(0);
  const pick = (row: Row | undefined): void => {
    if (!row) return;
    onClose();
    // The dialog is gone before the action runs, so that it may open another one.
    setTimeout(row.run, 0);
  };
  return (
    <Modal title={title} onClose={onClose} testId="finder">
      <label className="filter big">
        <Icon name="search" size={15} />
        <input
          className="filter-input"
          data-autofocus=""
          placeholder={placeholder}
          aria-label={title}
          value={query}
          onChange={(event) => {
            setQuery(event.target.value);
            setAt(0);
          }}
          onKeyDown={(event) => {
            if (event.key === 'Enter') {
              event.preventDefault();
              pick(rows[at]);
            } else if (event.key === 'ArrowDown') {
              event.preventDefault();
              setAt(Math.min(rows.length - 1, at + 1));
            } else if (event.key === 'ArrowUp') {
              event.preventDefault();
              setAt(Math.max(0, at - 1));
            }
          }}
        />
      </label>
      <div className="finder-list" role="listbox" aria-label="Results">
        {rows.map((row, index) => (
          <button
            type="button"
            key={row.key}
            role="option"
            aria-selected={index === at}
            className="finder-row"
            ref={(element) => {
              if (index === at) element?.scrollIntoView({ block: 'nearest' });
            }}
            onClick={() => pick(row)}
          >
            <Icon name={row.icon} size={14} />
            <span className="finder-title">{row.title}</span>
            <span className="finder-note">{row.note}</span>
            {row.keys && <kbd>{row.keys}</kbd>}
          </button>
        ))}
        {rows.length === 0 && <p className="hint pad">{query ? 'Nothing found.' : 'Type to search in every property of every node.'}</p>}
      </div>
    </Modal>
  );
}

const GESTURES: [string, string][] = [
  ['Drag on the canvas', 'Lasso; with Shift adds to the selection'],
  ['Double-click the canvas, Ctrl-click', 'Add a node'],
  ['Drag from a port', 'Wire; dropped on the canvas adds a node'],
  ['Shift-drag a port', 'Move its wires; dropped on the canvas deletes them'],
  ['Ctrl-click a port', 'Wire on, click after click'],
  ['Drop a node on a wire, double-click a wire', 'Insert into the wire'],
  ['Alt-drag the canvas', 'Cut wires'],
  ['Ctrl-click a node', 'Add to or take from the selection'],
  ['Shift-click a node', 'Select all that is connected'],
  ['Wheel · Ctrl-wheel or pinch', 'Scroll · zoom at the pointer'],
  ['Middle button or Space and drag', 'Pan'],
  ['Shift while dragging', 'No snapping to the grid'],
];

export function KeysDialog({ onClose }: { onClose: () => void }) {
  return (
    <Modal title="Keys and gestures" onClose={onClose} wide>
      <div className="keys">
        <section>
          <h4>Mouse and touch</h4>
          <dl>
            {GESTURES.map(([how, what]) => (
              <div key={how}>
                <dt>{how}</dt>
                <dd>{what}</dd>
              </div>
            ))}
          </dl>
        </section>
        <section>
          <h4>Keys</h4>
          <dl>
            {allActions()
              .filter((action) => action.keys.length)
              .map((action) => (
                <div key={action.id}>
                  <dt>
                    {action.keys.map((key) => (
                      <kbd key={key}>{showKey(key)}</kbd>
                    ))}
                  </dt>
                  <dd>{action.label}</dd>
                </div>
              ))}
          </dl>
        </section>
      </div>
    </Modal>
  );
}
