/** Pure edits: each takes a document and gives the changes that carry it out, or none when there is nothing to do. */

import { indexOf, newId, wiresOf, type Change, type Doc } from './document';
import { CARD_H, bounds, cardRect } from './geometry';
import { withPatch } from './patch';
import { fitPolicies, policyOf, renamePolicies, withPolicy, type Policy } from './policies';
import type { FlowNode, Point, Rect, Wire } from './types';

const change = (before: FlowNode, patch: Partial<FlowNode>): Change => ({ id: before.id, before, after: withPatch(before, patch) });

/** Collects edits to the same nodes so that each appears once. */
export class Edits {
  private readonly after = new Map<string, FlowNode | undefined>();

  constructor(private readonly doc: Doc) {}

  get(id: string): FlowNode | undefined {
    return this.after.has(id) ? this.after.get(id) : this.doc.nodes.get(id);
  }

  add(node: FlowNode): void {
    this.after.set(node.id, node);
  }

  remove(id: string): void {
    this.after.set(id, undefined);
  }

  patch(id: string, patch: Record<string, unknown>): void {
    const node = this.get(id);
    if (node) this.after.set(id, withPatch(node, patch));
  }

  connect(wire: Wire): boolean {
    const node = this.get(wire.from);
    if (!node) return false;
    const wires = (node.wires ?? []).map((targets) => [...targets]);
    while (wires.length <= wire.port) wires.push([]);
    if (wires[wire.port].includes(wire.to)) return false;
    wires[wire.port].push(wire.to);
    this.patch(wire.from, { wires });
    return true;
  }

  disconnect(wire: Wire): void {
    const node = this.get(wire.from);
    if (!node?.wires) return;
    const wires = node.wires.map((targets, port) => (port === wire.port ? targets.filter((to) => to !== wire.to) : targets));
    this.patch(wire.from, { wires });
  }

  policy(wire: Wire): Policy {
    const node = this.get(wire.from);
    return node ? policyOf(node, wire) : 'block';
  }

  setPolicy(wire: Wire, policy: Policy): void {
    const node = this.get(wire.from);
    if (node && policyOf(node, wire) !== policy) this.after.set(node.id, withPolicy(node, wire, policy));
  }

  changes(): Change[] {
    const list: Change[] = [];
    for (const [id, edited] of this.after) {
      const before = this.doc.nodes.get(id);
      // A policy goes with its wire.
      const after = edited && edited.wires !== before?.wires ? fitPolicies(edited) : edited;
      if (before !== after) list.push({ id, before, after });
    }
    return list;
  }
}

export function moveNodes(doc: Doc, ids: Iterable<string>, dx: number, dy: number): Change[] {
  if (!dx && !dy) return [];
  return [...ids].flatMap((id) => {
    const node = doc.nodes.get(id);
    return node?.x === undefined || node.y === undefined ? [] : [change(node, { x: node.x + dx, y: node.y + dy })];
  });
}

/** Takes nodes and all wires to them out; with `heal`, their sources are wired to their targets. */
export function removeNodes(doc: Doc, ids: ReadonlySet<string>, heal: boolean): Change[] {
  const edits = new Edits(doc);
  const { into } = indexOf(doc);
  for (const id of ids) {
    const node = doc.nodes.get(id);
    if (!node) continue;
    for (const wire of into.get(id) ?? []) if (!ids.has(wire.from)) edits.disconnect(wire);
    if (node.g) detachFromGroup(edits, node);
    if (node.type === 'group') for (const member of members(node)) if (!ids.has(member)) edits.patch(member, { g: node.g });
  }
  if (heal) for (const wire of healing(doc, ids)) edits.connect(wire);
  for (const id of ids) edits.remove(id);
  return edits.changes();
}

function detachFromGroup(edits: Edits, node: FlowNode): void {
  const group = edits.get(node.g ?? '');
  if (group) edits.patch(group.id, { nodes: members(group).filter((id) => id !== node.id) });
}

export const members = (group: FlowNode): string[] => (Array.isArray(group.nodes) ? (group.nodes as string[]) : []);

function healing(doc: Doc, ids: ReadonlySet<string>): Wire[] {
  const { into } = indexOf(doc);
  const wires: Wire[] = [];
  for (const id of ids) {
    for (const entry of (into.get(id) ?? []).filter((wire) => !ids.has(wire.from))) {
      const down = connectedWithin(doc, id, ids);
      for (const to of down) wires.push({ ...entry, to });
    }
  }
  return wires;
}

/** Targets outside `ids` that are reached from `start` through nodes of `ids` only. */
function connectedWithin(doc: Doc, start: string, ids: ReadonlySet<string>): Set<string> {
  const out = new Set<string>();
  const seen = new Set([start]);
  const queue = [start];
  for (let id = queue.pop(); id !== undefined; id = queue.pop()) {
    const node = doc.nodes.get(id);
    for (const wire of node ? wiresOf(node) : []) {
      if (!ids.has(wire.to)) out.add(wire.to);
      else if (!seen.has(wire.to)) {
        seen.add(wire.to);
        queue.push(wire.to);
      }
    }
  }
  return out;
}

