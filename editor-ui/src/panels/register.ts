/** All actions with their keys: Node-RED's map (editor.md §2) and Tidewire's own additions. */

import { handleKey, register, type Action } from '../commands/actions';
import {
  addFlow,
  arrange,
  copySelection,
  deleteSelection,
  detachSelection,
  groupSelection,
  measureWith,
  move,
  movingIds,
  paste,
  selectAll,
  selectConnected,
  tidyUp,
  toggleDisabled,
  ungroupSelection,
  walk,
  type Arrangement,
} from '../commands/edits';
import { get, openFlow, redo, select, set, toast, undo, type DrawerTab } from '../commands/store';
import { geoOf, view } from '../canvas/view';
import { GRID } from '../model/geometry';
import { indexOf } from '../model/document';
import { live } from '../net/live';
import { deploy } from './session';

type Make = [id: string, label: string, keys: string[], run: () => void];

const any = (list: Make[]): Action[] => list.map(([id, label, keys, run]) => ({ id, label, keys, run, scope: 'any' }));
const canvas = (list: Make[]): Action[] => list.map(([id, label, keys, run]) => ({ id, label, keys, run, scope: 'canvas' }));

const drawer = (tab: DrawerTab): void => set({ drawer: true, drawerTab: tab });

function stepFlow(by: number): void {
  const { doc, activeFlow } = get();
  const { flows } = indexOf(doc);
  const at = flows.findIndex((flow) => flow.id === activeFlow);
  const next = flows[(at + by + flows.length) % flows.length];
  if (next) openFlow(next.id);
}

function nudge(dx: number, dy: number): void {
  if (get().selection.size) move(movingIds(), dx, dy, `nudge:${[...get().selection].join()}`);
}

async function pasteHere(): Promise<void> {
  const { clipboard } = get();
  // The system's clipboard may hold nodes from another window; asking for it can be refused.
  const text = (await navigator.clipboard?.readText?.().catch(() => '')) ?? '';
  if (text && paste(text, view.pointer)) return;
  if (clipboard && paste(clipboard, view.pointer)) return;
  if (text.trim().startsWith('[')) set({ dialog: { kind: 'import', text } });
  else toast('Nothing to paste: copy some nodes first.');
}

function cut(): void {
  if (copySelection()) deleteSelection();
}

const edit: Action[] = canvas([
  ['core:delete-selection', 'Delete selection', ['delete', 'backspace'], () => deleteSelection()],
  ['core:delete-selection-and-reconnect', 'Delete and reconnect', ['ctrl-delete', 'ctrl-backspace'], () => deleteSelection(true)],
  [
    'core:edit-selected-node',
    'Edit selected node',
    ['enter'],
    () => {
      set({ right: true, rightTab: 'setup' });
      window.dispatchEvent(new CustomEvent('tidewire:edit'));
    },
  ],
  [
    'core:go-to-selection',
    'Go to selection',
    ['ctrl-enter'],
    () => {
      const [id] = get().selection;
      if (id) view.reveal(id);
    },
  ],
  [
    'core:copy-selection-to-internal-clipboard',
    'Copy',
    ['ctrl-c'],
    () => {
      copySelection();
    },
  ],
  ['core:cut-selection-to-internal-clipboard', 'Cut', ['ctrl-x'], cut],
  ['core:paste-from-internal-clipboard', 'Paste', ['ctrl-v'], () => void pasteHere()],
  ['core:undo', 'Undo', ['ctrl-z'], undo],
  ['core:redo', 'Redo', ['ctrl-y', 'ctrl-shift-z'], redo],
  ['core:select-all-nodes', 'Select all nodes', ['ctrl-a'], selectAll],
  ['core:select-none', 'Select none', ['escape'], () => select([])],
  ['core:select-upstream-nodes', 'Select upstream nodes', ['alt-s u'], () => selectConnected('up')],
  ['core:select-downstream-nodes', 'Select downstream nodes', ['alt-s d'], () => selectConnected('down')],
  ['core:select-connected-nodes', 'Select connected nodes', ['alt-s c'], () => selectConnected('both')],
  ['core:detach-selected-nodes', 'Detach selected nodes', [], detachSelection],
  ['core:toggle-selected-nodes', 'Enable or disable selected nodes', [], () => toggleDisabled(get().selection)],
  ['core:show-help', 'Keys and gestures', ['?'], () => set({ dialog: { kind: 'keys' } })],
]);

