import { describe, expect, it } from 'vitest';
import { contextRows, keyPath } from './context';
import { docFrom, linkEnds, standFor } from './document';
import { nodeDiff } from './diff';
import { subflowTypes } from './nodetypes';
import { byNode, changeWords, freshLetters, kindWords, type DeadLetter, type Deploy } from './records';
import { fieldsOf, options } from './schema';
import type { FlowNode } from './types';

const deploy = (number: number, more: Partial<Deploy> = {}): Deploy => ({
  rev: `r${number}`,
  number,
  kind: 'nodes',
  author: 'anna',
  time: 0,
  position: number * 10,
  changes: { added: 0, removed: 0, changed: 0, rewired: 0, moved: 0 },
  ...more,
});

describe('deploys in words', () => {
  it('say what changed, and what else was done', () => {
    expect(changeWords({ added: 2, removed: 1, changed: 0, rewired: 1, moved: 0 })).toBe('2 added, 1 rewired, 1 removed');
    expect(changeWords(deploy(1).changes)).toBe('nothing changed');
    expect(kindWords(deploy(2, { kind: 'full' }), [])).toBe('restarted everything');
    expect(kindWords(deploy(1, { kind: 'full' }), [])).toBe('the first');
    expect(kindWords(deploy(2), [])).toBe('');
  });

  it('name the deploy that was brought back', () => {
    const restored = deploy(3, { restored: 'r1' });
    expect(kindWords(restored, [deploy(2), deploy(1)])).toBe('brought back no. 1');
    expect(kindWords(restored, [])).toBe('brought back an earlier one');
  });

  it('count limits and policies as changes of wires, as the runtime does', () => {
    const node: FlowNode = { id: 'a', type: 'x', wires: [['b']] };
    expect(nodeDiff(node, { ...node, wirePolicies: { '0:b': 'latest' } })).toBe('rewired');
    expect(nodeDiff(node, { ...node, inbox: { messages: 1 }, x: 2 })).toBe('rewired');
    expect(nodeDiff(node, { ...node, forget: true })).toBe('changed');
  });
});

const letter = (position: number, node: string, more: Partial<DeadLetter> = {}): DeadLetter => ({
  id: `l${position}`,
  position,
  time: position,
  node: { id: node, type: 'rule', name: '', flow: 't' },
  reason: 'failed',
  error: 'no number',
  message: {},
  hops: 0,
  revision: 1,
  suppressed: 0,
  kept: true,
  ...more,
});

it('failed messages stand by node, the latest first, with how many can be sent again', () => {
  const list = [letter(1, 'a'), letter(4, 'b', { suppressed: 3 }), letter(2, 'a', { retried: 9 }), letter(3, 'a', { kept: false })];
  const groups = byNode(list);
  expect(groups.map((group) => [group.node.id, group.letters.map((one) => one.position), group.open, group.suppressed])).toEqual([
    ['b', [4], 1, 3],
    ['a', [3, 2, 1], 1, 0],
  ]);
  expect(freshLetters(list, 1)).toBe(2);
});

it('context values stand by store, their paths as nodes write them', () => {
  const rows = contextRows({ default: { b: { msg: '2', format: 'number' }, 'a b': { msg: '{"c":1}', format: 'Object' } }, memory: {} });
  expect(rows).toEqual([
    { store: 'default', key: 'a b', path: '["a b"]', value: { c: 1 } },
    { store: 'default', key: 'b', path: 'b', value: 2 },
  ]);
  expect(keyPath('x-1')).toBe('["x-1"]');
});

describe('nodes that belong together without a wire', () => {
  const doc = docFrom([
    { id: 't1', type: 'tab' },
    { id: 't2', type: 'tab' },
    { id: 's', type: 'subflow', name: 'Smooth', in: [{}], out: [{}, {}], icon: 'node-red/filter.svg' },
    { id: 'i', type: 'subflow:s', z: 't1' },
    { id: 'out', type: 'link out', z: 't1', links: ['in'], mode: 'link' },
    { id: 'in', type: 'link in', z: 't2', links: [] },
    { id: 'call', type: 'link call', z: 't1', links: ['in'], linkType: 'static' },
    { id: 'back', type: 'link out', z: 't2', links: [], mode: 'return' },
  ]);
  const ends = (id: string): string[] => linkEnds(doc, doc.nodes.get(id)!).ends.map((node) => node.id);

  it('find each other from either end', () => {
    expect(ends('out')).toEqual(['in']);
    expect(ends('call')).toEqual(['in']);
    expect(ends('in')).toEqual(['out', 'call']);
    expect(ends('back')).toEqual([]);
    expect(linkEnds(doc, doc.nodes.get('i')!).word).toBe('');
  });

  it('what runs inside of an instance is shown at the instance', () => {
    expect(standFor(doc, 'i-abc-def')?.id).toBe('i');
    expect(standFor(doc, 'out')?.id).toBe('out');
    expect(standFor(doc, 'out-abc')).toBeUndefined();
  });

  it('a subflow is a palette entry with its ports and icon', () => {
    expect(subflowTypes(doc)).toMatchObject([
      { type: 'subflow:s', label: 'Smooth', inputs: 1, outputs: ['output 1', 'output 2'], icon: 'filter' },
    ]);
  });
});

it('a number and its unit are one field, and short choices read as words', () => {
  const fields = fieldsOf({
    title: 'DelayConfig',
    properties: {
      timeout: { type: 'number' },
      timeoutUnits: { enum: ['seconds', 'hours'] },
      pauseType: { enum: ['rate'] },
    },
  });
  expect(fields.map((field) => [field.key, field.widget, field.unit?.key])).toEqual([
    ['timeout', 'quantity', 'timeoutUnits'],
    ['pauseType', 'select', undefined],
  ]);
  expect(options(fields[1].schema)[0].label).toBe('Limit the rate of all messages');
});
