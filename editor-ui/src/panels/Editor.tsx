/** The editor's frame: top bar, left panel, canvas, inspector, drawer, and what floats above them. */

import { Suspense, lazy, useCallback, useEffect, useState } from 'react';
import Canvas from '../canvas/Canvas';
import { addNode } from '../commands/edits';
import { canEdit, get, set, toast, useEditor } from '../commands/store';
import { act } from './session';
import { listenToKeys } from './register';
import { Banner, Toasts } from './notices';
import { BottomBar, NodeList } from './Mobile';
import { ContextMenu } from './ContextMenu';
import { Drawer } from './Drawer';
import { FlowTabs } from './FlowTabs';
import { Inspect } from './Inspect';
import { LeftPanel } from './LeftPanel';
import { QuickAddList } from './QuickAdd';
import { Resizer } from './Resizer';
import { TopBar } from './TopBar';

const Dialogs = lazy(() => import('./Dialogs'));

function useWidth(): number {
  const [width, setWidth] = useState(window.innerWidth);
  useEffect(() => {
    const onSize = (): void => setWidth(window.innerWidth);
    window.addEventListener('resize', onSize);
    return () => window.removeEventListener('resize', onSize);
  }, []);
  return width;
}

export default function Editor() {
  const left = useEditor((state) => state.left);
  const right = useEditor((state) => state.right);
  const drawer = useEditor((state) => state.drawer);
  const sizes = useEditor((state) => state.sizes);
  const dialog = useEditor((state) => state.dialog !== null);
  const width = useWidth();
  const sheets = width < 900;
  useEffect(listenToKeys, []);
  const onDropped = useCallback((data: DataTransfer, at: { x: number; y: number }) => {
    const thing = data.getData('application/x-tidewire-thing');
    if (thing) return dropThing(thing, at);
    const [file] = data.files;
    if (file) void file.text().then((text) => set({ dialog: { kind: 'import', text } }));
  }, []);
  const layout = sheets ? undefined : { gridTemplateColumns: `${left ? sizes.left : 0}px minmax(0, 1fr) ${right ? sizes.right : 0}px` };
  return (
    <div className={`editor${sheets ? ' sheets' : ''}`}>
      <TopBar narrow={sheets} />
      <Banner />
      <div className="columns" style={layout}>
        {left && <LeftPanel sheet={sheets} />}
        {left && !sheets && <Resizer side="left" />}
        <main className="centre">
          <FlowTabs />
          {width < 600 ? <NodeList /> : <Canvas onAction={act} onDropped={onDropped} />}
          {drawer && <Drawer sheet={sheets} />}
        </main>
        {right && !sheets && <Resizer side="right" />}
        {right && <Inspect sheet={sheets} />}
      </div>
      {sheets && <BottomBar />}
      <QuickAddList />
      <ContextMenu />
      {dialog && (
        <Suspense fallback={null}>
          <Dialogs />
        </Suspense>
      )}
      <Toasts />
    </div>
  );
}

/** A thing dropped on the canvas becomes the node that reads its events. */
function dropThing(thing: string, at: { x: number; y: number }): void {
  if (!canEdit()) return;
  const { types } = get();
  const type = types.has('event-store-in') ? 'event-store-in' : 'mqtt in';
  const id = addNode(type, at);
  if (!id) return toast('This flow cannot take a node.', 'error');
  const node = get().doc.nodes.get(id);
  if (!node) return;
  const patch = type === 'event-store-in' ? { name: thing, stream: `thing-${thing}` } : { name: thing, topic: `${thing}/#` };
  // The name belongs to the same step as the node itself.
  const { past } = get();
  const last = past[past.length - 1];
  const after = { ...node, ...patch };
  set({
    doc: { ...get().doc, nodes: new Map(get().doc.nodes).set(id, after) },
    past: [...past.slice(0, -1), { ...last, changes: [{ id, after }] }],
  });
}
