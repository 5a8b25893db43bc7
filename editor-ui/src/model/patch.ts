/** One change to one node. */

import type { FlowNode } from './types';

/** Keeps the order of the properties; `undefined` takes a property out. */
export function withPatch(node: FlowNode, patch: Record<string, unknown>): FlowNode {
  const next: FlowNode = { ...node };
  for (const [key, value] of Object.entries(patch)) {
    if (value === undefined) delete next[key];
    else next[key] = value;
  }
  return next;
}
