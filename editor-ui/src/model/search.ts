/** Finding node types and nodes by what people call them. */

import { docList, type Doc } from './document';
import type { FlowNode, NodeType } from './types';

/** Plain words for Node-RED's names; a type's own keywords come from the runtime. */
const SYNONYMS: Record<string, string[]> = {
  switch: ['if', 'condition', 'branch', 'route', 'filter', 'when'],
  change: ['set', 'remember', 'move', 'delete', 'rename', 'assign'],
  inject: ['start', 'button', 'timer', 'interval', 'schedule', 'trigger', 'every'],
  debug: ['log', 'print', 'show', 'inspect', 'console'],
  function: ['script', 'code', 'javascript'],
  'mqtt in': ['subscribe', 'sensor', 'topic', 'listen'],
  'mqtt out': ['publish', 'send', 'topic'],
  'event-store-append': ['record', 'save', 'store', 'write', 'journal', 'history'],
  'event-store-in': ['read', 'replay', 'subscribe', 'events', 'history'],
  projector: ['read model', 'aggregate', 'average', 'count', 'sum', 'latest', 'state'],
  'projection-query': ['lookup', 'query', 'get', 'read model'],
  rule: ['alert', 'alarm', 'threshold', 'hysteresis', 'when', 'if'],
  'actuator-out': ['command', 'valve', 'switch on', 'relay', 'device'],
  notifier: ['push', 'notification', 'message', 'alert', 'phone', 'ntfy', 'pushbullet'],
  simulator: ['demo', 'fake', 'test', 'virtual'],
  comment: ['note', 'sticky', 'text'],
  delay: ['wait', 'rate', 'throttle', 'slow'],
  template: ['text', 'mustache', 'format'],
  rbe: ['dedupe', 'unchanged', 'filter', 'on change'],
};

/** How well `query` fits, higher is better; 0 means not at all. */
export function typeScore(item: NodeType, query: string): number {
  const q = query.trim().toLowerCase();
  if (!q) return 1;
  const label = item.label.toLowerCase();
  const type = item.type.toLowerCase();
  if (label === q || type === q) return 100;
  if (label.startsWith(q) || type.startsWith(q)) return 80;
  const words = [...item.keywords, ...(SYNONYMS[item.type] ?? [])].map((word) => word.toLowerCase());
  if (words.some((word) => word === q)) return 70;
  if (words.some((word) => word.startsWith(q))) return 50;
  if (label.includes(q) || type.includes(q)) return 45;
  if (item.category.toLowerCase().includes(q)) return 20;
  if (q.length > 2 && item.summary.toLowerCase().includes(q)) return 10;
  return subsequence(label, q) ? 5 : 0;
}

export function findTypes(list: readonly NodeType[], query: string): NodeType[] {
  return list
    .map((item) => ({ item, score: item.kind === 'config' ? 0 : typeScore(item, query) }))
    .filter((hit) => hit.score > 0)
    .sort((a, b) => b.score - a.score)
    .map((hit) => hit.item);
}

export function subsequence(text: string, query: string): boolean {
  let at = 0;
  for (const char of query) {
    at = text.indexOf(char, at);
    if (at < 0) return false;
    at += 1;
  }
  return query.length > 2;
}

export interface Hit {
  node: FlowNode;
  /** The property in which the text was found. */
  where: string;
  excerpt: string;
}

/** Nodes that hold `query` in their id, type or any property; `type:x`, `uses:id` and `is:unused` narrow it. */
export function findNodes(doc: Doc, query: string, limit = 100): Hit[] {
  const q = query.trim().toLowerCase();
  if (!q) return [];
  const hits: Hit[] = [];
  for (const node of docList(doc)) {
    const hit = match(node, q);
    if (hit) hits.push(hit);
    if (hits.length >= limit) break;
  }
  return hits;
}

function match(node: FlowNode, q: string): Hit | undefined {
  if (q.startsWith('type:'))
    return node.type.toLowerCase().includes(q.slice(5).trim()) ? { node, where: 'type', excerpt: node.type } : undefined;
  const wanted = q.startsWith('uses:') ? q.slice(5).trim() : undefined;
  for (const [key, value] of Object.entries(node)) {
    if (key === 'wires' || key === 'x' || key === 'y') continue;
    if (wanted !== undefined) {
      if (value === wanted && key !== 'id') return { node, where: key, excerpt: wanted };
      continue;
    }
    const text =
      typeof value === 'string' ? value : typeof value === 'number' || (value && typeof value === 'object') ? JSON.stringify(value) : '';
    const at = text.toLowerCase().indexOf(q);
    if (at >= 0) return { node, where: key, excerpt: text.slice(Math.max(0, at - 20), at + q.length + 40).replaceAll('\n', ' ') };
  }
  return undefined;
}
