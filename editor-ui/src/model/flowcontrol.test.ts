import { describe, expect, it } from 'vitest';
import { docFrom } from './document';
import { cloneNodes, Edits, removeNodes, splice } from './edit';
import { feedbackWires } from './loops';
import { limitsOf, policyOf, withLimits, withPolicy } from './policies';
import type { FlowNode } from './types';

const node = (id: string, targets: string[], more: Partial<FlowNode> = {}): FlowNode => ({
  id,
  type: 'change',
  z: 't',
  x: 100,
  y: 100,
  wires: [targets],
  ...more,
});
const loops = (...nodes: FlowNode[]): string[] => [...feedbackWires(docFrom(nodes))];

describe('wires that close a loop', () => {
  it('are those that lead back, not those on the way in', () => {
    expect(loops(node('in', ['a']), node('a', ['b']), node('b', ['c', 'out']), node('c', ['a']), node('out', []))).toEqual(['c:0:a']);
  });

  it('a node wired to itself is a loop, a diamond is none', () => {
    expect(loops(node('a', ['a']))).toEqual(['a:0:a']);
    expect(loops(node('a', ['b', 'c']), node('b', ['d']), node('c', ['d']), node('d', []))).toEqual([]);
  });

  it('a loop that nothing feeds begins with the node that stands first', () => {
    expect(loops(node('a', ['b']), node('b', ['a']))).toEqual(['b:0:a']);
    expect(loops(node('b', ['a']), node('a', ['b']))).toEqual(['a:0:b']);
  });

  it('a loop over links is a loop', () => {
    const out = node('out', [], { type: 'link out', links: ['in'] });
    const back = node('in', ['a'], { type: 'link in' });
    expect(loops(node('src', ['a']), node('a', ['out']), out, back)).toEqual(['in:0:a']);
  });

  it('chains of thousands of nodes are walked through', () => {
    const chain = Array.from({ length: 5000 }, (_, at) => node(`n${at}`, [at === 4999 ? 'n0' : `n${at + 1}`]));
    expect(loops(...chain)).toEqual(['n4999:0:n0']);
  });
});

describe('policies of wires', () => {
  const wire = { from: 'a', port: 0, to: 'b' };
  const a = withPolicy(node('a', ['b', 'c']), wire, 'drop-oldest');

  it('stand at the sender, and the usual one is not written', () => {
    expect(a.wirePolicies).toEqual({ '0:b': 'drop-oldest' });
    expect(policyOf(a, wire)).toBe('drop-oldest');
    expect(withPolicy(a, wire, 'block')).not.toHaveProperty('wirePolicies');
  });

  it('go when their wire goes', () => {
    const doc = docFrom([a, node('b', []), node('c', [])]);
    const edits = new Edits(doc);
    edits.disconnect(wire);
    expect(edits.changes()[0].after).not.toHaveProperty('wirePolicies');
    const removal = removeNodes(doc, new Set(['b']), false).find((change) => change.id === 'a');
    expect(removal?.after).not.toHaveProperty('wirePolicies');
  });

  it('stay at the wire that leads to the target when a node is put in between', () => {
    const doc = docFrom([a, node('b', []), node('c', []), node('n', [])]);
    const after = new Map(splice(doc, wire, 'n').map((change) => [change.id, change.after]));
    expect(after.get('a')).not.toHaveProperty('wirePolicies');
    expect(after.get('n')?.wirePolicies).toEqual({ '0:b': 'drop-oldest' });
  });

  it('of copies name the copies', () => {
    const [copy, target] = cloneNodes([a, node('b', [])], { x: 0, y: 0 }, 't');
    expect(copy.wirePolicies).toEqual({ [`0:${target.id}`]: 'drop-oldest' });
    expect(cloneNodes([a], { x: 0, y: 0 }, 't')[0]).not.toHaveProperty('wirePolicies');
  });
});

it('a limit given back leaves no trace in the flow file', () => {
  const own = withLimits(node('a', []), { messages: 10 });
  expect(own.inbox).toEqual({ messages: 10 });
  expect(limitsOf(own)).toEqual({ messages: 10, bytes: 4 * 1024 * 1024 });
  expect(withLimits(own, { messages: undefined })).not.toHaveProperty('inbox');
});
