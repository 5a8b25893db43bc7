/** Reading and writing flow files: exact JSON, errors with line and column, the report before an import, id conflicts. */

import { isConfig, newId, type Change, type Doc } from './document';
import { remap } from './edit';
import { isKnown, type Types } from './nodetypes';
import { same } from './diff';
import type { FlowNode } from './types';

interface ExactJson {
  rawJSON?: (text: string) => unknown;
  parse: (text: string, reviver: (key: string, value: unknown, context?: { source?: string }) => unknown) => unknown;
}

/** Parses JSON without rounding integers that a double cannot hold. */
export function parseExact(text: string): unknown {
  const json = JSON as unknown as ExactJson;
  if (!json.rawJSON || !/\d{16,}/.test(text)) return JSON.parse(text);
  const raw = json.rawJSON;
  return json.parse(text, (_key, value, context) => {
    const source = context?.source;
    return typeof value === 'number' && source && /^-?\d{16,}$/.test(source) && String(value) !== source ? raw(source) : value;
  });
}

export interface ParseFailure {
  line: number;
  column: number;
  text: string;
}

export type Parsed = { nodes: FlowNode[] } | { failure: ParseFailure };

/** Reads a flow file: an array of nodes, or Node-RED's `{flows: […]}`. */
export function parseFlows(text: string): Parsed {
  let value: unknown;
  try {
    value = parseExact(text);
  } catch (error) {
    return { failure: locate(text, error) };
  }
  const list = Array.isArray(value)
    ? value
    : value && typeof value === 'object' && Array.isArray((value as { flows?: unknown }).flows)
      ? (value as { flows: unknown[] }).flows
      : undefined;
  if (!list) return { failure: { line: 1, column: 1, text: 'This is JSON, but not a flow file: a list of nodes is expected.' } };
  const bad = list.findIndex(
    (item) => !item || typeof item !== 'object' || typeof (item as FlowNode).id !== 'string' || typeof (item as FlowNode).type !== 'string',
  );
  if (bad >= 0) return { failure: { line: 1, column: 1, text: `Entry ${bad + 1} has no id or no type, so it is not a node.` } };
  return { nodes: list as FlowNode[] };
}

function locate(text: string, error: unknown): ParseFailure {
  const message = error instanceof Error ? error.message : String(error);
  const at = failureOffset(text, message);
  const before = text.slice(0, at);
  const line = before.split('\n').length;
  const column = at - before.lastIndexOf('\n');
  const cut = /end of JSON|unterminated|Expected .* after/i.test(message) && at >= text.trimEnd().length - 1;
  return { line, column, text: cut ? 'The end seems to be missing: was the text cut off when it was copied?' : tidy(message) };
}

function failureOffset(text: string, message: string): number {
  const position = /position (\d+)/.exec(message);
  if (position) return Number(position[1]);
  const place = /line (\d+) column (\d+)/.exec(message);
  if (!place) return text.length;
  const lines = text.split('\n').slice(0, Number(place[1]) - 1);
  return lines.reduce((sum, line) => sum + line.length + 1, 0) + Number(place[2]) - 1;
}

const tidy = (message: string): string =>
  message
    .replace(/^JSON\.parse: /, '')
    .replace(/ in JSON at position.*$/, '')
    .replace(/\(line \d+ column \d+\)/, '')
    .trim();

export interface Report {
  total: number;
  tabs: FlowNode[];
  /** Nodes that run as they are. */
  known: FlowNode[];
  /** Unknown types and how many nodes of each: kept as inert placeholders. */
  unknown: { type: string; count: number }[];
  disabled: number;
  /** What the file holds besides nodes on flows. */
  structure: { subflows: number; instances: number; groups: number; links: number };
  /** Nodes whose id is taken by a different node here. */
  conflicts: FlowNode[];
  /** Nodes that are here already, just the same. */
  present: number;
  duplicates: string[];
}

/** Stands for the type of an instance whose subflow came neither with the file nor is here. */
const MISSING_SUBFLOW = 'instance of a missing subflow';

const count = (counts: Map<string, number>, key: string): void => void counts.set(key, (counts.get(key) ?? 0) + 1);

