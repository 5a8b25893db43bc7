import { describe, expect, it } from 'vitest';
import { diffDocs, merge } from './diff';
import { applyCommand, docFrom, docList, indexOf, inverse, withPlaces, type Change } from './document';
import { cloneNodes, groupNodes, moveNodes, removeNodes, splice } from './edit';
import type { FlowNode } from './types';

const flow = (): FlowNode[] => [
  { id: 't', type: 'tab', label: 'Flow' },
  { id: 'a', type: 'inject', z: 't', x: 100, y: 100, wires: [['b']], strange: { deep: [1, null, { k: 'v' }] } },
  { id: 'b', type: 'change', z: 't', x: 300, y: 100, wires: [['c']] },
  { id: 'c', type: 'debug', z: 't', x: 500, y: 100, wires: [] },
  { id: 'k', type: 'mqtt-broker', name: 'broker' },
];

const command = (changes: Change[]) => ({ label: '', changes, time: 0 });

describe('documents', () => {
  it('writes back every property of every node as it came', () => {
    const list = flow();
    expect(JSON.stringify(docList(docFrom(list)))).toBe(JSON.stringify(flow()));
  });

  it('takes a removal back to the same place in the order', () => {
    const doc = docFrom(flow());
    const removal = command(withPlaces(doc, removeNodes(doc, new Set(['b']), false)));
    const without = applyCommand(doc, removal);
    expect(without.order).toEqual(['t', 'a', 'c', 'k']);
    expect(without.nodes.get('a')?.wires).toEqual([[]]);
    const back = applyCommand(without, inverse(removal));
    expect(JSON.stringify(docList(back))).toBe(JSON.stringify(flow()));
  });

  it('joins the ends when a node is deleted and its wires healed', () => {
    const doc = docFrom(flow());
    const healed = applyCommand(doc, command(removeNodes(doc, new Set(['b']), true)));
    expect(healed.nodes.get('a')?.wires).toEqual([['c']]);
  });

  it('puts a node between the ends of a wire', () => {
    const doc = docFrom([...flow(), { id: 'n', type: 'change', z: 't', x: 200, y: 100, wires: [[]] }]);
    const next = applyCommand(doc, command(splice(doc, { from: 'a', port: 0, to: 'b' }, 'n')));
    expect(next.nodes.get('a')?.wires).toEqual([['n']]);
    expect(next.nodes.get('n')?.wires).toEqual([['b']]);
  });

  it('gives copies new ids, keeps the wires among them and drops the others', () => {
    const [a, b] = cloneNodes(flow().slice(1, 3), { x: 20, y: 20 }, 't');
    expect(a.id).not.toBe('a');
    expect(a.wires).toEqual([[b.id]]);
    expect(b.wires).toEqual([[]]);
    expect([a.x, a.y]).toEqual([120, 120]);
    expect(a.strange).toEqual({ deep: [1, null, { k: 'v' }] });
  });

  it('keeps group and members in step', () => {
    const doc = docFrom(flow());
    const grouped = applyCommand(doc, command(groupNodes(doc, new Set(['a', 'b']), { x: 0, y: 0, w: 10, h: 10 })));
    const group = docList(grouped).find((node) => node.type === 'group');
    expect(group?.nodes).toEqual(['a', 'b']);
    expect(grouped.nodes.get('a')?.g).toBe(group?.id);
    const less = applyCommand(grouped, command(removeNodes(grouped, new Set(['a']), false)));
    expect(less.nodes.get(group?.id ?? '')?.nodes).toEqual(['b']);
  });

  it('counts nodes without a place as config nodes', () => {
    expect(indexOf(docFrom(flow())).configs.map((node) => node.id)).toEqual(['k']);
  });
});

describe('diff', () => {
  it('tells moved, rewired and changed nodes apart', () => {
    const doc = docFrom(flow());
    const moved = applyCommand(doc, command(moveNodes(doc, ['a'], 20, 0)));
    expect(diffDocs(doc, moved).moved).toEqual(['a']);
    const other = docFrom(
      flow().map((node) => (node.id === 'b' ? { ...node, wires: [[]] } : node.id === 'k' ? { ...node, name: 'x' } : node)),
    );
    expect(diffDocs(doc, other)).toMatchObject({ rewired: ['b'], changed: ['k'], moved: [], added: [], removed: [] });
  });

  it('merges edits to different nodes and names those that both sides changed', () => {
    const base = docFrom(flow());
    const mine = docFrom(
      flow().map((node) => (node.id === 'a' ? { ...node, name: 'mine' } : node.id === 'k' ? { ...node, name: 'm' } : node)),
    );
    const theirs = docFrom(
      flow().map((node) => (node.id === 'c' ? { ...node, name: 'theirs' } : node.id === 'k' ? { ...node, name: 't' } : node)),
    );
    const { changes, conflicts } = merge(base, mine, theirs);
    const result = applyCommand(theirs, command(changes));
    expect(result.nodes.get('a')?.name).toBe('mine');
    expect(result.nodes.get('c')?.name).toBe('theirs');
    expect(conflicts).toEqual(['k']);
  });
});
