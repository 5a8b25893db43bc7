/** Node-RED's pointer gestures on the canvas: select, lasso, move, splice, slice. Wiring is in wiring.ts; panning is the library's. */

import { movingIds, move, rewire, spliceSelected } from '../commands/edits';
import { canEdit, get, openFlow, select, set } from '../commands/store';
import { connected, indexOf } from '../model/document';
import { distanceTo, overlaps, segmentsCross, snap, wirePoints, within } from '../model/geometry';
import { wireKey, type FlowNode, type Point, type Rect, type Wire } from '../model/types';
import { currentRegion, nodesInSight, paintDrag, wiresInSight } from './Layer';
import { startWiring, type End } from './wiring';
import { drag, geoOf, groupRect, placeOf, portPoint, view, wireElements, wireEnds } from './view';

const SLOP = 4;

/** Called when cards move, so that the painted layer follows. */
export const onDrag: { moved: () => void } = { moved: () => undefined };

export const keys = { space: false };

/** Follows one pointer until it is released or the gesture is given up. */
export function track(
  start: PointerEvent,
  move: (event: PointerEvent) => void,
  end: (event: PointerEvent, cancelled: boolean) => void,
  autoPan = true,
): void {
  let last = start;
  const onMove = (event: PointerEvent): void => {
    if (event.pointerId !== start.pointerId) return;
    last = event;
    move(event);
  };
  const edge = window.setInterval(() => {
    if (!autoPan || Math.hypot(last.clientX - start.clientX, last.clientY - start.clientY) < 20) return;
    const [dx, dy] = edgePull(last);
    if (!dx && !dy) return;
    view.panBy(dx, dy);
    move(last);
  }, 30);
  const finish = (event: PointerEvent, cancelled: boolean): void => {
    window.clearInterval(edge);
    window.removeEventListener('pointermove', onMove);
    window.removeEventListener('pointerup', onUp);
    window.removeEventListener('pointercancel', onCancel);
    window.removeEventListener('keydown', onKey, true);
    end(event, cancelled);
  };
  const onUp = (event: PointerEvent): void => {
    if (event.pointerId === start.pointerId) finish(event, false);
  };
  const onCancel = (event: PointerEvent): void => {
    if (event.pointerId === start.pointerId) finish(event, true);
  };
  const onKey = (event: KeyboardEvent): void => {
    if (event.key !== 'Escape') return;
    event.stopPropagation();
    finish(start, true);
  };
  window.addEventListener('pointermove', onMove);
  window.addEventListener('pointerup', onUp);
  window.addEventListener('pointercancel', onCancel);
  window.addEventListener('keydown', onKey, true);
}

const EDGE = 24;

/** How far the view moves while the pointer is held at the edge of the canvas. */
function edgePull(event: PointerEvent): [number, number] {
  const box = view.element?.getBoundingClientRect();
  if (!box) return [0, 0];
  const pull = (at: number, low: number, high: number): number => (at < low + EDGE ? 12 : at > high - EDGE ? -12 : 0);
  return [pull(event.clientX, box.left, box.right), pull(event.clientY, box.top, box.bottom)];
}

export function pointerDown(event: PointerEvent): void {
  const target = event.target as Element;
  if (target.closest('[data-stop], .floating, .popover')) return;
  view.element?.focus({ preventScroll: true });
  if (get().menu || get().quickAdd) set({ menu: null, quickAdd: null });
  if (event.button !== 0 || keys.space) return;
  const port = target.closest<HTMLElement>('[data-way]');
  if (port?.dataset.node) {
    if (canEdit())
      startWiring(event, { node: port.dataset.node, port: Number(port.dataset.port), way: port.dataset.way === 'in' ? 'in' : 'out' });
    return;
  }
  const end = currentRegion().far && canEdit() ? portAt(view.toFlow(event.clientX, event.clientY)) : undefined;
  if (end) return startWiring(event, end);
  const id = target.closest<HTMLElement>('[data-node-id]')?.dataset.nodeId ?? nodeAt(view.toFlow(event.clientX, event.clientY))?.id;
  if (id) return startNode(event, id);
  if (event.pointerType === 'touch') return touchCanvas(event);
  startCanvas(event);
}

/** In the overview there are no cards to hit, only places. */
function nodeAt(at: Point): FlowNode | undefined {
  return currentRegion().overview ? nodesInSight().findLast((node) => within(at, placeOf(node))) : undefined;
}

/** From afar ports are not in the page; they are where they are all the same. */
function portAt(at: Point): End | undefined {
  if (currentRegion().overview) return undefined;
  for (const node of nodesInSight()) {
    const { inputs, outputs } = geoOf(node);
    for (let port = 0; port < outputs; port++) if (near(portPoint(node, 'out', port), at)) return { node: node.id, port, way: 'out' };
    if (inputs && near(portPoint(node, 'in', 0), at)) return { node: node.id, port: 0, way: 'in' };
  }
  return undefined;
}

