/** The edits a user can make, each one command: they read the selection, change the document and select what is new. */

import { connected, docList, indexOf, newId, type Change } from '../model/document';
import {
  cloneNodes,
  Edits,
  fitGroups,
  groupFrame,
  groupNodes,
  moveNodes,
  removeFlow,
  removeNodes,
  splice,
  ungroup,
  type SizeOf,
} from '../model/edit';
import { withPatch } from '../model/patch';
import { fitPolicies } from '../model/policies';
import { CARD_H, CARD_W, GRID, bounds, cardRect, snap } from '../model/geometry';
import { freshNode, outputsOf } from '../model/nodetypes';
import { tidy } from '../model/layout';
import { closure, exportText } from '../model/transfer';
import type { FlowNode, Point, Wire } from '../model/types';
import { get, openFlow, parseWire, run, select, set, toast, type QuickAdd } from './store';

export function addNode(type: string, at: Point, options: { exact?: boolean } = {}): string | undefined {
  // The first node of all brings its flow with it.
  if (!get().doc.nodes.has(get().activeFlow)) addFlow();
  const { types, activeFlow, doc, recent } = get();
  if (!doc.nodes.has(activeFlow)) return undefined;
  const def = types.get(type);
  const id = newId();
  const where = options.exact ? at : { x: snap(at.x), y: snap(at.y) };
  const draft = freshNode(def, type, id, activeFlow, where, 0);
  const node = { ...draft, wires: Array.from({ length: outputsOf(doc, types, { ...draft, wires: undefined }) }, () => []) };
  if (!run(`add ${def?.label ?? type}`, [{ id, after: node }])) return undefined;
  set({ recent: [type, ...recent.filter((other) => other !== type)].slice(0, 5) });
  select([id]);
  return id;
}

/** Adds a node where quick-add was opened and joins the loose wire or splices the wire it came from. */
export function quickAdd(type: string, { at, wire, splice: cut }: QuickAdd): string | undefined {
  const shift = wire ? { x: at.x + (wire.way === 'out' ? CARD_W / 2 : -CARD_W / 2), y: at.y } : at;
  const id = addNode(type, shift);
  if (!id) return undefined;
  if (wire) connect(wire.way === 'out' ? { from: wire.node, port: wire.port, to: id } : { from: id, port: 0, to: wire.node });
  else if (cut) run('insert into wire', splice(get().doc, cut, id));
  return id;
}

export function connect(wire: Wire): boolean {
  const { doc } = get();
  if (wire.from === wire.to || !doc.nodes.has(wire.from) || !doc.nodes.has(wire.to)) return false;
  const edits = new Edits(doc);
  return edits.connect(wire) && run('wire', edits.changes());
}

/** Takes wires off one end and puts them on another: what a shift-drag of a port does. */
export function rewire(wires: readonly Wire[], to: { node: string; port: number; way: 'out' | 'in' } | undefined): void {
  const edits = new Edits(get().doc);
  const policies = wires.map((wire) => edits.policy(wire));
  for (const wire of wires) edits.disconnect(wire);
  if (to)
    wires.forEach((wire, at) => {
      const moved = to.way === 'in' ? { ...wire, to: to.node } : { ...wire, from: to.node, port: to.port };
      edits.connect(moved);
      edits.setPolicy(moved, policies[at]);
    });
  run(to ? 'move wires' : 'delete wires', edits.changes());
}

export function spliceSelected(wire: Wire, id: string): void {
  run('insert into wire', splice(get().doc, wire, id));
}

export function cutWires(wires: readonly Wire[]): void {
  rewire(wires, undefined);
}

let sizeOf: SizeOf = () => ({ w: CARD_W, h: CARD_H });

/** How large cards are is the canvas's knowledge; groups need it to enclose them. */
export function measureWith(size: SizeOf): void {
  sizeOf = size;
}

/** Changes that also keep the groups around moved nodes. */
function withGroups(changes: readonly Change[]): Change[] {
  const edits = new Edits(get().doc);
  for (const change of changes) if (change.after) edits.add(change.after);
  fitGroups(
    edits,
    changes.map((change) => change.id),
    sizeOf,
  );
  return edits.changes();
}

