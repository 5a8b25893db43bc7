/** The editor's state: document, history, selection and what is open. Changes to the document go through `run` alone. */

import { create } from 'zustand';
import { diffDocs, emptyDiff, type Diff } from '../model/diff';
import {
  applyCommand,
  emptyDoc,
  indexOf,
  inverse,
  isFlow,
  mergeCommands,
  standFor,
  withPlaces,
  type Change,
  type Command,
  type Doc,
} from '../model/document';
import { checkNode, pathKey } from '../model/schema';
import { typesFrom, type Types } from '../model/nodetypes';
import type { NodeType, Point, Problem, Wire } from '../model/types';

export interface User {
  name: string;
  role: string;
}

export interface Session {
  auth: 'on' | 'off';
  setup: boolean;
  user: User | null;
}

export type Page = 'loading' | 'login' | 'setup' | 'editor' | 'failed';
export type DrawerTab = 'debug' | 'events' | 'failed' | 'history' | 'problems';
export type LeftTab = 'palette' | 'things' | 'flows';
export type RightTab = 'setup' | 'data' | 'context' | 'help';
export type Theme = 'auto' | 'light' | 'dark';

export interface QuickAdd {
  /** Where the list opens, in the window. */
  screen: Point;
  /** Where the node goes, in the flow. */
  at: Point;
  /** Loose wire that is to be joined. */
  wire?: { node: string; port: number; way: 'out' | 'in' };
  splice?: Wire;
}

export interface Menu {
  screen: Point;
  at: Point;
  node?: string;
  wire?: Wire;
}

export type Dialog =
  | { kind: 'import'; text?: string }
  | { kind: 'export' }
  | { kind: 'actions' }
  | { kind: 'search' }
  | { kind: 'conflict'; rev: string }
  | { kind: 'restore'; position: number }
  | { kind: 'keys' };

export interface Toast {
  id: number;
  text: string;
  tone: 'info' | 'ok' | 'error';
}

export interface State {
  page: Page;
  failure: string;
  session: Session | null;
  online: boolean;
  types: Types;
  typeList: NodeType[];
  doc: Doc;
  /** What runs. */
  deployed: Doc;
  rev: string;
  past: Command[];
  future: Command[];
  /** Secrets typed since the last deploy; they are sent once and never come back. */
  secrets: Record<string, Record<string, string>>;
  activeFlow: string;
  selection: ReadonlySet<string>;
  wireSelection: ReadonlySet<string>;
  /** Config node open in the inspector. */
  inspected: string | null;
  problems: Problem[];
  hovered: string | null;
  deploying: boolean;
  /** The server runs something newer than what was loaded. */
  foreignRev: string | null;
  clipboard: string;
  dialog: Dialog | null;
  quickAdd: QuickAdd | null;
  menu: Menu | null;
  toasts: Toast[];
  left: boolean;
  leftTab: LeftTab;
  right: boolean;
  rightTab: RightTab;
  drawer: boolean;
  drawerTab: DrawerTab;
  sizes: { left: number; right: number; drawer: number };
  theme: Theme;
  recent: string[];
}

interface Saved {
  left?: boolean;
  leftTab?: LeftTab;
  right?: boolean;
  drawer?: boolean;
  drawerTab?: DrawerTab;
  sizes?: State['sizes'];
  theme?: Theme;
  recent?: string[];
}

const KEY = 'tidewire-editor';

function saved(): Saved {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? '{}') as Saved;
  } catch {
    return {};
  }
}

const before = saved();
const wide = window.innerWidth >= 900;

