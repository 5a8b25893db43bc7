import { describe, expect, it } from 'vitest';
import { docFrom, docList, applyCommand } from './document';
import { typesFrom } from './nodetypes';
import { exportText, importChanges, parseFlows, report, type Choice } from './transfer';
import type { FlowNode, NodeType } from './types';

const types = typesFrom([{ type: 'inject' }, { type: 'debug' }] as NodeType[]);

describe('reading a flow file', () => {
  it('says line and column of a mistake', () => {
    const parsed = parseFlows('[\n  {"id": "a", "type": "inject",}\n]');
    expect(parsed).toMatchObject({ failure: { line: 2, column: 32 } });
  });

  it('guesses that a cut text was cut', () => {
    const parsed = parseFlows('[{"id": "a", "type": "inject"}, {"id": "b"');
    expect('failure' in parsed && parsed.failure.text).toContain('cut off');
  });

  // Reading source text in a reviver came with V8 11.4 and all browsers since; Node.js 20 does not have it yet.
  it.runIf('rawJSON' in JSON)('keeps integers that a double cannot hold', () => {
    const parsed = parseFlows('[{"id":"a","type":"x","serial":12345678901234567890}]');
    expect('nodes' in parsed && exportText(parsed.nodes, false)).toBe('[{"id":"a","type":"x","serial":12345678901234567890}]');
  });

  it('refuses what is JSON but no flow', () => {
    expect(parseFlows('{"a":1}')).toHaveProperty('failure');
    expect(parseFlows('[1]')).toHaveProperty('failure');
  });
});

describe('import', () => {
  const here: FlowNode[] = [
    { id: 't', type: 'tab', label: 'Flow' },
    { id: 'a', type: 'inject', z: 't', x: 1, y: 1, wires: [['b']] },
    { id: 'b', type: 'debug', z: 't', x: 2, y: 2, wires: [] },
  ];
  const incoming: FlowNode[] = [
    { id: 'a', type: 'inject', z: 't', x: 9, y: 9, wires: [['u']], name: 'new' },
    { id: 'u', type: 'ui_gauge', z: 't', x: 3, y: 3, wires: [], odd: true },
  ];

  it('reports what runs, what is unknown and which ids are taken', () => {
    const found = report(docFrom(here), types, incoming);
    expect(found.known.length).toBe(1);
    expect(found.unknown).toEqual([{ type: 'ui_gauge', count: 1 }]);
    expect(found.conflicts.map((node) => node.id)).toEqual(['a']);
  });

  it('counts subflows, groups and links, and misses a subflow that did not come along', () => {
    const flow: FlowNode[] = [
      { id: 's', type: 'subflow', name: 'Twice' },
      { id: 'i1', type: 'subflow:s', z: 't', x: 1, y: 1, wires: [] },
      { id: 'i2', type: 'subflow:gone', z: 't', x: 1, y: 1, wires: [] },
      { id: 'g', type: 'group', z: 't', x: 0, y: 0, nodes: ['i1'] },
      { id: 'l', type: 'link out', z: 't', x: 1, y: 1, wires: [] },
    ];
    const found = report(docFrom(here), types, flow);
    expect(found.structure).toEqual({ subflows: 1, instances: 2, groups: 1, links: 1 });
    expect(found.unknown).toContainEqual({ type: 'instance of a missing subflow', count: 1 });
  });

  const after = (choice: Choice): FlowNode[] => {
    const doc = docFrom(here);
    return docList(applyCommand(doc, { label: '', time: 0, changes: importChanges(doc, incoming, 't', new Map([['a', choice]])) }));
  };

  it('settles a taken id as chosen', () => {
    expect(after('mine').find((node) => node.id === 'a')?.name).toBeUndefined();
    expect(after('theirs').find((node) => node.id === 'a')?.name).toBe('new');
    const both = after('both');
    expect(both.find((node) => node.id === 'a')?.name).toBeUndefined();
    expect(both.filter((node) => node.name === 'new')).toHaveLength(1);
    expect(both.find((node) => node.id === 'u')?.odd).toBe(true);
  });

  it('gives back an unknown flow just as it came', () => {
    const doc = applyCommand(docFrom([]), { label: '', time: 0, changes: importChanges(docFrom([]), here, undefined, new Map()) });
    expect(JSON.parse(exportText(docList(doc), true))).toEqual(here);
  });
});