export function move(ids: Iterable<string>, dx: number, dy: number, merge?: string): void {
  run('move', withGroups(moveNodes(get().doc, ids, dx, dy)), { merge });
}

export function deleteSelection(heal = false): void {
  const { doc, selection, wireSelection } = get();
  if (wireSelection.size && !selection.size) return rewire([...wireSelection].map(parseWire), undefined);
  if (!selection.size) return;
  run(selection.size === 1 ? 'delete node' : `delete ${selection.size} nodes`, removeNodes(doc, selection, heal));
}

/** Detaches nodes from their wires; what came in goes on to what was behind. */
export function detachSelection(): void {
  const { doc, selection } = get();
  const edits = new Edits(doc);
  const removal = removeNodes(doc, selection, true);
  for (const change of removal) if (change.after && !selection.has(change.id)) edits.add(change.after);
  for (const id of selection) {
    const node = doc.nodes.get(id);
    if (node?.wires) edits.patch(id, { wires: node.wires.map((targets) => targets.filter((to) => selection.has(to))) });
  }
  run('detach', edits.changes());
}

export function setProperty(id: string, key: string, value: unknown): void {
  setProperties(id, { [key]: value }, key);
}

export function setProperties(id: string, patch: Record<string, unknown>, key = 'properties'): void {
  const { doc, types } = get();
  const before = doc.nodes.get(id);
  if (!before) return;
  // A switch has as many outputs as rules, and its file says so.
  const rules = before.type === 'switch' && Array.isArray(patch.rules) ? { outputs: patch.rules.length } : {};
  let after = withPatch(before, { ...patch, ...rules });
  if (before.wires && types.has(before.type)) after = fitWires(after, outputsOf(doc, types, after));
  run(`edit ${key}`, [{ id, before, after }], { merge: `edit:${id}:${key}` });
}

/** Links two link nodes or takes their link away, at both ends. */
export function setLinked(id: string, other: string, on: boolean): void {
  const { doc } = get();
  const changes = [
    [id, other],
    [other, id],
  ].flatMap(([end, far]) => {
    const before = doc.nodes.get(end);
    if (!before) return [];
    const links = (Array.isArray(before.links) ? (before.links as string[]) : []).filter((link) => link !== far);
    return [{ id: end, before, after: withPatch(before, { links: on ? [...links, far] : links }) }];
  });
  run(on ? 'link' : 'unlink', changes);
}

/** Gives a node as many lists of wires as it has outputs. */
function fitWires(node: FlowNode, outputs: number): FlowNode {
  const wires = node.wires ?? [];
  if (wires.length === outputs) return node;
  return fitPolicies(withPatch(node, { wires: Array.from({ length: outputs }, (_, port) => wires[port] ?? []) }));
}

export function setSecret(id: string, key: string, value: string): void {
  const { secrets } = get();
  set({ secrets: { ...secrets, [id]: { ...secrets[id], [key]: value } } });
}

export function toggleDisabled(ids: Iterable<string>): void {
  const { doc } = get();
  const nodes = [...ids].flatMap((id) => doc.nodes.get(id) ?? []);
  if (!nodes.length) return;
  const isOff = (node: FlowNode): boolean => (node.type === 'tab' ? node.disabled === true : node.d === true);
  const off = !nodes.every(isOff);
  run(
    off ? 'disable' : 'enable',
    nodes.map((node) => ({
      id: node.id,
      before: node,
      after: withPatch(node, node.type === 'tab' ? { disabled: off } : { d: off || undefined }),
    })),
  );
}

/** Creates a config node and gives its id. */
export function addConfig(type: string): string {
  const def = get().types.get(type);
  const id = newId();
  const node: FlowNode = { id, type, name: '', ...(def ? structuredClone(def.defaults) : {}) };
  run(`add ${def?.label ?? type}`, [{ id, after: node }]);
  return id;
}