/** Puts `node` between the two ends of `wire`. */
export function splice(doc: Doc, wire: Wire, id: string, edits = new Edits(doc)): Change[] {
  const policy = edits.policy(wire);
  edits.disconnect(wire);
  edits.connect({ ...wire, to: id });
  edits.connect({ from: id, port: 0, to: wire.to });
  // It says what happens when the target is behind, so it goes with the wire that leads there.
  edits.setPolicy({ from: id, port: 0, to: wire.to }, policy);
  return edits.changes();
}

/** Removes a tab or subflow with all it holds. */
export function removeFlow(doc: Doc, flow: string): Change[] {
  const ids = doc.order.filter((id) => id === flow || doc.nodes.get(id)?.z === flow);
  return ids.map((id) => ({ id, before: doc.nodes.get(id) }));
}

/** Copies of nodes with new ids; references among them follow. */
export function cloneNodes(nodes: readonly FlowNode[], offset: Point, flow: string): FlowNode[] {
  const ids = new Map(nodes.map((node) => [node.id, newId()]));
  return nodes.map((node) => {
    const copy = remap(node, ids);
    if (node.x !== undefined && node.y !== undefined) {
      copy.x = Math.round(node.x + offset.x);
      copy.y = Math.round(node.y + offset.y);
    }
    if (node.z !== undefined && !ids.has(node.z)) copy.z = flow;
    if (node.g && !ids.has(node.g)) delete copy.g;
    if (node.wires) copy.wires = node.wires.map((targets) => targets.filter((to) => ids.has(to)).map((to) => ids.get(to) ?? to));
    return fitPolicies(copy);
  });
}

/** Replaces every id of `ids` wherever it stands as a whole string. */
export function remap(node: FlowNode, ids: ReadonlyMap<string, string>): FlowNode {
  const walk = (value: unknown): unknown => {
    if (typeof value === 'string') {
      const plain = ids.get(value);
      if (plain) return plain;
      const subflow = value.startsWith('subflow:') ? ids.get(value.slice(8)) : undefined;
      return subflow ? `subflow:${subflow}` : value;
    }
    if (Array.isArray(value)) return value.map(walk);
    // A number kept as its source text must stay that very object.
    if (value && typeof value === 'object' && 'rawJSON' in value && Object.isFrozen(value)) return value;
    if (value && typeof value === 'object') return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, walk(inner)]));
    return value;
  };
  const next = walk(node) as FlowNode;
  const wirePolicies = renamePolicies(node, ids);
  return wirePolicies ? { ...next, wirePolicies } : next;
}

export function groupNodes(doc: Doc, ids: ReadonlySet<string>, frame: { x: number; y: number; w: number; h: number }): Change[] {
  const nodes = [...ids].flatMap((id) => doc.nodes.get(id) ?? []).filter((node) => node.x !== undefined);
  if (!nodes.length) return [];
  const edits = new Edits(doc);
  const id = newId();
  for (const node of nodes) {
    if (node.g) detachFromGroup(edits, node);
    edits.patch(node.id, { g: id });
  }
  edits.add({ id, type: 'group', z: nodes[0].z, name: '', style: { label: true }, nodes: nodes.map((node) => node.id), ...frame });
  return edits.changes();
}

export type SizeOf = (node: FlowNode) => { w: number; h: number };

/** Frames of the groups around moved nodes, so that each still encloses its members. Changes what `edits` holds. */
export function fitGroups(edits: Edits, moved: Iterable<string>, size: SizeOf): void {
  const ids = new Set(moved);
  const queue = [...ids].flatMap((id) => edits.get(id)?.g ?? []);
  for (let id = queue.shift(); id !== undefined; id = queue.shift()) {
    const group = edits.get(id);
    // A group that moves takes its members along and keeps its size.
    if (!group || ids.has(id)) continue;
    const area = bounds(members(group).flatMap((member) => frameOf(edits.get(member), size)));
    if (!area) continue;
    edits.patch(id, { ...groupFrame(area) });
    if (group.g) queue.push(group.g);
  }
}

function frameOf(node: FlowNode | undefined, size: SizeOf): Rect[] {
  if (node?.x === undefined || node.y === undefined) return [];
  if (node.type === 'group') return [{ x: node.x, y: node.y, w: node.w ?? 0, h: node.h ?? 0 }];
  const { w, h } = size(node);
  return [cardRect(node, w, h)];
}

/** Room for the label above and for the live rows below. */
export const groupFrame = (area: Rect): Rect => ({ x: area.x - 20, y: area.y - 36, w: area.w + 40, h: area.h + 36 + CARD_H });

export function ungroup(doc: Doc, groups: Iterable<string>): Change[] {
  const edits = new Edits(doc);
  for (const id of groups) {
    const group = doc.nodes.get(id);
    if (group?.type !== 'group') continue;
    for (const member of members(group)) edits.patch(member, { g: group.g });
    edits.remove(id);
  }
  return edits.changes();
}
