/** How messages queue: the policy of wires, the limits of a node, and whether it forgets. Each is one step of the history. */

import { Edits } from '../model/edit';
import { withLimits, type Limits, type Policy } from '../model/policies';
import type { Wire } from '../model/types';
import { setProperties } from './edits';
import { get, run } from './store';

export function setPolicy(wires: readonly Wire[], policy: Policy): void {
  const edits = new Edits(get().doc);
  for (const wire of wires) edits.setPolicy(wire, policy);
  run('set what the wire does', edits.changes());
}

/** `undefined` gives a limit back to the runtime. */
export function setLimits(id: string, patch: Partial<Limits>): void {
  const node = get().doc.nodes.get(id);
  if (node) setProperties(id, { inbox: withLimits(node, patch).inbox }, 'queue limit');
}

export function setForget(id: string, forget: boolean): void {
  setProperties(id, { forget: forget || undefined }, 'forget');
}