const near = (a: Point, b: Point): boolean => Math.hypot(a.x - b.x, a.y - b.y) < 8;

export function wireAt(at: Point): Wire | undefined {
  let best: Wire | undefined;
  let least = 7 / Math.min(1, view.zoom);
  for (const wire of wiresInSight()) {
    const ends = wireEnds(wire);
    if (!ends) continue;
    const distance = distanceTo(wirePoints(...ends), at);
    if (distance < least) {
      least = distance;
      best = wire;
    }
  }
  return best;
}

function startNode(event: PointerEvent, id: string): void {
  const { selection } = get();
  const add = event.ctrlKey || event.metaKey;
  const fresh = !selection.has(id);
  if (fresh) select(add ? [...selection, id] : [id]);
  let moving = false;
  let splicing: Wire | undefined;
  const anchor = get().doc.nodes.get(id);
  const begin = view.toFlow(event.clientX, event.clientY);
  track(
    event,
    (now) => {
      if (!moving) {
        if (Math.hypot(now.clientX - event.clientX, now.clientY - event.clientY) < SLOP || !canEdit()) return;
        moving = true;
        drag.ids = movingIds();
        view.element?.classList.add('dragging');
      }
      const at = view.toFlow(now.clientX, now.clientY);
      const free = now.shiftKey || anchor?.x === undefined || anchor.y === undefined;
      const dx = free ? Math.round(at.x - begin.x) : snap(anchor.x! + at.x - begin.x) - anchor.x!;
      const dy = free ? Math.round(at.y - begin.y) : snap(anchor.y! + at.y - begin.y) - anchor.y!;
      if (dx === drag.dx && dy === drag.dy) return;
      drag.dx = dx;
      drag.dy = dy;
      paintDrag();
      onDrag.moved();
      splicing = spliceTarget(splicing);
    },
    (now, cancelled) => {
      view.element?.classList.remove('dragging');
      if (moving) dropNodes(cancelled ? undefined : splicing, cancelled);
      else if (!cancelled) clickNode(now, id, fresh, add);
    },
  );
}

function dropNodes(splicing: Wire | undefined, cancelled: boolean): void {
  const { ids, dx, dy } = drag;
  markWire(undefined);
  drag.dx = 0;
  drag.dy = 0;
  // What was shown by a shift is now shown by the document, or not at all.
  paintDrag(ids);
  drag.ids = new Set();
  if (!cancelled) {
    move(ids, dx, dy);
    if (splicing) spliceSelected(splicing, [...ids][0]);
  }
  onDrag.moved();
}

function clickNode(event: PointerEvent, id: string, fresh: boolean, add: boolean): void {
  const { doc, selection } = get();
  if (event.shiftKey) {
    const node = doc.nodes.get(id);
    const rect = node && placeOf(node);
    const along = rect ? (view.toFlow(event.clientX, event.clientY).x - rect.x) / rect.w : 0.5;
    const graph = connected(doc, [id], along < 0.2 ? 'up' : along > 0.8 ? 'down' : 'both');
    select(add ? [...selection, ...graph] : graph);
  } else if (add) {
    if (!fresh) select([...selection].filter((other) => other !== id));
  } else select([id]);
}

/** The wire under a dragged node that has no wires yet. */
function spliceTarget(old: Wire | undefined): Wire | undefined {
  const { doc } = get();
  const [id] = drag.ids;
  const node = doc.nodes.get(id);
  if (drag.ids.size !== 1 || !node || geoOf(node).inputs === 0 || geoOf(node).outputs === 0) return undefined;
  if ((node.wires ?? []).some((targets) => targets.length) || indexOf(doc).into.get(id)?.length) return undefined;
  const rect = placeOf(node);
  const wire = wireAt({ x: rect.x + rect.w / 2, y: rect.y + rect.h / 2 });
  if (wire?.from !== old?.from || wire?.to !== old?.to) markWire(wire);
  return wire;
}

let marked: SVGPathElement | undefined;

export function markWire(wire: Wire | undefined): void {
  const element = wire && wireElements.get(wireKey(wire));
  if (element === marked) return;
  marked?.classList.remove('hover');
  element?.classList.add('hover');
  marked = element;
}

function startCanvas(event: PointerEvent): void {
  const begin = view.toFlow(event.clientX, event.clientY);
  const wire = wireAt(begin);
  const add = event.ctrlKey || event.metaKey;
  if (wire) return clickWire(event, wire, add);
  if (add) return set({ quickAdd: { screen: { x: event.clientX, y: event.clientY }, at: begin } });
  if (event.altKey && canEdit()) return startSlice(event, begin);
  startLasso(event, begin);
}

function clickWire(event: PointerEvent, wire: Wire, add: boolean): void {
  const key = wireKey(wire);
  const { wireSelection } = get();
  if (add && wireSelection.size === 1 && wireSelection.has(key)) {
    set({ quickAdd: { screen: { x: event.clientX, y: event.clientY }, at: view.toFlow(event.clientX, event.clientY), splice: wire } });
  } else select([], add ? [...wireSelection, key] : [key]);
}