export function report(doc: Doc, types: Types, nodes: readonly FlowNode[]): Report {
  const unknown = new Map<string, number>();
  const seen = new Set<string>();
  const structure = { subflows: 0, instances: 0, groups: 0, links: 0 };
  const out: Report = {
    total: nodes.length,
    tabs: [],
    known: [],
    unknown: [],
    disabled: 0,
    structure,
    conflicts: [],
    present: 0,
    duplicates: [],
  };
  const definitions = new Set(nodes.filter((node) => node.type === 'subflow').map((node) => node.id));
  const isMissing = (id: string): boolean => !definitions.has(id) && doc.nodes.get(id)?.type !== 'subflow';
  for (const node of nodes) {
    if (seen.has(node.id)) out.duplicates.push(node.id);
    seen.add(node.id);
    if (node.type === 'subflow') structure.subflows += 1;
    if (node.type === 'group') structure.groups += 1;
    if (node.type.startsWith('link ')) structure.links += 1;
    if (node.type.startsWith('subflow:')) structure.instances += 1;
    if (node.type === 'tab') out.tabs.push(node);
    else if (node.type.startsWith('subflow:') && isMissing(node.type.slice(8))) count(unknown, MISSING_SUBFLOW);
    else if (isKnown(types, node)) out.known.push(node);
    else count(unknown, node.type);
    if (node.d === true || node.disabled === true) out.disabled += 1;
    const here = doc.nodes.get(node.id);
    if (here) {
      if (same(here, node)) out.present += 1;
      else out.conflicts.push(node);
    }
  }
  out.unknown = [...unknown].map(([type, number]) => ({ type, count: number })).sort((a, b) => b.count - a.count);
  return out;
}

export type Choice = 'mine' | 'theirs' | 'both';

/** The changes that import `nodes`. `flow` takes nodes whose tab is not part of the import; `choices` settle each taken id. */
export function importChanges(
  doc: Doc,
  nodes: readonly FlowNode[],
  flow: string | undefined,
  choices: ReadonlyMap<string, Choice>,
): Change[] {
  const incoming = new Set(nodes.map((node) => node.id));
  const ids = new Map<string, string>();
  for (const node of nodes)
    if (doc.nodes.has(node.id) && (choices.get(node.id) ?? 'both') === 'both' && !same(doc.nodes.get(node.id), node))
      ids.set(node.id, newId());
  const changes: Change[] = [];
  for (const node of nodes) {
    const here = doc.nodes.get(node.id);
    if (here && (same(here, node) || choices.get(node.id) === 'mine')) continue;
    let after = ids.size ? remap(node, ids) : node;
    const home = node.z;
    if (home !== undefined && !incoming.has(home) && !doc.nodes.has(home) && flow) after = { ...after, z: flow };
    else if (home === undefined && !isConfig(node) && node.type !== 'tab' && node.type !== 'subflow' && flow) after = { ...after, z: flow };
    changes.push({ id: after.id, before: doc.nodes.get(after.id), after });
  }
  return changes;
}

export function exportText(nodes: readonly FlowNode[], formatted: boolean): string {
  return JSON.stringify(nodes, null, formatted ? 4 : 0);
}

/** A tab or selection together with the config nodes and subflows it refers to. */
export function closure(doc: Doc, start: Iterable<string>): FlowNode[] {
  const take = new Set<string>();
  const queue = [...start];
  for (let id = queue.pop(); id !== undefined; id = queue.pop()) {
    const node = doc.nodes.get(id);
    if (!node || take.has(id)) continue;
    take.add(id);
    if (node.type.startsWith('subflow:')) {
      const subflow = node.type.slice(8);
      queue.push(subflow, ...doc.order.filter((other) => doc.nodes.get(other)?.z === subflow));
    }
    for (const [key, value] of Object.entries(node)) {
      if (key === 'z' || key === 'g' || key === 'wires' || typeof value !== 'string') continue;
      const other = doc.nodes.get(value);
      if (other && isConfig(other)) queue.push(value);
    }
  }
  return doc.order.flatMap((id) => (take.has(id) ? (doc.nodes.get(id) ?? []) : []));
}