const steps: Action[] = canvas([
  ['core:go-to-nearest-node-on-left', 'Nearest node left', ['arrowleft'], () => walk(-1, 0)],
  ['core:go-to-nearest-node-on-right', 'Nearest node right', ['arrowright'], () => walk(1, 0)],
  ['core:go-to-nearest-node-above', 'Nearest node above', ['arrowup'], () => walk(0, -1)],
  ['core:go-to-nearest-node-below', 'Nearest node below', ['arrowdown'], () => walk(0, 1)],
  ['core:move-selection-left', 'Move left', ['ctrl-arrowleft'], () => nudge(-1, 0)],
  ['core:move-selection-right', 'Move right', ['ctrl-arrowright'], () => nudge(1, 0)],
  ['core:move-selection-up', 'Move up', ['ctrl-arrowup'], () => nudge(0, -1)],
  ['core:move-selection-down', 'Move down', ['ctrl-arrowdown'], () => nudge(0, 1)],
  ['core:step-selection-left', 'Move left one step', ['shift-arrowleft'], () => nudge(-GRID, 0)],
  ['core:step-selection-right', 'Move right one step', ['shift-arrowright'], () => nudge(GRID, 0)],
  ['core:step-selection-up', 'Move up one step', ['shift-arrowup'], () => nudge(0, -GRID)],
  ['core:step-selection-down', 'Move down one step', ['shift-arrowdown'], () => nudge(0, GRID)],
]);

const look: Action[] = canvas([
  ['core:scroll-view-up', 'Scroll up', ['w'], () => view.panBy(0, 60)],
  ['core:scroll-view-left', 'Scroll left', ['a'], () => view.panBy(60, 0)],
  ['core:scroll-view-down', 'Scroll down', ['s'], () => view.panBy(0, -60)],
  ['core:scroll-view-right', 'Scroll right', ['d'], () => view.panBy(-60, 0)],
  ['core:step-view-up', 'Scroll up further', ['shift-w'], () => view.panBy(0, 300)],
  ['core:step-view-left', 'Scroll left further', ['shift-a'], () => view.panBy(300, 0)],
  ['core:step-view-down', 'Scroll down further', ['shift-s'], () => view.panBy(0, -300)],
  ['core:step-view-right', 'Scroll right further', ['shift-d'], () => view.panBy(-300, 0)],
  ['core:zoom-in', 'Zoom in', ['ctrl-+', 'ctrl-='], () => view.zoomTo(Math.round((view.zoom + 0.1) * 10) / 10)],
  ['core:zoom-out', 'Zoom out', ['ctrl--'], () => view.zoomTo(Math.round((view.zoom - 0.1) * 10) / 10)],
  ['core:zoom-reset', 'Zoom to 100 %', ['ctrl-0'], () => view.zoomTo(1)],
  ['core:zoom-fit', 'Show the whole flow', ['ctrl-1'], () => view.fit()],
  ['core:show-previous-tab', 'Previous flow', ['ctrl-['], () => stepFlow(-1)],
  ['core:show-next-tab', 'Next flow', ['ctrl-]'], () => stepFlow(1)],
]);

const align =
  (how: Arrangement): (() => void) =>
  () =>
    arrange(how);

const order: Action[] = canvas([
  ['core:align-selection-to-grid', 'Align to grid', ['alt-a g'], align('grid')],
  ['core:align-selection-to-left', 'Align left edges', ['alt-a l'], align('left')],
  ['core:align-selection-to-right', 'Align right edges', ['alt-a r'], align('right')],
  ['core:align-selection-to-top', 'Align top edges', ['alt-a t'], align('top')],
  ['core:align-selection-to-bottom', 'Align bottom edges', ['alt-a b'], align('bottom')],
  ['core:align-selection-to-middle', 'Align middles', ['alt-a m'], align('middle')],
  ['core:align-selection-to-center', 'Align centres', ['alt-a c'], align('centre')],
  ['core:distribute-selection-horizontally', 'Distribute horizontally', ['alt-a h'], align('horizontal')],
  ['core:distribute-selection-vertically', 'Distribute vertically', ['alt-a v'], align('vertical')],
  ['core:tidy-up', 'Tidy up', ['alt-shift-t'], tidyUp],
  ['core:group-selection', 'Group selection', ['ctrl-shift-g'], groupSelection],
  ['core:ungroup-selection', 'Ungroup', ['ctrl-shift-u'], ungroupSelection],
]);