export const useEditor = create<State>()(() => ({
  page: 'loading',
  failure: '',
  session: null,
  online: true,
  types: new Map(),
  typeList: [],
  doc: emptyDoc,
  deployed: emptyDoc,
  rev: '',
  past: [],
  future: [],
  secrets: {},
  activeFlow: '',
  selection: new Set<string>(),
  wireSelection: new Set<string>(),
  inspected: null,
  problems: [],
  hovered: null,
  deploying: false,
  foreignRev: null,
  clipboard: '',
  dialog: null,
  quickAdd: null,
  menu: null,
  toasts: [],
  left: wide && (before.left ?? true),
  leftTab: before.leftTab ?? 'palette',
  right: wide && (before.right ?? true),
  rightTab: 'setup',
  drawer: wide && (before.drawer ?? true),
  drawerTab: before.drawerTab ?? 'debug',
  sizes: before.sizes ?? { left: 240, right: 340, drawer: 200 },
  theme: before.theme ?? 'auto',
  recent: before.recent ?? [],
}));

export const get = useEditor.getState;
export const set = useEditor.setState;

useEditor.subscribe((now, old) => {
  if (
    now.left === old.left &&
    now.leftTab === old.leftTab &&
    now.right === old.right &&
    now.drawer === old.drawer &&
    now.drawerTab === old.drawerTab &&
    now.sizes === old.sizes &&
    now.theme === old.theme &&
    now.recent === old.recent
  )
    return;
  const { left, leftTab, right, drawer, drawerTab, sizes, theme, recent } = now;
  const keep: Saved =
    window.innerWidth >= 900 ? { left, leftTab, right, drawer, drawerTab, sizes, theme, recent } : { ...saved(), theme, recent };
  try {
    localStorage.setItem(KEY, JSON.stringify(keep));
  } catch {
    // Private windows may refuse storage; the layout is then not remembered.
  }
});

/** May the user change flows? */
export const canEdit = (state: State = get()): boolean => may(state, ['editor', 'admin']);

/** May the user press buttons? */
export const canOperate = (state: State = get()): boolean => may(state, ['operator', 'editor', 'admin']);

const may = ({ session }: State, roles: string[]): boolean => session?.auth === 'off' || roles.includes(session?.user?.role ?? '');

const MERGE_MS = 1200;
const MAX_HISTORY = 500;

/** Carries out a command and remembers how to take it back. */
export function run(label: string, changes: Change[], extra: Partial<Pick<Command, 'order' | 'merge'>> = {}): boolean {
  if ((!changes.length && !extra.order) || !canEdit()) return false;
  const { doc, past } = get();
  const command: Command = { label, changes: withPlaces(doc, changes), time: Date.now(), ...extra };
  const last = past[past.length - 1];
  const merges = last && command.merge && last.merge === command.merge && command.time - last.time < MERGE_MS;
  const next = applyCommand(doc, command);
  set({
    doc: next,
    past: merges ? [...past.slice(0, -1), mergeCommands(last, command)] : [...past, command].slice(-MAX_HISTORY),
    future: [],
  });
  tidySelection(next);
  return true;
}

export function undo(): void {
  const { doc, past, future } = get();
  const command = past[past.length - 1];
  if (!command || !canEdit()) return;
  const next = applyCommand(doc, inverse(command));
  set({ doc: next, past: past.slice(0, -1), future: [...future, command] });
  tidySelection(next);
  follow(command);
}

export function redo(): void {
  const { doc, past, future } = get();
  const command = future[future.length - 1];
  if (!command || !canEdit()) return;
  const next = applyCommand(doc, command);
  set({ doc: next, past: [...past, { ...command, merge: undefined }], future: future.slice(0, -1) });
  tidySelection(next);
  follow(command);
}

/** Shows the flow in which an undone or redone command took place. */
function follow(command: Command): void {
  const { doc, activeFlow } = get();
  const homes = command.changes
    .map((change) => (change.after ?? change.before)?.z)
    .filter((z): z is string => z !== undefined && doc.nodes.has(z));
  if (homes.length && !homes.includes(activeFlow)) openFlow(homes[0]);
}

