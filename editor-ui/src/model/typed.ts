/** The kinds of value a typed input can hold, in Node-RED's names. */

export interface TypedKind {
  id: string;
  label: string;
  /** Shown before the value. */
  prefix: string;
  input: 'path' | 'text' | 'number' | 'boolean' | 'none' | 'json' | 'code';
  placeholder?: string;
}

export const KINDS: Record<string, TypedKind> = {
  msg: { id: 'msg', label: 'message', prefix: 'msg.', input: 'path', placeholder: 'payload' },
  flow: { id: 'flow', label: 'flow context', prefix: 'flow.', input: 'path' },
  global: { id: 'global', label: 'global context', prefix: 'global.', input: 'path' },
  str: { id: 'str', label: 'text', prefix: 'abc', input: 'text' },
  num: { id: 'num', label: 'number', prefix: '123', input: 'number' },
  bool: { id: 'bool', label: 'true or false', prefix: 'yes/no', input: 'boolean' },
  json: { id: 'json', label: 'JSON', prefix: '{ }', input: 'json', placeholder: '{"on": true}' },
  template: { id: 'template', label: 'text with {{…}}', prefix: '{{ }}', input: 'text', placeholder: '{{payload.id}}' },
  re: { id: 're', label: 'regular expression', prefix: '.*', input: 'text' },
  date: { id: 'date', label: 'time now', prefix: 'time', input: 'none' },
  jsonata: { id: 'jsonata', label: 'JSONata expression', prefix: 'J:', input: 'code' },
  bin: { id: 'bin', label: 'bytes', prefix: '01', input: 'json', placeholder: '[1, 2, 3]' },
  env: { id: 'env', label: 'environment variable', prefix: '$', input: 'text', placeholder: 'NAME' },
  node: { id: 'node', label: 'node', prefix: 'node', input: 'text' },
  cred: { id: 'cred', label: 'secret', prefix: '•••', input: 'text' },
  prev: { id: 'prev', label: 'previous value', prefix: 'previous', input: 'none' },
  pay: { id: 'pay', label: 'the message that came', prefix: 'message', input: 'none' },
  payl: { id: 'payl', label: 'the latest message', prefix: 'latest', input: 'none' },
  nul: { id: 'nul', label: 'nothing', prefix: 'nothing', input: 'none' },
  full: { id: 'full', label: 'whole message', prefix: 'whole msg', input: 'none' },
};

export const kindOf = (id: string): TypedKind => KINDS[id] ?? { id, label: id, prefix: id, input: 'text' };

export interface Operator {
  op: string;
  label: string;
  sign: string;
  /** How many values it compares with. */
  values: 0 | 1 | 2;
}

/** Node-RED switch's operators, in its order. */
export const OPERATORS: Operator[] = [
  { op: 'eq', label: 'is equal to', sign: '=', values: 1 },
  { op: 'neq', label: 'is not equal to', sign: '≠', values: 1 },
  { op: 'lt', label: 'is below', sign: '<', values: 1 },
  { op: 'lte', label: 'is at most', sign: '≤', values: 1 },
  { op: 'gt', label: 'is above', sign: '>', values: 1 },
  { op: 'gte', label: 'is at least', sign: '≥', values: 1 },
  { op: 'btwn', label: 'is between', sign: '↔', values: 2 },
  { op: 'cont', label: 'contains', sign: '∋', values: 1 },
  { op: 'regex', label: 'matches regex', sign: '~', values: 1 },
  { op: 'hask', label: 'has key', sign: '.', values: 1 },
  { op: 'true', label: 'is true', sign: '✓', values: 0 },
  { op: 'false', label: 'is false', sign: '✗', values: 0 },
  { op: 'null', label: 'is null', sign: '∅', values: 0 },
  { op: 'nnull', label: 'is not null', sign: '!∅', values: 0 },
  { op: 'istype', label: 'is of type', sign: 'is', values: 1 },
  { op: 'empty', label: 'is empty', sign: '[]', values: 0 },
  { op: 'nempty', label: 'is not empty', sign: '[…]', values: 0 },
];

export const SEQUENCE_OPERATORS: Operator[] = [
  { op: 'head', label: 'is among the first', sign: 'head', values: 1 },
  { op: 'tail', label: 'is among the last', sign: 'tail', values: 1 },
  { op: 'index', label: 'index is between', sign: 'idx', values: 2 },
  { op: 'jsonata_exp', label: 'JSONata holds', sign: 'J:', values: 1 },
  { op: 'else', label: 'otherwise', sign: 'else', values: 0 },
];

export const VALUE_TYPES = ['string', 'number', 'boolean', 'array', 'buffer', 'object', 'json', 'undefined', 'null'];
