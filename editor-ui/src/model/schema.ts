/** From a node type's JSON Schema to the fields of its form, and the findings of the schema's own limits. */

import type { FlowNode, Problem, Schema } from './types';
import { humanise, wordsOf, type FieldWords } from './words';

export { humanise };

export type Widget =
  | 'text'
  | 'code'
  | 'number'
  | 'duration'
  | 'select'
  | 'checkbox'
  | 'typed-input'
  | 'msg-path'
  | 'config-node'
  | 'topic'
  | 'secret'
  | 'rules'
  | 'conditions'
  | 'things'
  | 'json'
  | 'rows'
  | 'props'
  | 'list'
  | 'change-rules'
  | 'markdown'
  | 'node-list'
  | 'quantity'
  | 'hidden';

export interface Field {
  key: string;
  schema: Schema;
  widget: Widget;
  label: string;
  hint: string;
  required: boolean;
  /** The choice of units beside a quantity. */
  unit?: { key: string; schema: Schema };
}

const WIDGETS = new Set<string>([
  'text',
  'code',
  'number',
  'duration',
  'select',
  'checkbox',
  'typed-input',
  'msg-path',
  'config-node',
  'topic',
  'secret',
  'rules',
  'conditions',
  'things',
  'json',
  'rows',
  'props',
  'list',
  'change-rules',
  'markdown',
  'node-list',
  'hidden',
]);

/** Follows a local reference and folds `allOf` and nullable alternatives into one schema. */
export function resolve(schema: Schema, root: Schema): Schema {
  let out = schema;
  for (let depth = 0; out.$ref && depth < 8; depth++) {
    const name = out.$ref.split('/').pop() ?? '';
    const target = root.$defs?.[name] ?? root.definitions?.[name];
    if (!target) break;
    const { $ref: _, ...rest } = out;
    out = { ...target, ...rest };
  }
  if (out.allOf) out = out.allOf.reduce<Schema>((all, part) => ({ ...resolve(part, root), ...all }), { ...out, allOf: undefined });
  const alternatives = out.anyOf ?? out.oneOf;
  if (alternatives?.length === 2 && alternatives.some((one) => one.type === 'null')) {
    const other = alternatives.find((one) => one.type !== 'null');
    if (other) out = { ...resolve(other, root), ...out, anyOf: undefined, oneOf: undefined };
  }
  return out;
}

const typeOf = (schema: Schema): string | undefined =>
  Array.isArray(schema.type) ? schema.type.find((type) => type !== 'null') : schema.type;

export interface Option {
  value: unknown;
  label: string;
  hint: string;
}

const option = (value: unknown, label: string, hint: string): Option => ({
  value,
  label,
  hint: hint.replace(/\.$/, '').toLowerCase() === label.toLowerCase() ? '' : hint,
});

/** The choices of an enumeration, with their documentation. */
export function options(schema: Schema): Option[] {
  const docs = (schema['x-enum-docs'] ?? schema['x-option-docs'] ?? schema['x-enum-descriptions'] ?? {}) as
    Record<string, string> | string[];
  const labels = (schema['x-enum-labels'] ?? schema['x-labels'] ?? {}) as Record<string, string> | string[];
  // "true" and "2" say little: where such a value is explained, the explanation is the label.
  const choices = (schema['x-choices'] ?? {}) as Record<string, string>;
  const name = (value: unknown, hint: string): string =>
    choices[String(value)] ?? (hint && /^(true|false|\d*)$/.test(String(value)) ? hint.replace(/\.$/, '') : humanise(String(value)));
  const pick = (from: Record<string, string> | string[], value: unknown, at: number): string =>
    (Array.isArray(from) ? from[at] : from[String(value)]) ?? '';
  if (schema.enum)
    return schema.enum
      .filter((value) => value !== null)
      .map((value, at) => option(value, pick(labels, value, at) || name(value, pick(docs, value, at)), pick(docs, value, at)));
  return (schema.oneOf ?? schema.anyOf ?? []).flatMap((one) => {
    if (one.enum) return one.enum.map((value) => option(value, one.title ?? name(value, one.description ?? ''), one.description ?? ''));
    return one.const === undefined ? [] : [option(one.const, one.title ?? name(one.const, one.description ?? ''), one.description ?? '')];
  });
}

export function widgetOf(schema: Schema): Widget {
  const named = schema['x-widget'];
  if (typeof named === 'string' && WIDGETS.has(named)) return named as Widget;
  if (options(schema).length && typeOf(schema) !== 'array') return 'select';
  const type = typeOf(schema);
  if (type === 'boolean') return 'checkbox';
  if (type === 'number' || type === 'integer') return 'number';
  if (type === 'array') return typeOf(schema.items ?? {}) === 'object' || schema.items?.properties ? 'rows' : 'list';
  if (type === 'string') return 'text';
  return 'json';
}

/** Properties the editor itself owns: they never appear in a generated form. */
const RESERVED = new Set(['id', 'type', 'z', 'x', 'y', 'wires', 'g', 'd', 'l', 'outputLabels', 'inputLabels', 'credentials']);

const known = new WeakMap<Schema, Field[]>();

/** The fields of a node's form. */
export function fieldsOf(root: Schema): Field[] {
  let fields = known.get(root);
  if (!fields) {
    fields = makeFields(root, RESERVED);
    known.set(root, fields);
  }
  return fields;
}

/** The fields of one row of a list: here `id` or `type` are properties like any other. */
export const rowFields = (root: Schema): Field[] => makeFields(root, new Set());