function startLasso(event: PointerEvent, begin: Point): void {
  const box = document.getElementById('lasso');
  const before = event.shiftKey ? get().selection : new Set<string>();
  let rect: Rect | undefined;
  track(
    event,
    (now) => {
      if (!rect && Math.hypot(now.clientX - event.clientX, now.clientY - event.clientY) < SLOP) return;
      const at = view.toFlow(now.clientX, now.clientY);
      rect = { x: Math.min(begin.x, at.x), y: Math.min(begin.y, at.y), w: Math.abs(at.x - begin.x), h: Math.abs(at.y - begin.y) };
      if (!box) return;
      box.style.transform = `translate(${rect.x * view.zoom + view.x}px, ${rect.y * view.zoom + view.y}px)`;
      box.style.width = `${rect.w * view.zoom}px`;
      box.style.height = `${rect.h * view.zoom}px`;
      box.style.display = 'block';
    },
    (_now, cancelled) => {
      if (box) box.style.display = 'none';
      if (cancelled) return;
      if (!rect) {
        if (!event.shiftKey) select([]);
        return;
      }
      const area = rect;
      const { doc, activeFlow } = get();
      const index = indexOf(doc);
      const inside = (index.placed.get(activeFlow) ?? []).filter((node) => overlaps(placeOf(node), area)).map((node) => node.id);
      const groups = (index.groups.get(activeFlow) ?? []).filter((node) => {
        const frame = groupRect(node);
        return frame.x >= area.x && frame.y >= area.y && frame.x + frame.w <= area.x + area.w && frame.y + frame.h <= area.y + area.h;
      });
      select([...before, ...inside, ...groups.map((node) => node.id)]);
    },
  );
}

/** Alt-drag: cuts every wire the line crosses. */
function startSlice(event: PointerEvent, begin: Point): void {
  const line = document.getElementById('slice-line');
  let at = begin;
  track(
    event,
    (now) => {
      at = view.toFlow(now.clientX, now.clientY);
      line?.setAttribute('d', `M${begin.x} ${begin.y}L${at.x} ${at.y}`);
    },
    (_now, cancelled) => {
      line?.setAttribute('d', '');
      if (cancelled) return;
      const cut = wiresInSight().filter((wire) => {
        const ends = wireEnds(wire);
        if (!ends) return false;
        const points = wirePoints(...ends);
        return points.some((point, i) => i > 0 && segmentsCross(points[i - 1], point, begin, at));
      });
      if (cut.length) rewire(cut, undefined);
    },
  );
}

const LONG_PRESS = 550;

/** One finger pans (the library's part); a long press opens the menu, a tap selects. */
function touchCanvas(event: PointerEvent): void {
  const begin = view.toFlow(event.clientX, event.clientY);
  let moved = false;
  const timer = window.setTimeout(() => {
    if (!moved) set({ menu: { screen: { x: event.clientX, y: event.clientY }, at: begin } });
    moved = true;
  }, LONG_PRESS);
  track(
    event,
    (now) => {
      if (Math.hypot(now.clientX - event.clientX, now.clientY - event.clientY) > 8) moved = true;
    },
    () => {
      window.clearTimeout(timer);
      if (moved) return;
      const wire = wireAt(begin);
      select([], wire ? [wireKey(wire)] : []);
    },
    false,
  );
}

export function doubleClick(event: MouseEvent): void {
  const target = event.target as Element;
  if (target.closest('[data-stop], .floating, .popover')) return;
  const at = view.toFlow(event.clientX, event.clientY);
  const id = target.closest<HTMLElement>('[data-node-id]')?.dataset.nodeId ?? nodeAt(at)?.id;
  if (id) {
    const node = get().doc.nodes.get(id);
    if ((event.ctrlKey || event.metaKey) && node?.type.startsWith('subflow:')) return openFlow(node.type.slice(8));
    select([id]);
    set({ right: true, rightTab: 'setup' });
    window.dispatchEvent(new CustomEvent('tidewire:edit'));
    return;
  }
  if (!canEdit()) return;
  const wire = wireAt(at);
  set({ quickAdd: { screen: { x: event.clientX, y: event.clientY }, at, splice: wire } });
}

export function contextMenu(event: MouseEvent): void {
  const target = event.target as Element;
  if (target.closest('.floating, .popover')) return;
  event.preventDefault();
  const at = view.toFlow(event.clientX, event.clientY);
  const node = target.closest<HTMLElement>('[data-node-id]')?.dataset.nodeId ?? nodeAt(at)?.id;
  const wire = node ? undefined : wireAt(at);
  if (node && !get().selection.has(node)) select([node]);
  else if (wire) select([], [wireKey(wire)]);
  set({ menu: { screen: { x: event.clientX, y: event.clientY }, at, node, wire } });
}
