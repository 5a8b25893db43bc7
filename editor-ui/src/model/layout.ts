/** Tidy up: places connected nodes in columns from left to right and keeps separate chains apart. */

import { indexOf, type Doc } from './document';
import { snap } from './geometry';
import type { FlowNode, Point } from './types';

const COLUMN = 220;
const ROW = 60;

/** New centres for `ids`; the top left corner of the old picture is kept. */
export function tidy(doc: Doc, ids: ReadonlySet<string>): Map<string, Point> {
  const nodes = [...ids].flatMap((id) => doc.nodes.get(id) ?? []).filter((node) => node.type !== 'group');
  const places = new Map<string, Point>();
  if (!nodes.length) return places;
  const left = Math.min(...nodes.map((node) => node.x ?? 100));
  let top = Math.min(...nodes.map((node) => node.y ?? 80));
  for (const part of parts(doc, nodes)) {
    const columns = rank(doc, part);
    const height = Math.max(...columns.map((column) => column.length));
    columns.forEach((column, at) => {
      column.forEach((node, row) =>
        places.set(node.id, { x: snap(left + at * COLUMN), y: snap(top + (row + (height - column.length) / 2) * ROW) }),
      );
    });
    top += height * ROW + 20;
  }
  return places;
}

/** Connected parts, from the top down. */
function parts(doc: Doc, nodes: readonly FlowNode[]): FlowNode[][] {
  const { into } = indexOf(doc);
  const left = new Map(nodes.map((node) => [node.id, node]));
  const out: FlowNode[][] = [];
  for (const start of [...nodes].sort((a, b) => (a.y ?? 0) - (b.y ?? 0))) {
    if (!left.has(start.id)) continue;
    const part: FlowNode[] = [];
    const queue = [start.id];
    for (let id = queue.pop(); id !== undefined; id = queue.pop()) {
      const node = left.get(id);
      if (!node) continue;
      left.delete(id);
      part.push(node);
      queue.push(...(node.wires ?? []).flat(), ...(into.get(id) ?? []).map((wire) => wire.from));
    }
    out.push(part);
  }
  return out;
}

/** Columns by longest path from a source; loops are cut where they are met. */
function rank(doc: Doc, part: readonly FlowNode[]): FlowNode[][] {
  const { into } = indexOf(doc);
  const inside = new Map(part.map((node) => [node.id, node]));
  const level = new Map<string, number>();
  const busy = new Set<string>();
  const visit = (id: string): number => {
    const known = level.get(id);
    if (known !== undefined) return known;
    if (busy.has(id)) return -1;
    busy.add(id);
    let deepest = -1;
    for (const wire of into.get(id) ?? []) if (inside.has(wire.from)) deepest = Math.max(deepest, visit(wire.from));
    busy.delete(id);
    level.set(id, deepest + 1);
    return deepest + 1;
  };
  const columns: FlowNode[][] = [];
  for (const node of part) (columns[visit(node.id)] ??= []).push(node);
  const filled = columns.filter(Boolean);
  for (const column of filled) column.sort((a, b) => (a.y ?? 0) - (b.y ?? 0));
  return filled;
}