export function addFlow(): void {
  const { doc } = get();
  const count = indexOf(doc).flows.filter((flow) => flow.type === 'tab').length;
  const id = newId();
  // A new tab stands behind the last one, before the nodes.
  const last = doc.order.findLastIndex((other) => doc.nodes.get(other)?.type === 'tab');
  run('add flow', [{ id, at: last + 1, after: { id, type: 'tab', label: `Flow ${count + 1}`, disabled: false, info: '', env: [] } }]);
  openFlow(id);
}

export function deleteFlow(id: string): void {
  run('delete flow', removeFlow(get().doc, id));
}

/** Puts a tab in front of another one, or at the end. */
export function moveFlow(id: string, target: string | undefined): void {
  const { doc } = get();
  if (id === target) return;
  const order = doc.order.filter((other) => other !== id);
  const at = target ? order.indexOf(target) : order.findLastIndex((other) => doc.nodes.get(other)?.type === 'tab') + 1;
  order.splice(at < 0 ? order.length : at, 0, id);
  run('move flow', [], { order: { before: doc.order, after: order } });
}

export function selectAll(): void {
  const { doc, activeFlow } = get();
  const index = indexOf(doc);
  select([...(index.placed.get(activeFlow) ?? []), ...(index.groups.get(activeFlow) ?? [])].map((node) => node.id));
}

export function selectConnected(way: 'up' | 'down' | 'both'): void {
  const { doc, selection } = get();
  select(connected(doc, selection, way));
}

function selectedNodes(): FlowNode[] {
  const { doc, selection } = get();
  const ids = new Set(selection);
  for (const id of selection) {
    const node = doc.nodes.get(id);
    if (node?.type === 'group') for (const member of groupMembers(node)) ids.add(member);
  }
  return docList(doc).filter((node) => ids.has(node.id));
}

function groupMembers(group: FlowNode): string[] {
  const { doc } = get();
  const list = Array.isArray(group.nodes) ? (group.nodes as string[]) : [];
  return list.flatMap((id) => {
    const node = doc.nodes.get(id);
    return node?.type === 'group' ? [id, ...groupMembers(node)] : [id];
  });
}

/** The selection as it moves: members of selected groups go with them. */
export function movingIds(): Set<string> {
  return new Set(selectedNodes().map((node) => node.id));
}

export function copySelection(): boolean {
  const nodes = selectedNodes();
  if (!nodes.length) return false;
  const text = exportText(nodes, false);
  set({ clipboard: text });
  // The system's clipboard is not there on plain http; copies inside the editor work without it.
  void navigator.clipboard?.writeText(text).catch(() => undefined);
  toast(`${nodes.length} ${nodes.length === 1 ? 'node' : 'nodes'} copied`);
  return true;
}

export function paste(text: string, at?: Point): boolean {
  const { activeFlow } = get();
  let nodes: FlowNode[];
  try {
    nodes = JSON.parse(text) as FlowNode[];
  } catch {
    return false;
  }
  if (
    !Array.isArray(nodes) ||
    !nodes.length ||
    nodes.some((node) => typeof node?.id !== 'string' || node.type === 'tab' || node.type === 'subflow')
  )
    return false;
  const placed = nodes.filter((node) => node.x !== undefined && node.y !== undefined);
  const area = bounds(placed.map((node) => cardRect(node, 0, 0)));
  const offset = at && area ? { x: snap(at.x - area.x), y: snap(at.y - area.y) } : { x: GRID, y: GRID };
  const known = get().doc;
  const fresh = cloneNodes(
    nodes.filter((node) => node.x !== undefined || !known.nodes.has(node.id)),
    offset,
    activeFlow,
  );
  const ok = run(
    `paste ${fresh.length}`,
    fresh.map((node) => ({ id: node.id, after: node })),
  );
  if (ok) select(fresh.filter((node) => node.x !== undefined).map((node) => node.id));
  return ok;
}

export function groupSelection(): void {
  const { doc } = get();
  const nodes = selectedNodes().filter((node) => node.x !== undefined);
  const rects = nodes.map((node) => {
    if (node.type === 'group') return { x: node.x ?? 0, y: node.y ?? 0, w: node.w ?? 0, h: node.h ?? 0 };
    const { w, h } = sizeOf(node);
    return cardRect(node, w, h);
  });
  const area = bounds(rects);
  if (area) run('group', groupNodes(doc, new Set(nodes.map((node) => node.id)), groupFrame(area)));
}

