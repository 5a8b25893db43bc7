/** What differs between two flow documents, in the words of a deploy; and the three-way merge of two edits. */

import type { Change, Doc } from './document';
import type { FlowNode } from './types';

export interface Diff {
  added: string[];
  removed: string[];
  changed: string[];
  rewired: string[];
  moved: string[];
}

export type Kind = keyof Diff;

export const emptyDiff: Diff = { added: [], removed: [], changed: [], rewired: [], moved: [] };

const PLACE = new Set(['x', 'y', 'w', 'h']);
/** Limits and policies belong to the wires: the node itself behaves as before. */
const WIRES = new Set(['wires', 'wirePolicies', 'inbox']);

export function diffDocs(before: Doc, after: Doc): Diff {
  const diff: Diff = { added: [], removed: [], changed: [], rewired: [], moved: [] };
  for (const id of after.order) {
    const now = after.nodes.get(id);
    const old = before.nodes.get(id);
    if (!now || now === old) continue;
    if (!old) diff.added.push(id);
    else {
      const kind = nodeDiff(old, now);
      if (kind) diff[kind].push(id);
    }
  }
  for (const id of before.order) if (!after.nodes.has(id)) diff.removed.push(id);
  return diff;
}

/** The strongest way in which two versions of a node differ. */
export function nodeDiff(old: FlowNode, now: FlowNode): Kind | undefined {
  const keys = changedKeys(old, now);
  if (!keys.length) return undefined;
  if (keys.some((key) => !PLACE.has(key) && !WIRES.has(key))) return 'changed';
  return keys.some((key) => WIRES.has(key)) ? 'rewired' : 'moved';
}

export function changedKeys(old: FlowNode, now: FlowNode): string[] {
  const keys = new Set([...Object.keys(old), ...Object.keys(now)]);
  return [...keys].filter((key) => !same(old[key], now[key]));
}

export const diffCount = (diff: Diff): number =>
  diff.added.length + diff.removed.length + diff.changed.length + diff.rewired.length + diff.moved.length;

/** Equality of JSON values, object key order aside. */
export function same(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const left = Object.keys(a);
  const right = Object.keys(b);
  if (left.length !== right.length) return false;
  return left.every((key) => key in b && same((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]));
}

export interface Merge {
  changes: Change[];
  /** Nodes both sides changed in different ways; `changes` takes ours for them. */
  conflicts: string[];
}

/** Our edits since `base`, as changes to `theirs`. */
export function merge(base: Doc, mine: Doc, theirs: Doc): Merge {
  const changes: Change[] = [];
  const conflicts: string[] = [];
  for (const id of new Set([...mine.order, ...base.order])) {
    const was = base.nodes.get(id);
    const ours = mine.nodes.get(id);
    const other = theirs.nodes.get(id);
    if (same(was, ours)) continue;
    if (same(ours, other)) continue;
    changes.push({ id, before: other, after: ours });
    if (!same(was, other)) conflicts.push(id);
  }
  return { changes, conflicts };
}
