/** The flow document: an ordered set of nodes whose every property is kept as it came. Knows nothing of screens. */

import type { FlowNode, Wire } from './types';

/** Immutable: every edit makes a new one that shares all untouched nodes. */
export interface Doc {
  readonly order: readonly string[];
  readonly nodes: ReadonlyMap<string, FlowNode>;
}

/** One node before and after; without `before` it is new, without `after` it goes. */
export interface Change {
  id: string;
  before?: FlowNode;
  after?: FlowNode;
  /** Where in the order the node stands when it comes (back). */
  at?: number;
}

/** What the user did, and all that is needed to do it again or take it back. */
export interface Command {
  label: string;
  changes: Change[];
  order?: { before: readonly string[]; after: readonly string[] };
  /** Commands with the same key that follow each other at once are one undo step. */
  merge?: string;
  time: number;
}

export const emptyDoc: Doc = { order: [], nodes: new Map() };

export function docFrom(list: readonly FlowNode[]): Doc {
  const nodes = new Map<string, FlowNode>();
  for (const node of list) nodes.set(node.id, node);
  return { order: [...nodes.keys()], nodes };
}

export function docList(doc: Doc): FlowNode[] {
  return doc.order.flatMap((id) => doc.nodes.get(id) ?? []);
}

export function applyCommand(doc: Doc, command: Command): Doc {
  const nodes = new Map(doc.nodes);
  const gone = new Set<string>();
  const come: Change[] = [];
  for (const change of command.changes) {
    if (change.after) {
      if (!nodes.has(change.id)) come.push(change);
      nodes.set(change.id, change.after);
    } else if (nodes.delete(change.id)) gone.add(change.id);
  }
  if (command.order) return { order: command.order.after, nodes };
  if (!gone.size && !come.length) return { order: doc.order, nodes };
  const order = doc.order.filter((id) => !gone.has(id));
  come.sort((a, b) => (a.at ?? Infinity) - (b.at ?? Infinity));
  for (const change of come) {
    if (change.at === undefined || change.at >= order.length) order.push(change.id);
    else order.splice(change.at, 0, change.id);
  }
  return { order, nodes };
}

/** The command that takes `command` back. */
export function inverse(command: Command): Command {
  return {
    ...command,
    changes: command.changes.map(({ id, before, after, at }) => ({ id, before: after, after: before, at })),
    order: command.order && { before: command.order.after, after: command.order.before },
  };
}

/** Notes where the nodes that go stand, so that they come back to the same place. */
export function withPlaces(doc: Doc, changes: readonly Change[]): Change[] {
  if (changes.every((change) => change.after)) return [...changes];
  const position = new Map(doc.order.map((id, at) => [id, at]));
  return changes.map((change) => (change.after ? change : { ...change, at: position.get(change.id) }));
}

/** Joins two commands into one that does both. */
export function mergeCommands(first: Command, second: Command): Command {
  const byId = new Map(first.changes.map((change) => [change.id, change]));
  for (const change of second.changes) {
    const earlier = byId.get(change.id);
    byId.set(change.id, earlier ? { ...earlier, after: change.after } : change);
  }
  const order = first.order && second.order ? { before: first.order.before, after: second.order.after } : (second.order ?? first.order);
  return { ...second, label: first.label, changes: [...byId.values()], order };
}

/** A config node is one without a place on a canvas. */
export const isConfig = (node: FlowNode): boolean =>
  (node.x === undefined || node.y === undefined) && node.type !== 'tab' && node.type !== 'subflow' && node.type !== 'group';

export const isFlow = (node: FlowNode): boolean => node.type === 'tab' || node.type === 'subflow';

export interface Index {
  /** Tabs and subflows in document order. */
  flows: FlowNode[];
  /** Placed nodes (no groups) of each flow. */
  placed: Map<string, FlowNode[]>;
  groups: Map<string, FlowNode[]>;
  configs: FlowNode[];
  wires: Map<string, Wire[]>;
  /** Ids of nodes wired into each node. */
  into: Map<string, Wire[]>;
}

const indexes = new WeakMap<Doc, Index>();

/** Derived lookups, computed once per document version. */
export function indexOf(doc: Doc): Index {
  const known = indexes.get(doc);
  if (known) return known;
  const index: Index = { flows: [], placed: new Map(), groups: new Map(), configs: [], wires: new Map(), into: new Map() };
  for (const id of doc.order) {
    const node = doc.nodes.get(id);
    if (!node) continue;
    if (isFlow(node)) index.flows.push(node);
    else if (isConfig(node)) index.configs.push(node);
    else push(node.type === 'group' ? index.groups : index.placed, node.z ?? '', node);
    if (!node.wires || !isFlowMember(node)) continue;
    for (const wire of wiresOf(node)) {
      const target = doc.nodes.get(wire.to);
      if (!target || target.z !== node.z) continue;
      push(index.wires, node.z ?? '', wire);
      push(index.into, wire.to, wire);
    }
  }
  indexes.set(doc, index);
  return index;
}

