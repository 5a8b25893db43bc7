import { describe, expect, it } from 'vitest';
import { blank, checkNode, fieldsOf, options, visible } from './schema';
import { decodeDebug, tree, number, rate } from './debugvalue';
import { distanceTo, wirePath, wirePoints } from './geometry';
import { typeScore } from './search';
import type { NodeType, Schema } from './types';

const root: Schema = {
  type: 'object',
  required: ['topic'],
  properties: {
    topic: { type: 'string', minLength: 1, 'x-widget': 'topic' },
    value: { type: 'string', 'x-widget': 'typed-input', 'x-type-property': 'valueType', 'x-types': ['msg', 'str'] },
    valueType: { type: 'string' },
    qos: {
      oneOf: [
        { const: '0', description: 'At most once' },
        { const: '1', description: 'At least once' },
      ],
    },
    every: { type: 'number', minimum: 1, 'x-show': { qos: '1' } },
    maybe: { anyOf: [{ type: 'integer', maximum: 3 }, { type: 'null' }] },
    rows: { type: 'array', items: { type: 'object', properties: { id: { type: 'string', default: 'x' }, n: { type: 'number' } } } },
  },
};

describe('schema forms', () => {
  it('makes one field per property, with the widget the schema names or implies', () => {
    expect(fieldsOf(root).map((field) => `${field.key}:${field.widget}`)).toEqual([
      'topic:topic',
      'value:typed-input',
      'qos:select',
      'every:number',
      'maybe:number',
      'rows:rows',
    ]);
  });

  it('shows choices with their documentation', () => {
    expect(options(root.properties?.qos ?? {}).map((one) => one.label)).toEqual(['At most once', 'At least once']);
    expect(options({ oneOf: [{ const: 'ntfy', description: 'Free and open.' }] })).toEqual([
      { value: 'ntfy', label: 'Ntfy', hint: 'Free and open.' },
    ]);
  });

  it('hides a field whose condition does not hold', () => {
    const every = fieldsOf(root).find((field) => field.key === 'every');
    expect(every && visible(every, () => '0')).toBe(false);
    expect(every && visible(every, () => '1')).toBe(true);
  });

  it('finds values outside of the limits', () => {
    const found = checkNode({ id: 'n', type: 't', topic: '', every: 0, maybe: 9 }, root);
    expect(found.map((problem) => problem.path)).toEqual(['topic', 'every', 'maybe']);
  });

  it('starts a new row from the defaults', () => {
    expect(blank(root.properties?.rows?.items ?? {}, root)).toEqual({ id: 'x', n: 0 });
  });
});

describe('debug values', () => {
  it('decodes what Node-RED encodes', () => {
    expect(decodeDebug('21.5', 'number')).toBe(21.5);
    expect(decodeDebug('{"a":1}', 'Object')).toEqual({ a: 1 });
    expect(tree(decodeDebug('68656c6c6f', 'buffer[5]')).summary).toBe('buffer[5] 68 65 6c 6c 6f');
    expect(tree({ __enc__: true, type: 'error', data: { name: 'TypeError', message: 'no' } }).summary).toBe('TypeError: no');
  });

  it('gives paths in the notation of the nodes', () => {
    const node = tree({ 'a b': [1] }, 'msg.payload');
    expect(node.children?.[0].path).toBe('msg.payload["a b"]');
  });

  it('writes numbers and rates short', () => {
    expect([number(21.456), number(0.00001234), rate(0.2), rate(1234), rate(0.02)]).toEqual([
      '21.46',
      '0.00001234',
      '0.2/s',
      '1.2k/s',
      '1/min',
    ]);
  });
});

describe('wires', () => {
  it('are found where they are drawn', () => {
    const points = wirePoints({ x: 0, y: 0 }, { x: 200, y: 80 });
    expect(distanceTo(points, { x: 100, y: 40 })).toBeLessThan(1);
    expect(distanceTo(points, { x: 100, y: 0 })).toBeGreaterThan(15);
  });

  it('run around the cards when they go back', () => {
    expect(wirePath({ x: 200, y: 0 }, { x: 0, y: 0 })).toContain('L');
    expect(Math.max(...wirePoints({ x: 200, y: 0 }, { x: 0, y: 0 }).map((point) => point.y))).toBeGreaterThan(40);
  });
});

describe('search', () => {
  it('knows plain words', () => {
    const item = { type: 'switch', label: 'switch', category: 'function', keywords: [], summary: '' } as unknown as NodeType;
    expect(typeScore(item, 'if')).toBeGreaterThan(0);
    expect(typeScore(item, 'banana')).toBe(0);
  });
});
