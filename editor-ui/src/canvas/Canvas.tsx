/** The canvas: the library's viewport (pan, zoom, touch) around our own layer of cards, wires and live values. */

import { ReactFlow, ReactFlowProvider, ViewportPortal, useOnViewportChange, useReactFlow } from '@xyflow/react';
import '@xyflow/react/dist/base.css';
import { useCallback, useEffect, useRef, useState, type DragEvent } from 'react';
import { addNode } from '../commands/edits';
import { canEdit, get, run, select, useEditor } from '../commands/store';
import { indexOf } from '../model/document';
import { rate } from '../model/debugvalue';
import { splice } from '../model/edit';
import { feedbackWires } from '../model/loops';
import { outputName } from '../model/nodetypes';
import { wireKey, type FlowNode, type Wire } from '../model/types';
import { live } from '../net/live';
import { contextMenu, doubleClick, keys, markWire, onDrag, pointerDown, wireAt } from './gestures';
import { Layer } from './Layer';
import { Painter } from './painter';
import { MAX_ZOOM, MIN_ZOOM, view } from './view';
import { Controls } from './Controls';

interface Props {
  onAction: (node: FlowNode) => void;
  /** Files and things dropped on the canvas that are not palette entries. */
  onDropped: (data: DataTransfer, at: { x: number; y: number }) => void;
}

const NOTHING: never[] = [];

export default function Canvas(props: Props) {
  return (
    <ReactFlowProvider>
      <Inner {...props} />
    </ReactFlowProvider>
  );
}

function Inner({ onAction, onDropped }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const paint = useRef<HTMLCanvasElement>(null);
  const grid = useRef<HTMLDivElement>(null);
  const flow = useReactFlow();
  const activeFlow = useEditor((state) => state.activeFlow);
  const [ready, setReady] = useState('');
  const onMove = useCallback((now: { x: number; y: number; zoom: number }) => view.moved(now.x, now.y, now.zoom), []);
  useOnViewportChange({ onChange: onMove });

  useEffect(() => {
    view.element = box.current;
    view.flow = flow;
    return connectElement(box.current, paint.current, grid.current);
  }, [flow]);

  useEffect(() => {
    if (!activeFlow) return undefined;
    view.open(activeFlow);
    let second = 0;
    const first = requestAnimationFrame(() => {
      second = requestAnimationFrame(() => setReady(activeFlow));
    });
    return () => {
      cancelAnimationFrame(first);
      cancelAnimationFrame(second);
    };
  }, [activeFlow]);

  const drop = (event: DragEvent): void => {
    event.preventDefault();
    if (!canEdit()) return;
    const at = view.toFlow(event.clientX, event.clientY);
    const type = event.dataTransfer.getData('application/x-tidewire-type');
    if (!type) return onDropped(event.dataTransfer, at);
    const wire = wireAt(at);
    markWire(undefined);
    const id = addNode(type, at);
    const node = id ? get().doc.nodes.get(id) : undefined;
    if (id && wire && node?.wires?.length && get().types.get(type)?.inputs) run('insert into wire', splice(get().doc, wire, id));
    box.current?.focus();
  };

  return (
    <div
      ref={box}
      className="canvas"
      data-testid="canvas"
      tabIndex={-1}
      aria-label="Flow canvas"
      role="application"
      onDragOver={(event) => {
        event.preventDefault();
        event.dataTransfer.dropEffect = 'copy';
        if (event.dataTransfer.types.includes('application/x-tidewire-type')) markWire(wireAt(view.toFlow(event.clientX, event.clientY)));
      }}
      onDrop={drop}
    >
      <div ref={grid} className="grid-dots" />
      <ReactFlow
        nodes={NOTHING}
        edges={NOTHING}
        minZoom={MIN_ZOOM}
        maxZoom={MAX_ZOOM}
        panOnScroll
        panOnDrag={[1]}
        panActivationKeyCode="Space"
        zoomActivationKeyCode={['Control', 'Meta', 'Alt']}
        zoomOnDoubleClick={false}
        selectionKeyCode={null}
        multiSelectionKeyCode={null}
        deleteKeyCode={null}
        selectNodesOnDrag={false}
        nodesDraggable={false}
        nodesConnectable={false}
        elementsSelectable={false}
        disableKeyboardA11y
        onlyRenderVisibleElements
        proOptions={{ hideAttribution: true }}
      >
        <ViewportPortal>
          <Layer onAction={onAction} paint={paint} />
        </ViewportPortal>
      </ReactFlow>
      <div id="lasso" className="lasso" />
      <WireHint />
      <EmptyHint />
      <Controls />
      {ready === activeFlow && ready !== '' && <span className="ready-mark" data-testid="canvas-ready" aria-hidden="true" />}
    </div>
  );
}