function tidySelection(doc: Doc): void {
  const { selection, wireSelection, activeFlow, inspected } = get();
  const kept = [...selection].filter((id) => doc.nodes.has(id));
  if (kept.length !== selection.size) set({ selection: new Set(kept) });
  if (wireSelection.size) {
    const wires = [...wireSelection].filter((key) => wireExists(doc, key));
    if (wires.length !== wireSelection.size) set({ wireSelection: new Set(wires) });
  }
  if (inspected && !doc.nodes.has(inspected)) set({ inspected: null });
  if (!doc.nodes.has(activeFlow)) set({ activeFlow: indexOf(doc).flows[0]?.id ?? '' });
}

export function parseWire(key: string): Wire {
  const last = key.lastIndexOf(':');
  const middle = key.lastIndexOf(':', last - 1);
  return { from: key.slice(0, middle), port: Number(key.slice(middle + 1, last)), to: key.slice(last + 1) };
}

function wireExists(doc: Doc, key: string): boolean {
  const wire = parseWire(key);
  return doc.nodes.get(wire.from)?.wires?.[wire.port]?.includes(wire.to) ?? false;
}

export function select(ids: Iterable<string>, wires: Iterable<string> = []): void {
  set({ selection: new Set(ids), wireSelection: new Set(wires), inspected: null });
}

export function openFlow(id: string): void {
  const node = get().doc.nodes.get(id);
  if (!node || !isFlow(node) || get().activeFlow === id) return;
  set({ activeFlow: id, selection: new Set(), wireSelection: new Set(), inspected: null });
  location.replace(`#flow/${id}`);
}

/** Opens the flow that holds a node, selects it and asks the canvas to show it. */
export function reveal(id: string): void {
  const node = standFor(get().doc, id);
  if (!node) return;
  if (isFlow(node)) return openFlow(node.id);
  if (node.z) openFlow(node.z);
  if (node.x === undefined) set({ inspected: node.id, selection: new Set(), right: true, rightTab: 'setup' });
  else {
    select([node.id]);
    window.dispatchEvent(new CustomEvent('tidewire:reveal', { detail: node.id }));
  }
}

/** Selects a wire and shows it in the inspector. */
export function inspectWire(key: string): void {
  select([], [key]);
  set({ right: true });
}

let nextToast = 1;

export function toast(text: string, tone: Toast['tone'] = 'info'): void {
  const id = nextToast++;
  set({ toasts: [...get().toasts.slice(-3), { id, text, tone }] });
  setTimeout(() => set({ toasts: get().toasts.filter((one) => one.id !== id) }), tone === 'error' ? 9000 : 4000);
}

export const setTypes = (list: NodeType[]): void => set({ typeList: list, types: typesFrom(list) });

const diffs = new WeakMap<Doc, { deployed: Doc; diff: Diff }>();

/** What a deploy would change. */
export function pending(state: Pick<State, 'doc' | 'deployed'>): Diff {
  if (state.doc === state.deployed) return emptyDiff;
  const known = diffs.get(state.doc);
  if (known?.deployed === state.deployed) return known.diff;
  const diff = diffDocs(state.deployed, state.doc);
  diffs.set(state.doc, { deployed: state.deployed, diff });
  return diff;
}

const checks = new WeakMap<object, Problem[]>();

/** Problems by node: the server's findings and what the schemas say at once. */
export function problemsByNode(state: Pick<State, 'doc' | 'problems' | 'types'>): Map<string, Problem[]> {
  const all = new Map<string, Problem[]>();
  const add = (problem: Problem): void => {
    const list = all.get(problem.node);
    if (!list) all.set(problem.node, [problem]);
    else if (!list.some((one) => pathKey(one.path) === pathKey(problem.path))) list.push(problem);
  };
  for (const problem of state.problems) if (state.doc.nodes.has(problem.node)) add(problem);
  for (const node of state.doc.nodes.values()) {
    const def = state.types.get(node.type);
    if (!def) continue;
    let own = checks.get(node);
    if (!own) {
      own = checkNode(node, def.schema);
      checks.set(node, own);
    }
    own.forEach(add);
  }
  return all;
}
