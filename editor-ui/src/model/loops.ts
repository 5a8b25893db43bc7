/** Which wires close a loop, by the runtime's own rule: it never lets a sender wait on one of them. */

import { docList, isLinked, wiresOf, type Doc } from './document';
import { wireKey, type FlowNode, type Wire } from './types';

/** Whoever sends on links rather than on wires: to all link in nodes that either end names. */
const linksOut = (node: FlowNode): boolean => node.type === 'link out' && node.mode !== 'return';

const known = new WeakMap<Doc, ReadonlySet<string>>();

/** Keys of the wires that lead back to where their messages came from. */
export function feedbackWires(doc: Doc): ReadonlySet<string> {
  let found = known.get(doc);
  if (!found) {
    found = find(doc);
    known.set(doc, found);
  }
  return found;
}

function find(doc: Doc): Set<string> {
  const edges = edgesOf(doc);
  const feedback = new Set<string>();
  const sources = new Map<string, string[]>();
  for (const [from, wires] of edges)
    for (const wire of wires) {
      const known = sources.get(wire.to);
      if (known) known.push(from);
      else sources.set(wire.to, [from]);
    }
  const place = new Map(doc.order.map((id, at) => [id, at]));
  const first = (ids: readonly string[]): string | undefined =>
    ids.length ? ids.reduce((a, b) => ((place.get(a) ?? 0) < (place.get(b) ?? 0) ? a : b)) : undefined;
  for (const loop of components(edges)) {
    if (loop.length === 1 && !edges.get(loop[0])?.some((wire) => wire.to === loop[0])) continue;
    const members = new Set(loop);
    const fed = loop.filter((id) => sources.get(id)?.some((source) => !members.has(source)));
    const entry = first(fed) ?? first(loop);
    if (entry !== undefined) markBackEdges(entry, members, edges, feedback);
  }
  return feedback;
}

type Edges = Map<string, Wire[]>;

function edgesOf(doc: Doc): Edges {
  const nodes = docList(doc).filter((node) => node.wires || linksOut(node));
  const ins = docList(doc).filter((node) => node.type === 'link in');
  return new Map(
    nodes.map((node) => {
      const wires = wiresOf(node).filter((wire) => doc.nodes.has(wire.to));
      const links = linksOut(node) ? ins.filter((other) => isLinked(node, other)) : [];
      return [node.id, [...wires, ...links.map((to) => ({ from: node.id, port: 0, to: to.id }))]];
    }),
  );
}

/** Tarjan's strongly connected components, with a stack of its own: flows may be chains of thousands. */
function components(edges: Edges): string[][] {
  const found: string[][] = [];
  const number = new Map<string, number>();
  const low = new Map<string, number>();
  const open: string[] = [];
  const isOpen = new Set<string>();
  let next = 0;
  const enter = (id: string): { id: string; at: number } => {
    number.set(id, next);
    low.set(id, next++);
    open.push(id);
    isOpen.add(id);
    return { id, at: 0 };
  };
  for (const start of edges.keys()) {
    if (number.has(start)) continue;
    const path = [enter(start)];
    while (path.length) {
      const step = path[path.length - 1];
      const wire = edges.get(step.id)?.[step.at++];
      if (wire) {
        const to = number.get(wire.to);
        if (to === undefined) path.push(enter(wire.to));
        else if (isOpen.has(wire.to)) low.set(step.id, Math.min(low.get(step.id) ?? 0, to));
        continue;
      }
      path.pop();
      const mine = low.get(step.id) ?? 0;
      const above = path[path.length - 1];
      if (above) low.set(above.id, Math.min(low.get(above.id) ?? 0, mine));
      if (mine !== number.get(step.id)) continue;
      const members = open.splice(open.lastIndexOf(step.id));
      members.forEach((id) => isOpen.delete(id));
      found.push(members);
    }
  }
  return found;
}

/** Depth first from where messages enter the loop: wires to a node that is on the way are those that lead back. */
function markBackEdges(entry: string, members: ReadonlySet<string>, edges: Edges, feedback: Set<string>): void {
  const onPath = new Set<string>();
  const seen = new Set<string>();
  const stack: { id: string; leaving: boolean }[] = [{ id: entry, leaving: false }];
  for (let step = stack.pop(); step; step = stack.pop()) {
    const { id, leaving } = step;
    if (leaving) {
      onPath.delete(id);
      continue;
    }
    if (seen.has(id)) continue;
    seen.add(id);
    onPath.add(id);
    stack.push({ id, leaving: true });
    for (const wire of (edges.get(id) ?? []).toReversed()) {
      if (!members.has(wire.to)) continue;
      if (onPath.has(wire.to)) feedback.add(wireKey(wire));
      else if (!seen.has(wire.to)) stack.push({ id: wire.to, leaving: false });
    }
  }
}