export function ungroupSelection(): void {
  run('ungroup', ungroup(get().doc, get().selection));
}

export function tidyUp(): void {
  const { doc, selection, activeFlow } = get();
  const ids = selection.size > 1 ? selection : new Set((indexOf(doc).placed.get(activeFlow) ?? []).map((node) => node.id));
  place('tidy up', tidy(doc, ids));
}

function place(label: string, places: Map<string, Point>): void {
  const { doc } = get();
  const changes: Change[] = [];
  for (const [id, point] of places) {
    const node = doc.nodes.get(id);
    if (node && (node.x !== point.x || node.y !== point.y)) changes.push({ id, before: node, after: withPatch(node, { ...point }) });
  }
  run(label, withGroups(changes));
}

export type Arrangement = 'grid' | 'left' | 'right' | 'top' | 'bottom' | 'middle' | 'centre' | 'horizontal' | 'vertical';

export function arrange(how: Arrangement): void {
  const nodes = selectedNodes().filter((node) => node.x !== undefined && node.type !== 'group');
  if (nodes.length < (how === 'grid' ? 1 : 2)) return;
  const xs = nodes.map((node) => node.x ?? 0);
  const ys = nodes.map((node) => node.y ?? 0);
  const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const spread = (axis: 'x' | 'y', low: number, high: number): Map<string, Point> => {
    const sorted = [...nodes].sort((a, b) => (a[axis] ?? 0) - (b[axis] ?? 0));
    const step = (high - low) / (sorted.length - 1);
    return new Map(sorted.map((node, at) => [node.id, { x: node.x ?? 0, y: node.y ?? 0, [axis]: Math.round(low + step * at) }]));
  };
  if (how === 'horizontal') return place('distribute', spread('x', left, right));
  if (how === 'vertical') return place('distribute', spread('y', top, bottom));
  const to: Record<string, (node: FlowNode) => Partial<Point>> = {
    grid: (node) => ({ x: snap(node.x ?? 0), y: snap(node.y ?? 0) }),
    left: () => ({ x: left }),
    right: () => ({ x: right }),
    top: () => ({ y: top }),
    bottom: () => ({ y: bottom }),
    middle: () => ({ y: Math.round((top + bottom) / 2) }),
    centre: () => ({ x: Math.round((left + right) / 2) }),
  };
  place('align', new Map(nodes.map((node) => [node.id, { x: node.x ?? 0, y: node.y ?? 0, ...to[how](node) }])));
}

/** Selects the nearest node in a direction. */
export function walk(dx: number, dy: number): void {
  const { doc, selection, activeFlow } = get();
  const all = indexOf(doc).placed.get(activeFlow) ?? [];
  const from = doc.nodes.get([...selection][selection.size - 1] ?? '');
  if (!from) {
    if (all.length) select([all[0].id]);
    return;
  }
  let best: FlowNode | undefined;
  let least = Infinity;
  for (const node of all) {
    const [x, y] = [(node.x ?? 0) - (from.x ?? 0), (node.y ?? 0) - (from.y ?? 0)];
    const along = x * dx + y * dy;
    const across = Math.abs(x * dy) + Math.abs(y * dx);
    if (node === from || along <= 0 || across > along * 3) continue;
    if (along + across * 2 < least) {
      least = along + across * 2;
      best = node;
    }
  }
  if (best) reveals(best.id);
}

function reveals(id: string): void {
  select([id]);
  window.dispatchEvent(new CustomEvent('tidewire:reveal', { detail: id }));
}

/** What an export of a scope holds. */
export function exportNodes(scope: 'selection' | 'flow' | 'all'): FlowNode[] {
  const { doc, activeFlow } = get();
  if (scope === 'all') return docList(doc);
  if (scope === 'selection')
    return closure(
      doc,
      selectedNodes().map((node) => node.id),
    );
  return closure(doc, [activeFlow, ...doc.order.filter((id) => doc.nodes.get(id)?.z === activeFlow)]);
}