/** Listeners that the canvas needs as long as it is there. */
function connectElement(element: HTMLDivElement | null, canvas: HTMLCanvasElement | null, grid: HTMLDivElement | null): () => void {
  if (!element || !canvas || !grid) return () => undefined;
  const painter = new Painter(canvas);
  onDrag.moved = () => painter.moved();
  const dots = (): void => {
    const step = 20 * view.zoom * (view.zoom < 0.5 ? 5 : 1);
    grid.style.backgroundSize = `${step}px ${step}px`;
    grid.style.backgroundPosition = `${view.x - step / 2}px ${view.y - step / 2}px`;
  };
  const size = new ResizeObserver(() => view.resized(element.clientWidth, element.clientHeight));
  view.resized(element.clientWidth, element.clientHeight);
  size.observe(element);
  const down = (event: PointerEvent): void => {
    hint.show(undefined, 0, 0);
    pointerDown(event);
  };
  const leave = (): void => {
    markWire(undefined);
    hint.show(undefined, 0, 0);
  };
  const space = (event: KeyboardEvent): void => {
    if (event.code !== 'Space' || (event.target as Element).closest('input, textarea, select, button')) return;
    keys.space = event.type === 'keydown';
    // With space held the whole canvas pans, cards included.
    element.classList.toggle('panning', keys.space);
  };
  const reveal = (event: Event): void => view.reveal((event as CustomEvent<string>).detail);
  const hover = hoverWatcher();
  element.addEventListener('pointerdown', down);
  element.addEventListener('pointermove', hover);
  element.addEventListener('pointerleave', leave);
  element.addEventListener('dblclick', doubleClick);
  element.addEventListener('contextmenu', contextMenu);
  element.addEventListener('focusin', focused);
  window.addEventListener('keydown', space);
  window.addEventListener('keyup', space);
  window.addEventListener('tidewire:reveal', reveal);
  const stopDots = view.onChange(dots);
  dots();
  return () => {
    painter.stop();
    size.disconnect();
    stopDots();
    element.removeEventListener('pointerdown', down);
    element.removeEventListener('pointermove', hover);
    element.removeEventListener('pointerleave', leave);
    element.removeEventListener('dblclick', doubleClick);
    element.removeEventListener('contextmenu', contextMenu);
    element.removeEventListener('focusin', focused);
    window.removeEventListener('keydown', space);
    window.removeEventListener('keyup', space);
    window.removeEventListener('tidewire:reveal', reveal);
  };
}

/** A card reached with the tab key is selected, so that all keys act on it. */
function focused(event: FocusEvent): void {
  const card = event.target as HTMLElement;
  const id = card.dataset.nodeId;
  if (id && card.matches(':focus-visible')) select([id]);
}

const hint: { show: (wire: Wire | undefined, x: number, y: number) => void } = { show: () => undefined };

/** Notes where the pointer is, and which wire lies under it, at most once a frame. */
function hoverWatcher(): (event: PointerEvent) => void {
  let frame = 0;
  return (event) => {
    view.pointer = view.toFlow(event.clientX, event.clientY);
    if (event.buttons || frame || event.pointerType === 'touch') return;
    const onCard = (event.target as Element).closest('.card, .floating, .popover');
    frame = requestAnimationFrame(() => {
      frame = 0;
      const wire = onCard ? undefined : wireAt(view.pointer);
      markWire(wire);
      hint.show(wire, event.clientX, event.clientY);
    });
  };
}

/** What a wire carries, shown while the pointer is on it. */
function WireHint() {
  const [at, setAt] = useState<{ wire: Wire; x: number; y: number } | null>(null);
  useEffect(() => {
    let timer = 0;
    hint.show = (wire, x, y) => {
      window.clearTimeout(timer);
      if (!wire) return setAt(null);
      timer = window.setTimeout(() => setAt({ wire, x, y }), 250);
    };
    return () => {
      hint.show = () => undefined;
    };
  }, []);
  if (!at) return null;
  const { doc, types } = get();
  const source = doc.nodes.get(at.wire.from);
  if (!source) return null;
  const data = live.wires.get(wireKey(at.wire));
  const waits = live.waits(wireKey(at.wire));
  const last = live.nodes.get(at.wire.from)?.last;
  const box = view.element?.getBoundingClientRect();
  return (
    <div className="wire-hint" style={{ left: at.x - (box?.left ?? 0) + 12, top: at.y - (box?.top ?? 0) + 14 }}>
      <b>{outputName(types, source, at.wire.port)}</b>
      <span>
        {data ? `${rate(data.rate) || 'idle'} · ${data.total} messages${data.dropped ? ` · ${data.dropped} dropped` : ''}` : 'nothing yet'}
      </span>
      {waits >= 0.01 && <span>the sender waits {Math.round(waits * 100)} % of the time</span>}
      {feedbackWires(doc).has(wireKey(at.wire)) && <span>closes a loop</span>}
      {last && <code>{typeof last.value === 'object' ? JSON.stringify(last.value) : String(last.value)}</code>}
      <span className="dim">click: figures and policy · double-click: insert here</span>
    </div>
  );
}

function EmptyHint() {
  const empty = useEditor(
    (state) =>
      state.activeFlow !== '' &&
      !indexOf(state.doc).placed.get(state.activeFlow)?.length &&
      !indexOf(state.doc).groups.get(state.activeFlow)?.length,
  );
  const noFlow = useEditor((state) => state.activeFlow === '');
  if (noFlow)
    return (
      <div className="canvas-hint">
        <b>No flow yet</b>
        <span>Add one with + above, or drop a flow file here.</span>
      </div>
    );
  if (!empty) return null;
  return (
    <div className="canvas-hint">
      <b>An empty flow</b>
      <span>Double-click anywhere to add a node, drag one from the palette, or drop a flow file here.</span>
    </div>
  );
}
