import { beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { docFrom } from '../model/document';
import { typesFrom } from '../model/nodetypes';
import type { FlowNode, NodeType } from '../model/types';

// The store reads the window when it is loaded; these are the few things it asks for.
vi.stubGlobal('window', { innerWidth: 1440, dispatchEvent: () => true, setTimeout, clearTimeout });
vi.stubGlobal('localStorage', { getItem: () => null, setItem: () => undefined });
vi.stubGlobal('location', { replace: () => undefined });
vi.stubGlobal('navigator', { platform: 'Linux' });

let store: typeof import('./store');
let edits: typeof import('./edits');
let actions: typeof import('./actions');
let flowcontrol: typeof import('./flowcontrol');

const list: FlowNode[] = [
  { id: 't', type: 'tab', label: 'Flow' },
  { id: 'a', type: 'inject', z: 't', x: 100, y: 100, wires: [['b']] },
  { id: 'b', type: 'change', z: 't', x: 300, y: 100, wires: [['c']], keep: { me: 1 } },
  { id: 'c', type: 'debug', z: 't', x: 500, y: 100, wires: [] },
];

const type = (name: string, inputs: number, outputs: string[]): NodeType => ({
  type: name,
  label: name,
  category: 'common',
  role: 'logic',
  kind: 'pure',
  icon: '',
  inputs,
  outputs,
  button: false,
  keywords: [],
  summary: '',
  help: '',
  defaults: {},
  schema: {},
});

beforeAll(async () => {
  store = await import('./store');
  edits = await import('./edits');
  actions = await import('./actions');
  flowcontrol = await import('./flowcontrol');
});

beforeEach(() => {
  const doc = docFrom(list);
  const typeList = [type('inject', 0, ['out']), type('change', 1, ['out']), type('debug', 1, []), type('function', 1, ['out'])];
  store.set({
    doc,
    deployed: doc,
    past: [],
    future: [],
    activeFlow: 't',
    selection: new Set(),
    wireSelection: new Set(),
    types: typesFrom(typeList),
    typeList,
    session: { auth: 'off', setup: false, user: null },
  });
});

const wires = (id: string): string[][] | undefined => store.get().doc.nodes.get(id)?.wires;

describe('edits', () => {
  it('undo gives back the very document, redo the edited one', () => {
    const before = JSON.stringify([...store.get().doc.nodes.values()]);
    store.select(['b']);
    edits.deleteSelection(true);
    expect(wires('a')).toEqual([['c']]);
    store.undo();
    expect(JSON.stringify(store.get().doc.order.map((id) => store.get().doc.nodes.get(id)))).toBe(before);
    store.redo();
    expect(store.get().doc.nodes.has('b')).toBe(false);
  });

  it('typing into one field is one step', () => {
    for (const name of ['T', 'Te', 'Tem']) edits.setProperty('b', 'name', name);
    expect(store.get().past).toHaveLength(1);
    store.undo();
    expect(store.get().doc.nodes.get('b')).not.toHaveProperty('name');
  });

  it('a move is told apart from a change', () => {
    edits.move(['a', 'b'], 20, 0);
    expect(store.pending(store.get())).toMatchObject({ moved: ['a', 'b'], changed: [] });
  });

  it('a group keeps enclosing its members', () => {
    store.select(['a', 'b']);
    edits.groupSelection();
    const frame = () => [...store.get().doc.nodes.values()].find((node) => node.type === 'group');
    const before = frame();
    edits.move(['b'], 200, 0);
    expect(frame()?.x).toBe(before?.x);
    expect(frame()?.w).toBe((before?.w ?? 0) + 200);
    store.undo();
    expect(frame()?.w).toBe(before?.w);
  });

  it('a new number of outputs gives the node that many lists of wires', () => {
    edits.setProperties('b', { outputs: 3 });
    expect(wires('b')).toEqual([['c'], [], []]);
  });

  it('the first node of all brings a flow with it', () => {
    store.set({ doc: docFrom([]), activeFlow: '' });
    const id = edits.addNode('change', { x: 100, y: 100 });
    expect(store.get().doc.nodes.get(id ?? '')?.z).toBe(store.get().activeFlow);
  });

  it('a rule more gives a switch an output more', () => {
    const node: FlowNode = { id: 's', type: 'switch', z: 't', x: 1, y: 1, outputs: 1, rules: [{ t: 'eq' }], wires: [['c']] };
    store.set({ doc: docFrom([...list, node]), types: typesFrom([type('switch', 1, ['1'])]) });
    edits.setProperty('s', 'rules', [{ t: 'eq' }, { t: 'else' }]);
    expect(store.get().doc.nodes.get('s')).toMatchObject({ outputs: 2, wires: [['c'], []] });
  });

  it('moves wires from one target to another in one step', () => {
    edits.rewire([{ from: 'a', port: 0, to: 'b' }], { node: 'c', port: 0, way: 'in' });
    expect(wires('a')).toEqual([['c']]);
    expect(store.get().past).toHaveLength(1);
  });

  it('a policy is one step, moves with its wire and goes with it', () => {
    flowcontrol.setPolicy([{ from: 'a', port: 0, to: 'b' }], 'latest');
    expect(store.get().doc.nodes.get('a')?.wirePolicies).toEqual({ '0:b': 'latest' });
    edits.rewire([{ from: 'a', port: 0, to: 'b' }], { node: 'c', port: 0, way: 'in' });
    expect(store.get().doc.nodes.get('a')?.wirePolicies).toEqual({ '0:c': 'latest' });
    edits.cutWires([{ from: 'a', port: 0, to: 'c' }]);
    expect(store.get().doc.nodes.get('a')).not.toHaveProperty('wirePolicies');
    store.undo();
    store.undo();
    store.undo();
    expect(store.get().doc.nodes.get('a')).toEqual(list[1]);
  });

  it('what is usual is left out of the flow file', () => {
    flowcontrol.setLimits('b', { messages: 20 });
    flowcontrol.setForget('b', true);
    expect(store.get().doc.nodes.get('b')).toMatchObject({ inbox: { messages: 20 }, forget: true });
    flowcontrol.setLimits('b', { messages: undefined });
    flowcontrol.setForget('b', false);
    expect(store.get().doc.nodes.get('b')).toEqual(list[2]);
  });

  it('viewers change nothing', () => {
    store.set({ session: { auth: 'on', setup: false, user: { name: 'v', role: 'viewer' } } });
    store.select(['b']);
    edits.deleteSelection();
    expect(store.get().doc.nodes.has('b')).toBe(true);
  });

  it('pastes copies with new ids beside the originals', () => {
    store.select(['a', 'b']);
    edits.copySelection();
    expect(edits.paste(store.get().clipboard)).toBe(true);
    const [first, second] = [...store.get().selection];
    expect(wires(first)).toEqual([[second]]);
    expect(store.get().doc.nodes.get(second)?.keep).toEqual({ me: 1 });
  });

  it('splices a quick-added node into a wire', () => {
    const id = edits.quickAdd('change', { screen: { x: 0, y: 0 }, at: { x: 200, y: 100 }, splice: { from: 'a', port: 0, to: 'b' } });
    expect(wires('a')).toEqual([[id]]);
    expect(wires(id ?? '')).toEqual([['b']]);
  });
});

describe('keys', () => {
  const press = (key: string, more: Partial<KeyboardEvent> = {}): string =>
    actions.strokeOf({
      key,
      code: /^[a-z]$/i.test(key) ? `Key${key.toUpperCase()}` : key,
      ctrlKey: false,
      metaKey: false,
      altKey: false,
      shiftKey: false,
      ...more,
    });

  it('are read as Node-RED writes them', () => {
    expect(press('d', { ctrlKey: true })).toBe('ctrl-d');
    expect(press('P', { ctrlKey: true, shiftKey: true })).toBe('ctrl-shift-p');
    expect(press('+', { ctrlKey: true, shiftKey: true })).toBe('ctrl-+');
    expect(press('ArrowLeft', { shiftKey: true })).toBe('shift-arrowleft');
    expect(press('Shift', { shiftKey: true })).toBe('');
  });

  it('run chords and leave text fields alone', () => {
    const ran: string[] = [];
    actions.register([
      { id: 'x:chord', label: '', keys: ['ctrl-g d'], scope: 'any', run: () => ran.push('chord') },
      { id: 'x:del', label: '', keys: ['delete'], scope: 'canvas', run: () => ran.push('delete') },
    ]);
    const event = (key: string, ctrlKey = false): KeyboardEvent =>
      ({ key, code: `Key${key.toUpperCase()}`, ctrlKey, metaKey: false, altKey: false, shiftKey: false }) as KeyboardEvent;
    expect(actions.handleKey(event('g', true), false)).toBe(true);
    expect(actions.handleKey(event('d'), false)).toBe(true);
    expect(actions.handleKey(event('Delete'), true)).toBe(false);
    expect(actions.handleKey(event('Delete'), false)).toBe(true);
    expect(ran).toEqual(['chord', 'delete']);
  });
});
