/** The shapes every layer speaks of: flow nodes, node types, problems. No behaviour. */

export interface FlowNode {
  id: string;
  type: string;
  /** Tab or subflow that holds the node; global when missing. */
  z?: string;
  x?: number;
  y?: number;
  w?: number;
  h?: number;
  wires?: string[][];
  name?: string;
  label?: string;
  info?: string;
  /** Switched off. */
  d?: boolean;
  /** Switched off, as tabs say it. */
  disabled?: boolean;
  /** Group. */
  g?: string;
  [key: string]: unknown;
}

export type Role = 'in' | 'logic' | 'state' | 'out' | 'system';

/** A JSON Schema with the editor's own `x-` keys; only what the form reads is named. */
export interface Schema {
  type?: string | string[];
  title?: string;
  description?: string;
  default?: unknown;
  enum?: unknown[];
  const?: unknown;
  oneOf?: Schema[];
  anyOf?: Schema[];
  allOf?: Schema[];
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
  pattern?: string;
  format?: string;
  examples?: unknown[];
  $ref?: string;
  $defs?: Record<string, Schema>;
  definitions?: Record<string, Schema>;
  [key: `x-${string}`]: unknown;
}

export interface NodeType {
  type: string;
  label: string;
  category: string;
  role: Role;
  kind: 'source' | 'pure' | 'stateful' | 'effect' | 'config';
  icon: string;
  inputs: number;
  outputs: string[];
  button: boolean;
  keywords: string[];
  summary: string;
  help: string;
  defaults: Record<string, unknown>;
  schema: Schema;
}

export interface Problem {
  node: string;
  path: string;
  text: string;
  severity: 'error' | 'warning';
}

export interface Wire {
  from: string;
  port: number;
  to: string;
}

export interface Point {
  x: number;
  y: number;
}

export interface Rect {
  x: number;
  y: number;
  w: number;
  h: number;
}

export const wireKey = (wire: Wire): string => `${wire.from}:${wire.port}:${wire.to}`;

/** Node types that are structure, not behaviour: the runtime may not list them. */
export const STRUCTURE = new Set(['tab', 'subflow', 'group', 'global-config']);
