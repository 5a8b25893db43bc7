/** The strip of flows above the canvas: open, add, rename, reorder, switch off, delete. */

import { useState } from 'react';
import { addFlow, deleteFlow, moveFlow, setProperty, toggleDisabled } from '../commands/edits';
import { canEdit, openFlow, pending, set, useEditor } from '../commands/store';
import { Icon } from '../kit/icons';
import { Popover } from '../kit/widgets';
import { indexOf } from '../model/document';
import { labelOf } from '../model/nodetypes';
import type { FlowNode } from '../model/types';

export function FlowTabs() {
  const doc = useEditor((state) => state.doc);
  const deployed = useEditor((state) => state.deployed);
  const types = useEditor((state) => state.types);
  const active = useEditor((state) => state.activeFlow);
  const edits = useEditor((state) => canEdit(state));
  const [renaming, setRenaming] = useState<string | null>(null);
  const [menu, setMenu] = useState<{ flow: FlowNode; x: number; y: number } | null>(null);
  const [over, setOver] = useState<string | null>(null);
  const diff = pending({ doc, deployed });
  const touched = new Set(
    [...diff.added, ...diff.changed, ...diff.rewired, ...diff.moved, ...diff.removed].map(
      (id) => (doc.nodes.get(id) ?? deployed.nodes.get(id))?.z ?? id,
    ),
  );
  return (
    <div className="flow-tabs" role="tablist" aria-label="Flows">
      <div className="flow-tabs-scroll">
        {indexOf(doc).flows.map((flow) => (
          <div
            key={flow.id}
            role="tab"
            tabIndex={0}
            aria-selected={flow.id === active}
            className={`flow-tab${flow.id === active ? ' active' : ''}${flow.disabled ? ' off' : ''}${over === flow.id ? ' over' : ''}`}
            data-testid="flow-tab"
            data-flow-id={flow.id}
            draggable={edits && flow.type === 'tab' && renaming !== flow.id}
            title={typeof flow.info === 'string' && flow.info ? flow.info : undefined}
            onClick={() => openFlow(flow.id)}
            onKeyDown={(event) => {
              if (event.key === 'Enter') openFlow(flow.id);
              if (event.key === 'F2' && edits) setRenaming(flow.id);
            }}
            onDoubleClick={() => edits && setRenaming(flow.id)}
            onContextMenu={(event) => {
              event.preventDefault();
              setMenu({ flow, x: event.clientX, y: event.clientY });
            }}
            onDragStart={(event) => event.dataTransfer.setData('application/x-tidewire-flow', flow.id)}
            onDragOver={(event) => {
              if (event.dataTransfer.types.includes('application/x-tidewire-flow')) {
                event.preventDefault();
                setOver(flow.id);
              }
            }}
            onDragLeave={() => setOver(null)}
            onDrop={(event) => {
              setOver(null);
              const id = event.dataTransfer.getData('application/x-tidewire-flow');
              if (id) moveFlow(id, flow.id);
            }}
          >
            <Icon name={flow.type === 'subflow' ? 'subflow' : 'flow'} size={13} />
            {renaming === flow.id ? (
              <Rename flow={flow} done={() => setRenaming(null)} />
            ) : (
              <span className="flow-name">{labelOf(doc, types, flow)}</span>
            )}
            {flow.disabled && <span className="flow-off">off</span>}
            {touched.has(flow.id) && <span className="flow-changed" title="Changed since the last deploy" />}
          </div>
        ))}
        {edits && (
          <button
            type="button"
            className="icon-button"
            aria-label="Add flow"
            title="Add flow"
            data-testid="add-flow"
            onClick={addFlow}
            onDragOver={(event) => event.preventDefault()}
            onDrop={(event) => {
              const id = event.dataTransfer.getData('application/x-tidewire-flow');
              if (id) moveFlow(id, undefined);
            }}
          >
            <Icon name="plus" size={14} />
          </button>
        )}
      </div>
      {menu && (
        <Popover x={menu.x} y={menu.y} onClose={() => setMenu(null)} className="menu" label="Flow">
          <FlowMenu flow={menu.flow} close={() => setMenu(null)} rename={() => setRenaming(menu.flow.id)} edits={edits} />
        </Popover>
      )}
    </div>
  );
}

function Rename({ flow, done }: { flow: FlowNode; done: () => void }) {
  const key = flow.type === 'tab' ? 'label' : 'name';
  const finish = (text: string): void => {
    if (text.trim() && text !== flow[key]) setProperty(flow.id, key, text.trim());
    done();
  };
  return (
    <input
      className="flow-rename"
      autoFocus
      aria-label="Name of the flow"
      defaultValue={String(flow[key] ?? '')}
      onFocus={(event) => event.target.select()}
      onBlur={(event) => finish(event.target.value)}
      onClick={(event) => event.stopPropagation()}
      onKeyDown={(event) => {
        event.stopPropagation();
        if (event.key === 'Enter') finish(event.currentTarget.value);
        if (event.key === 'Escape') done();
      }}
    />
  );
}

function FlowMenu({ flow, close, rename, edits }: { flow: FlowNode; close: () => void; rename: () => void; edits: boolean }) {
  const item = (icon: string, label: string, run: () => void, danger = false) => (
    <button
      type="button"
      className={`menu-item${danger ? ' danger' : ''}`}
      onClick={() => {
        close();
        run();
      }}
    >
      <Icon name={icon} size={14} />
      <span>{label}</span>
    </button>
  );
  return (
    <>
      {edits && item('comment', 'Rename', rename)}
      {edits && flow.type === 'tab' && item('off', flow.disabled ? 'Enable' : 'Disable', () => toggleDisabled([flow.id]))}
      {item('export', 'Export this flow', () => {
        openFlow(flow.id);
        set({ dialog: { kind: 'export' } });
      })}
      {edits && item('trash', 'Delete', () => deleteFlow(flow.id), true)}
    </>
  );
}
