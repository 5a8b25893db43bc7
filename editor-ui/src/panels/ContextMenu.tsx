/** The menu on a node, a wire or the empty canvas. */

import { invoke, keyOf, showKey } from '../commands/actions';
import { detachSelection, toggleDisabled } from '../commands/edits';
import { canEdit, get, openFlow, set, useEditor } from '../commands/store';
import { Icon } from '../kit/icons';
import { Popover } from '../kit/widgets';

interface Entry {
  icon: string;
  label: string;
  action?: string;
  run?: () => void;
  danger?: boolean;
}

export function ContextMenu() {
  const menu = useEditor((state) => state.menu);
  const edits = useEditor((state) => canEdit(state));
  if (!menu) return null;
  const { doc, selection } = get();
  const node = menu.node ? doc.nodes.get(menu.node) : undefined;
  const close = (): void => set({ menu: null });
  const entries: (Entry | null)[] = [];
  if (node) {
    entries.push({ icon: 'info', label: 'Inspect', action: 'core:edit-selected-node' });
    if (node.type.startsWith('subflow:')) entries.push({ icon: 'subflow', label: 'Open subflow', run: () => openFlow(node.type.slice(8)) });
    if (edits) {
      entries.push({ icon: 'off', label: node.d ? 'Enable' : 'Disable', run: () => toggleDisabled(selection) }, null);
      entries.push(
        { icon: 'copy', label: 'Copy', action: 'core:copy-selection-to-internal-clipboard' },
        { icon: 'minus', label: 'Cut', action: 'core:cut-selection-to-internal-clipboard' },
      );
      entries.push(
        { icon: 'tidy', label: 'Detach from wires', run: detachSelection },
        {
          icon: 'panelLeft',
          label: node.type === 'group' ? 'Ungroup' : 'Group',
          action: node.type === 'group' ? 'core:ungroup-selection' : 'core:group-selection',
        },
        null,
      );
      entries.push(
        { icon: 'link', label: 'Delete and reconnect', action: 'core:delete-selection-and-reconnect' },
        { icon: 'trash', label: 'Delete', action: 'core:delete-selection', danger: true },
      );
    }
    entries.push(
      { icon: 'filter', label: 'Select connected', action: 'core:select-connected-nodes' },
      { icon: 'export', label: 'Export…', action: 'core:show-export-dialog' },
    );
  } else if (menu.wire) {
    const { wire } = menu;
    if (edits)
      entries.push(
        { icon: 'plus', label: 'Insert a node here', run: () => set({ quickAdd: { screen: menu.screen, at: menu.at, splice: wire } }) },
        { icon: 'trash', label: 'Delete wire', action: 'core:delete-selection', danger: true },
      );
  } else {
    if (edits)
      entries.push(
        { icon: 'plus', label: 'Add a node', run: () => set({ quickAdd: { screen: menu.screen, at: menu.at } }) },
        { icon: 'copy', label: 'Paste', action: 'core:paste-from-internal-clipboard' },
        null,
      );
    entries.push({ icon: 'fit', label: 'Show the whole flow', action: 'core:zoom-fit' });
    if (edits) entries.push({ icon: 'tidy', label: 'Tidy up', action: 'core:tidy-up' });
    entries.push({ icon: 'check', label: 'Select all', action: 'core:select-all-nodes' });
    if (edits) entries.push({ icon: 'import', label: 'Import…', action: 'core:show-import-dialog' });
  }
  return (
    <Popover key={`${menu.screen.x}.${menu.screen.y}`} x={menu.screen.x} y={menu.screen.y} onClose={close} className="menu" label="Menu">
      {entries.map((entry, at) =>
        entry === null ? (
          <hr key={at} />
        ) : (
          <button
            type="button"
            key={at}
            className={`menu-item${entry.danger ? ' danger' : ''}`}
            onClick={() => {
              close();
              if (entry.run) entry.run();
              else if (entry.action) invoke(entry.action);
            }}
          >
            <Icon name={entry.icon} size={14} />
            <span>{entry.label}</span>
            {entry.action && keyOf(entry.action) && <kbd>{showKey(keyOf(entry.action))}</kbd>}
          </button>
        ),
      )}
    </Popover>
  );
}
