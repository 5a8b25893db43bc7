/** What a node looks like and how many ports it has, from its type's description; unknown types get a placeholder. */

import { docList, type Doc } from './document';
import type { FlowNode, NodeType, Role } from './types';

export type Types = ReadonlyMap<string, NodeType>;

export const typesFrom = (list: readonly NodeType[]): Map<string, NodeType> => new Map(list.map((item) => [item.type, item]));

export const isKnown = (types: Types, node: FlowNode): boolean =>
  types.has(node.type) ||
  node.type.startsWith('subflow:') ||
  node.type === 'tab' ||
  node.type === 'subflow' ||
  node.type === 'group' ||
  node.type === 'junction' ||
  node.type === 'global-config';

export function labelOf(doc: Doc, types: Types, node: FlowNode): string {
  const own = node.type === 'tab' ? node.label : node.name;
  if (typeof own === 'string' && own.trim()) return own;
  return typeLabel(doc, types, node);
}

export function typeLabel(doc: Doc, types: Types, node: FlowNode): string {
  if (node.type.startsWith('subflow:')) return doc.nodes.get(node.type.slice(8))?.name ?? 'Subflow';
  if (node.type === 'tab') return 'Flow';
  if (node.type === 'subflow') return 'Subflow';
  if (node.type === 'group') return 'Group';
  if (node.type === 'comment' && typeof node.info === 'string' && node.info) return node.info.split('\n')[0];
  return types.get(node.type)?.label ?? node.type;
}

export const roleOf = (types: Types, node: FlowNode): Role =>
  types.get(node.type)?.role ?? (node.type.startsWith('subflow:') ? 'logic' : 'system');

/** The definition of an instance, or of the subflow itself. */
export const definitionOf = (doc: Doc, node: FlowNode): FlowNode | undefined =>
  node.type.startsWith('subflow:') ? doc.nodes.get(node.type.slice(8)) : node.type === 'subflow' ? node : undefined;

/** Icon a node names: its own, its type's, or for a subflow that of its definition. */
export function iconNameOf(doc: Doc, types: Types, node: FlowNode): string | undefined {
  const definition = definitionOf(doc, node);
  const named = definition ? definition.icon : types.get(node.type)?.icon;
  // Node-RED names pictures of its own: `node-red/switch.svg`, `font-awesome/fa-bell`.
  return typeof named === 'string' && named ? named.replace(/^.*\//, '').replace(/^fa-|\.(svg|png)$/g, '') : undefined;
}

/** The colour of its own that an unknown node or a subflow brings along. */
export function colourOf(doc: Doc, types: Types, node: FlowNode): string | undefined {
  if (types.has(node.type)) return undefined;
  const colour = node.color ?? definitionOf(doc, node)?.color;
  return typeof colour === 'string' && /^#[\da-f]{3,8}$/i.test(colour) ? colour : undefined;
}

export function outputsOf(doc: Doc, types: Types, node: FlowNode): number {
  const wired = node.wires?.length ?? 0;
  if (node.type === 'junction') return 1;
  if (node.type.startsWith('subflow:')) {
    const out = doc.nodes.get(node.type.slice(8))?.out;
    return Array.isArray(out) ? out.length : wired;
  }
  const def = types.get(node.type);
  if (!def) return wired;
  if (node.type === 'switch' && Array.isArray(node.rules)) return Math.max(1, node.rules.length);
  if (typeof node.outputs === 'number' || (typeof node.outputs === 'string' && /^\d+$/.test(node.outputs))) return Number(node.outputs);
  return def.outputs.length;
}

export function inputsOf(doc: Doc, types: Types, node: FlowNode): number {
  if (node.type.startsWith('subflow:')) {
    const inputs = doc.nodes.get(node.type.slice(8))?.in;
    return Array.isArray(inputs) ? inputs.length : 1;
  }
  return types.get(node.type)?.inputs ?? 1;
}

export function outputName(types: Types, node: FlowNode, port: number): string {
  const labels = node.outputLabels;
  if (Array.isArray(labels) && typeof labels[port] === 'string' && labels[port]) return labels[port] as string;
  if (node.type === 'switch' && Array.isArray(node.rules)) {
    const rule = node.rules[port] as { t?: string; v?: unknown } | undefined;
    if (rule) return [rule.t, rule.v].filter((part) => part !== undefined && part !== '').join(' ');
  }
  return types.get(node.type)?.outputs[port] ?? `output ${port + 1}`;
}

/** A new node of a type, with the type's defaults and no wires. */
export function freshNode(
  def: NodeType | undefined,
  type: string,
  id: string,
  flow: string,
  at: { x: number; y: number },
  outputs: number,
): FlowNode {
  const defaults = def ? structuredClone(def.defaults) : {};
  return { id, type, z: flow, name: '', ...defaults, x: at.x, y: at.y, wires: Array.from({ length: outputs }, () => []) };
}

export interface Category {
  name: string;
  items: NodeType[];
}

const ORDER = [
  'common',
  'subflows',
  'input',
  'sources',
  'in',
  'logic',
  'function',
  'state',
  'log',
  'events',
  'output',
  'out',
  'network',
  'mqtt',
  'things',
  'sequence',
  'parser',
  'storage',
];

/** Subflows as palette entries: each can be put on any flow but its own. */
export function subflowTypes(doc: Doc): NodeType[] {
  return docList(doc)
    .filter((node) => node.type === 'subflow')
    .map((node) => ({
      type: `subflow:${node.id}`,
      label: node.name || 'Subflow',
      category: typeof node.category === 'string' && node.category ? node.category : 'subflows',
      role: 'logic',
      kind: 'pure',
      icon: iconNameOf(doc, new Map(), node) ?? 'subflow',
      inputs: Array.isArray(node.in) ? node.in.length : 0,
      outputs: Array.isArray(node.out) ? node.out.map((_, port) => `output ${port + 1}`) : [],
      button: false,
      keywords: ['subflow'],
      summary: typeof node.info === 'string' && node.info ? node.info.split('\n')[0] : 'A subflow of these flows.',
      help: typeof node.info === 'string' ? node.info : '',
      defaults: {},
      schema: {},
    }));
}

export function categories(list: readonly NodeType[]): Category[] {
  const byName = new Map<string, NodeType[]>();
  for (const item of list) {
    if (item.kind === 'config' || item.category === 'config') continue;
    const known = byName.get(item.category);
    if (known) known.push(item);
    else byName.set(item.category, [item]);
  }
  const rank = (name: string): number => ORDER.indexOf(name.toLowerCase()) + 1 || ORDER.length + 1;
  return [...byName].map(([name, items]) => ({ name, items })).sort((a, b) => rank(a.name) - rank(b.name));
}