function makeFields(root: Schema, reserved: ReadonlySet<string>): Field[] {
  const properties = root.properties ?? {};
  const hidden = new Set<string>();
  for (const [key, schema] of Object.entries(properties)) {
    const partner = schema['x-type-property'];
    if (typeof partner === 'string') hidden.add(partner);
    const unit = wordsOf(root.title, key)?.unit;
    if (unit && properties[unit]) hidden.add(unit);
  }
  return Object.entries(properties).flatMap(([key, raw]) => {
    if (reserved.has(key) || hidden.has(key)) return [];
    const words = wordsOf(root.title, key);
    const schema = worded(resolve(raw, root), words);
    const unitOf = words?.unit ? properties[words.unit] : undefined;
    const unit =
      words?.unit && unitOf ? { key: words.unit, schema: worded(resolve(unitOf, root), wordsOf(root.title, words.unit)) } : undefined;
    const widget = unit ? 'quantity' : widgetOf(schema);
    if (widget === 'hidden') return [];
    const label = schema.title ?? words?.title ?? humanise(key);
    return [
      {
        key,
        schema,
        widget,
        label,
        hint: hintOf(label, schema.description ?? ''),
        required: root.required?.includes(key) ?? false,
        ...(unit && { unit }),
      },
    ];
  });
}

/** A schema with names for its choices; a plain text of few known values becomes a choice. */
function worded(schema: Schema, words: FieldWords | undefined): Schema {
  if (!words) return schema;
  const known = schema.enum ?? schema.oneOf ?? schema.anyOf;
  const { choices } = words;
  return { ...schema, ...(choices && { ...(!known && { enum: Object.keys(choices) }), 'x-choices': choices }), ...words.schema };
}

/** First step of a path, which may be a name or a JSON pointer. */
export const pathKey = (path: string): string => path.replace(/^\/|^\$\.?/, '').split(/[/.[]/)[0];

/** A description that only repeats the label is left out. */
function hintOf(label: string, text: string): string {
  const bare = (one: string): string => one.toLowerCase().replaceAll(/[^a-z\d]/g, '');
  return bare(label) === bare(text) ? '' : text;
}

/** A field shows only when its `x-show` holds: `{other: value}` or `{other: [values]}`. */
export function visible(field: Field, value: (key: string) => unknown): boolean {
  const when = field.schema['x-show'] ?? field.schema['x-show-if'] ?? field.schema['x-visible-if'] ?? field.schema['x-when'];
  if (!when || typeof when !== 'object') return true;
  return Object.entries(when).every(([key, wanted]) => {
    const has = value(key);
    return Array.isArray(wanted) ? wanted.includes(has) : has === wanted;
  });
}

/** What the schema's limits say against a node's values. */
export function checkNode(node: FlowNode, root: Schema): Problem[] {
  return fieldsOf(root).flatMap((field) => {
    const value = node[field.key];
    const text = value === undefined ? '' : limit(field, value);
    return text ? [{ node: node.id, path: field.key, text: `${field.label}: ${text}`, severity: 'error' as const }] : [];
  });
}

function limit({ schema, widget }: Field, value: unknown): string {
  if (typeof value === 'number') return numberLimit(schema, value);
  if (typeof value === 'string' && (widget === 'number' || widget === 'duration' || widget === 'quantity')) {
    if (value === '') return '';
    // Where the schema says which texts count as numbers, it knows better.
    if (schema.pattern ? !safeTest(schema.pattern, value) : Number.isNaN(Number(value))) return 'must be a number';
    return Number.isNaN(Number(value)) ? '' : numberLimit(schema, Number(value));
  }
  if (typeof value === 'string') {
    if (schema.minLength !== undefined && value.length < schema.minLength)
      return schema.minLength === 1 ? 'must not be empty' : `needs at least ${schema.minLength} characters`;
    if (schema.maxLength !== undefined && value.length > schema.maxLength) return `has more than ${schema.maxLength} characters`;
    if (schema.pattern && value && !safeTest(schema.pattern, value)) return `does not have the expected form (${schema.pattern})`;
  }
  if (Array.isArray(value)) {
    if (schema.minItems !== undefined && value.length < schema.minItems)
      return `needs at least ${schema.minItems} ${schema.minItems === 1 ? 'entry' : 'entries'}`;
    if (schema.maxItems !== undefined && value.length > schema.maxItems) return `has more than ${schema.maxItems} entries`;
  }
  return '';
}

function numberLimit(schema: Schema, value: number): string {
  if (schema.minimum !== undefined && value < schema.minimum) return `must be at least ${schema.minimum}`;
  if (schema.maximum !== undefined && value > schema.maximum) return `must be at most ${schema.maximum}`;
  if (schema.exclusiveMinimum !== undefined && value <= schema.exclusiveMinimum) return `must be more than ${schema.exclusiveMinimum}`;
  if (schema.exclusiveMaximum !== undefined && value >= schema.exclusiveMaximum) return `must be less than ${schema.exclusiveMaximum}`;
  return '';
}

function safeTest(pattern: string, value: string): boolean {
  try {
    return new RegExp(pattern, 'u').test(value);
  } catch {
    return true;
  }
}

/** A value to start a new row or object with. */
export function blank(schema: Schema, root: Schema): unknown {
  const at = resolve(schema, root);
  if (at.default !== undefined) return structuredClone(at.default);
  const first = options(at)[0];
  if (first) return first.value;
  switch (typeOf(at)) {
    case 'boolean':
      return false;
    case 'number':
    case 'integer':
      return at.minimum ?? 0;
    case 'array':
      return [];
    case 'object':
      return Object.fromEntries(Object.entries(at.properties ?? {}).map(([key, inner]) => [key, blank(inner, root)]));
    default:
      return '';
  }
}
