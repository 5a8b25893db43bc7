/** Choice of a shared node (a broker, say), with creation and editing in place. */

import { useState } from 'react';
import { addConfig, setProperties } from '../commands/edits';
import { useEditor } from '../commands/store';
import { indexOf, usersOf } from '../model/document';
import { labelOf } from '../model/nodetypes';
import { Icon } from '../kit/icons';
import { Form, type Owner, type WidgetProps } from './Form';
import { ownerOf } from './owner';

export function ConfigNode({ value, onChange, inputId, owner, field, invalid }: WidgetProps) {
  const [open, setOpen] = useState(false);
  const doc = useEditor((state) => state.doc);
  const types = useEditor((state) => state.types);
  const wanted = String(field.schema['x-config-type'] ?? '');
  const list = indexOf(doc).configs.filter((node) => !wanted || node.type === wanted);
  const chosen = typeof value === 'string' ? doc.nodes.get(value) : undefined;
  const label = types.get(wanted)?.label ?? wanted;
  const create = (): void => {
    onChange(addConfig(wanted));
    setOpen(true);
  };
  return (
    <div className="config-choice">
      <div className="join">
        <select
          id={inputId}
          className="input"
          value={chosen ? chosen.id : ''}
          disabled={owner.readOnly}
          aria-invalid={invalid || (Boolean(value) && !chosen)}
          onChange={(event) => (event.target.value === '+' ? create() : onChange(event.target.value))}
        >
          <option value="">{value && !chosen ? `missing: ${String(value)}` : 'none'}</option>
          {list.map((node) => (
            <option key={node.id} value={node.id}>
              {labelOf(doc, types, node)}
            </option>
          ))}
          {wanted && <option value="+">New {label}…</option>}
        </select>
        {chosen && (
          <button type="button" className="button" aria-expanded={open} onClick={() => setOpen(!open)}>
            {open ? 'Close' : owner.readOnly ? 'Show' : 'Edit'}
          </button>
        )}
        {!chosen && wanted && !owner.readOnly && (
          <button type="button" className="button" onClick={create}>
            <Icon name="plus" size={12} /> New
          </button>
        )}
      </div>
      {open && chosen && <ConfigForm id={chosen.id} readOnly={owner.readOnly} />}
    </div>
  );
}

function ConfigForm({ id, readOnly }: { id: string; readOnly: boolean }) {
  const doc = useEditor((state) => state.doc);
  const types = useEditor((state) => state.types);
  const node = doc.nodes.get(id);
  const def = node && types.get(node.type);
  if (!node) return null;
  const users = usersOf(doc, id).length;
  const owner: Owner = ownerOf(node, def, readOnly);
  return (
    <div className="config-form">
      <p className="hint">
        Shared by {users} {users === 1 ? 'node' : 'nodes'}: a change here concerns all of them.
      </p>
      {!def?.schema.properties?.name && (
        <div className="field">
          <div className="field-head">
            <label htmlFor={`${id}-name`}>Name</label>
          </div>
          <input
            id={`${id}-name`}
            className="input"
            value={node.name ?? ''}
            readOnly={readOnly}
            onChange={(event) => setProperties(id, { name: event.target.value }, 'name')}
          />
        </div>
      )}
      {def ? <Form owner={owner} problems={[]} /> : <p className="hint">Its type is unknown here; its properties are kept as they are.</p>}
    </div>
  );
}
