/** What a wire does when its target is behind, and how much may wait at a node: properties that are left out while usual. */

import { withPatch } from './patch';
import type { FlowNode, Wire } from './types';

export type Policy = 'block' | 'drop-oldest' | 'drop-newest' | 'latest';

export interface PolicyWords {
  policy: Policy;
  label: string;
  hint: string;
}

export const POLICIES: readonly PolicyWords[] = [
  { policy: 'block', label: 'Wait', hint: 'The sender waits until there is room. No message is lost. This is the usual way.' },
  { policy: 'drop-oldest', label: 'Drop oldest', hint: 'The message that has waited longest gives way to the new one.' },
  { policy: 'drop-newest', label: 'Drop newest', hint: 'What no longer fits is thrown away; what waits already stays.' },
  {
    policy: 'latest',
    label: 'Keep only the newest per topic',
    hint: 'A new message takes the place of one with the same topic that still waits. Fits readings of which only the last counts.',
  },
];

/** How a wire is named in `wirePolicies` of the node that sends. */
const keyOf = (wire: Wire): string => `${wire.port}:${wire.to}`;

const policiesOf = (node: FlowNode): Record<string, unknown> =>
  node.wirePolicies && typeof node.wirePolicies === 'object' && !Array.isArray(node.wirePolicies)
    ? (node.wirePolicies as Record<string, unknown>)
    : {};

export function policyOf(node: FlowNode, wire: Wire): Policy {
  const said = policiesOf(node)[keyOf(wire)];
  return POLICIES.find((one) => one.policy === said)?.policy ?? 'block';
}

const orNothing = <T extends object>(map: T): T | undefined => (Object.keys(map).length ? map : undefined);

/** The node with a policy for one of its wires; the usual one is not written down. */
export function withPolicy(node: FlowNode, wire: Wire, policy: Policy): FlowNode {
  const { [keyOf(wire)]: _, ...rest } = policiesOf(node);
  return withPatch(node, { wirePolicies: orNothing(policy === 'block' ? rest : { ...rest, [keyOf(wire)]: policy }) });
}

/** Leaves policies of wires out that the node does not have any more. */
export function fitPolicies(node: FlowNode): FlowNode {
  const all = Object.entries(policiesOf(node));
  const kept = all.filter(([key]) => {
    const [port, to] = [Number(key.slice(0, key.indexOf(':'))), key.slice(key.indexOf(':') + 1)];
    return node.wires?.[port]?.includes(to);
  });
  return kept.length === all.length ? node : withPatch(node, { wirePolicies: orNothing(Object.fromEntries(kept)) });
}

/** Policies name their targets by id: those of a copy name the copies. */
export function renamePolicies(node: FlowNode, ids: ReadonlyMap<string, string>): Record<string, unknown> | undefined {
  const all = Object.entries(policiesOf(node));
  if (!all.length) return undefined;
  return Object.fromEntries(
    all.map(([key, policy]) => {
      const [port, to] = [key.slice(0, key.indexOf(':')), key.slice(key.indexOf(':') + 1)];
      return [`${port}:${ids.get(to) ?? to}`, policy];
    }),
  );
}

export interface Limits {
  messages: number;
  bytes: number;
}

/** What the runtime takes where the flow says nothing. */
export const USUAL_LIMITS: Limits = { messages: 1024, bytes: 4 * 1024 * 1024 };

/** How much may wait at a node, as its flow file says it. */
export function ownLimits(node: FlowNode): Partial<Limits> {
  const inbox = (node.inbox && typeof node.inbox === 'object' ? node.inbox : {}) as Record<string, unknown>;
  const whole = (value: unknown): number | undefined => (typeof value === 'number' && value > 0 ? value : undefined);
  return { messages: whole(inbox.messages), bytes: whole(inbox.bytes) };
}

export function limitsOf(node: FlowNode): Limits {
  const own = ownLimits(node);
  return { messages: own.messages ?? USUAL_LIMITS.messages, bytes: own.bytes ?? USUAL_LIMITS.bytes };
}

/** The node with limits of its own; `undefined` gives one back to the runtime. */
export function withLimits(node: FlowNode, patch: Partial<Limits>): FlowNode {
  const inbox = { ...(node.inbox as object | undefined), ...patch };
  const said = Object.fromEntries(Object.entries(inbox).filter(([, value]) => value !== undefined));
  return withPatch(node, { inbox: orNothing(said) });
}