const everywhere: Action[] = any([
  ['core:deploy-flows', 'Deploy', ['ctrl-d'], () => void deploy()],
  ['core:search', 'Search', ['ctrl-f'], () => set({ dialog: { kind: 'search' } })],
  ['core:list-flows', 'List flows', ['ctrl-shift-f'], () => set({ left: true, leftTab: 'flows' })],
  ['core:show-action-list', 'All actions', ['ctrl-shift-p'], () => set({ dialog: { kind: 'actions' } })],
  ['core:show-export-dialog', 'Export', ['ctrl-e'], () => set({ dialog: { kind: 'export' } })],
  ['core:show-import-dialog', 'Import', ['ctrl-i'], () => set({ dialog: { kind: 'import' } })],
  ['core:toggle-sidebar', 'Show or hide the inspector', ['ctrl-space'], () => set({ right: !get().right })],
  ['core:toggle-palette', 'Show or hide the left panel', ['ctrl-p', 'ctrl-alt-space'], () => set({ left: !get().left })],
  ['core:toggle-drawer', 'Show or hide the drawer', ['ctrl-`'], () => set({ drawer: !get().drawer })],
  ['core:clear-debug-messages', 'Clear debug messages', ['ctrl-alt-l'], () => live.clearDebug()],
  ['core:show-event-log', 'Event log', ['ctrl-shift-l'], () => drawer('events')],
  ['core:show-debug-tab', 'Debug', ['ctrl-g d'], () => drawer('debug')],
  ['core:show-help-tab', 'Help', ['ctrl-g h'], () => set({ right: true, rightTab: 'help' })],
  ['core:show-info-tab', 'Information', ['ctrl-g i'], () => set({ right: true, rightTab: 'setup' })],
  ['core:show-explorer-tab', 'Flows', ['ctrl-g e', 'ctrl-g c'], () => set({ left: true, leftTab: 'flows' })],
  ['core:show-palette-tab', 'Palette', ['ctrl-g p'], () => set({ left: true, leftTab: 'palette' })],
  ['core:show-failed-messages', 'Failed messages', [], () => drawer('failed')],
  ['core:show-version-control-tab', 'History of deploys', ['ctrl-g v'], () => drawer('history')],
  ['core:show-context-tab', 'Context data', ['ctrl-g x'], () => set({ right: true, rightTab: 'context' })],
  ['core:show-problems', 'Problems', [], () => drawer('problems')],
  ['core:add-flow', 'Add flow', [], addFlow],
  ['core:theme-light', 'Light theme', [], () => set({ theme: 'light' })],
  ['core:theme-dark', 'Dark theme', [], () => set({ theme: 'dark' })],
  ['core:theme-auto', 'Theme of the system', [], () => set({ theme: 'auto' })],
]);

measureWith((node) => geoOf(node).rect);
register([...everywhere, ...edit, ...steps, ...look, ...order]);

const isText = (element: EventTarget | null): boolean =>
  element instanceof HTMLElement &&
  (element.isContentEditable ||
    element instanceof HTMLTextAreaElement ||
    element instanceof HTMLSelectElement ||
    (element instanceof HTMLInputElement && !['checkbox', 'radio', 'button'].includes(element.type)));

export function listenToKeys(): () => void {
  const onKey = (event: KeyboardEvent): void => {
    if (event.defaultPrevented || get().page !== 'editor') return;
    const target = event.target as HTMLElement | null;
    const inText = isText(target) || Boolean(target?.closest?.('.modal, .popover'));
    // Enter, space and arrows belong to a focused button or tab.
    const onButton =
      target instanceof HTMLButtonElement &&
      ['Enter', ' ', 'ArrowLeft', 'ArrowRight', 'ArrowUp', 'ArrowDown'].includes(event.key) &&
      !event.ctrlKey;
    if (onButton) return;
    if (event.key === 'Escape' && isText(target) && !target?.closest('.modal, .popover')) return (target as HTMLElement).blur();
    if (handleKey(event, inText)) event.preventDefault();
  };
  window.addEventListener('keydown', onKey);
  return () => window.removeEventListener('keydown', onKey);
}