const isFlowMember = (node: FlowNode): boolean => Array.isArray(node.wires);

function push<V>(map: Map<string, V[]>, key: string, value: V): void {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}

export function wiresOf(node: FlowNode): Wire[] {
  const wires: Wire[] = [];
  (node.wires ?? []).forEach((targets, port) => {
    if (Array.isArray(targets)) for (const to of targets) wires.push({ from: node.id, port, to });
  });
  return wires;
}

const linksOf = (node: FlowNode): unknown[] => (Array.isArray(node.links) ? node.links : []);

/** Whether two link nodes are linked: either end may say so. A call links one way only. */
export const isLinked = (a: FlowNode, b: FlowNode): boolean =>
  linksOf(a).includes(b.id) || (a.type !== 'link call' && b.type !== 'link call' && linksOf(b).includes(a.id));

export interface LinkEnds {
  ends: FlowNode[];
  /** What the other ends are to the node; empty when it has none by its type. */
  word: string;
  /** What to say when there are none. */
  hint: string;
}

/** The link nodes of all flows at the other end of a node's links. */
export function linkEnds(doc: Doc, node: FlowNode): LinkEnds {
  const others = (...types: string[]): FlowNode[] => docList(doc).filter((one) => types.includes(one.type) && one.id !== node.id);
  if (node.type === 'link in') {
    const calls = others('link call').filter((one) => one.linkType !== 'dynamic' && isLinked(one, node));
    const outs = others('link out').filter((one) => one.mode !== 'return' && isLinked(one, node));
    return { ends: [...outs, ...calls], word: 'Messages come from', hint: 'No link out or link call node leads here yet.' };
  }
  const ins = others('link in').filter((one) => isLinked(node, one));
  if (node.type === 'link call')
    return node.linkType === 'dynamic'
      ? { ends: [], word: 'Calls', hint: 'The link in node that msg.target names, by its name or id.' }
      : { ends: ins, word: 'Calls', hint: 'No link in node is chosen yet.' };
  if (node.type === 'link out')
    return node.mode === 'return'
      ? { ends: [], word: 'Messages go to', hint: 'Back to the link call node that a message came from.' }
      : { ends: ins, word: 'Messages go to', hint: 'No link in node is chosen yet.' };
  return { ends: [], word: '', hint: '' };
}

/** The links between nodes of one flow, from the sending end to the receiving one. */
export function linksIn(doc: Doc, flow: string): { from: FlowNode; to: FlowNode }[] {
  const nodes = indexOf(doc).placed.get(flow) ?? [];
  const ins = nodes.filter((node) => node.type === 'link in');
  const sends = (node: FlowNode): boolean =>
    (node.type === 'link out' && node.mode !== 'return') || (node.type === 'link call' && node.linkType !== 'dynamic');
  return nodes.filter(sends).flatMap((from) => ins.filter((to) => isLinked(from, to)).map((to) => ({ from, to })));
}

/** The node of the document that stands for a running one: within an instance of a subflow that is the instance. */
export function standFor(doc: Doc, id: string): FlowNode | undefined {
  const exact = doc.nodes.get(id);
  if (exact) return exact;
  // What runs inside of an instance has an id that begins with the instance's.
  for (let at = id.lastIndexOf('-'); at > 0; at = id.lastIndexOf('-', at - 1)) {
    const outer = doc.nodes.get(id.slice(0, at));
    if (outer?.type.startsWith('subflow:')) return outer;
  }
  return undefined;
}

/** Nodes that name `id` in any of their properties. */
export function usersOf(doc: Doc, id: string): FlowNode[] {
  return docList(doc).filter((node) =>
    Object.entries(node).some(([key, value]) => value === id && key !== 'id' && key !== 'z' && key !== 'g'),
  );
}

/** Nodes reachable over wires, up, down or both. */
export function connected(doc: Doc, from: Iterable<string>, way: 'up' | 'down' | 'both'): Set<string> {
  const { into } = indexOf(doc);
  const seen = new Set(from);
  const queue = [...seen];
  for (let id = queue.pop(); id !== undefined; id = queue.pop()) {
    const next: string[] = [];
    const node = doc.nodes.get(id);
    if (node && way !== 'up') next.push(...wiresOf(node).map((wire) => wire.to));
    if (way !== 'down') next.push(...(into.get(id) ?? []).map((wire) => wire.from));
    for (const other of next) {
      if (seen.has(other) || !doc.nodes.has(other)) continue;
      seen.add(other);
      queue.push(other);
    }
  }
  return seen;
}

export function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
