/** Drawing wires from port to port, in both directions; shift moves the wires of a port; ctrl keeps the wire on the pointer. */

import { connect, rewire } from '../commands/edits';
import { get, parseWire, set } from '../commands/store';
import { indexOf, wiresOf } from '../model/document';
import { wirePath, within } from '../model/geometry';
import type { FlowNode, Point, Wire } from '../model/types';
import { track } from './gestures';
import { nodesInSight } from './Layer';
import { cardElements, geoOf, placeOf, portPoint, view } from './view';

export interface End {
  node: string;
  port: number;
  way: 'in' | 'out';
}

const REACH = 26;

export function startWiring(event: PointerEvent, from: End): void {
  event.preventDefault();
  const moved = event.shiftKey ? wiresOfPort(from) : [];
  let target: End | undefined;
  let far = false;
  const draw = (now: PointerEvent): void => {
    if (Math.hypot(now.clientX - event.clientX, now.clientY - event.clientY) > 5) far = true;
    const at = view.toFlow(now.clientX, now.clientY);
    const starts = moved.length ? moved.map((wire) => otherEnd(wire, from)) : [from];
    const way = moved.length ? from.way : from.way === 'out' ? 'in' : 'out';
    target = nearest(at, way, starts);
    mark(target);
    drawDraft(starts, target, at);
  };
  view.element?.classList.add('wiring');
  track(event, draw, (now, cancelled) => {
    finish();
    if (cancelled) return;
    if (moved.length) {
      if (far) rewire(moved, target);
    } else if (target) join(from, target);
    else if (!far && (now.ctrlKey || now.metaKey)) followPointer(from);
    else if (far) set({ quickAdd: { screen: { x: now.clientX, y: now.clientY }, at: view.toFlow(now.clientX, now.clientY), wire: from } });
  });
}

function finish(): void {
  view.element?.classList.remove('wiring');
  mark(undefined);
  document.getElementById('draft-wire')?.setAttribute('d', '');
}

function join(from: End, to: End): boolean {
  return connect(from.way === 'out' ? { from: from.node, port: from.port, to: to.node } : { from: to.node, port: to.port, to: from.node });
}

/** Quick wiring: click after click while ctrl is held; each joined node is the start of the next wire. */
function followPointer(start: End): void {
  let from = start;
  let target: End | undefined;
  const onMove = (event: PointerEvent): void => {
    const at = view.toFlow(event.clientX, event.clientY);
    target = nearest(at, from.way === 'out' ? 'in' : 'out', [from]);
    mark(target);
    drawDraft([from], target, at);
  };
  const onDown = (event: PointerEvent): void => {
    event.stopPropagation();
    event.preventDefault();
    if (!target) return stop();
    join(from, target);
    const node = get().doc.nodes.get(target.node);
    const next: End = { node: target.node, port: 0, way: from.way };
    if (node && (from.way === 'out' ? geoOf(node).outputs : geoOf(node).inputs) > 0) from = next;
    else stop();
  };
  const onKey = (event: KeyboardEvent): void => {
    if (event.key === 'Control' || event.key === 'Meta' || event.key === 'Escape') stop();
  };
  const stop = (): void => {
    window.removeEventListener('pointermove', onMove);
    window.removeEventListener('pointerdown', onDown, true);
    window.removeEventListener('keyup', onKey);
    finish();
  };
  view.element?.classList.add('wiring');
  window.addEventListener('pointermove', onMove);
  window.addEventListener('pointerdown', onDown, true);
  window.addEventListener('keyup', onKey);
}

/** The wires of a port, or the selected ones among them. */
function wiresOfPort(end: End): Wire[] {
  const { doc, wireSelection } = get();
  const node = doc.nodes.get(end.node);
  const all =
    end.way === 'in' ? (indexOf(doc).into.get(end.node) ?? []) : node ? wiresOf(node).filter((wire) => wire.port === end.port) : [];
  const chosen = [...wireSelection].map(parseWire);
  const some = all.filter((wire) => chosen.some((one) => one.from === wire.from && one.port === wire.port && one.to === wire.to));
  return some.length ? some : all;
}

const otherEnd = (wire: Wire, end: End): End =>
  end.way === 'in' ? { node: wire.from, port: wire.port, way: 'out' } : { node: wire.to, port: 0, way: 'in' };

/** The port a wire would snap to at a place. */
function nearest(at: Point, way: 'in' | 'out', starts: readonly End[]): End | undefined {
  let best: End | undefined;
  let least = REACH / Math.min(1, view.zoom);
  for (const node of nodesInSight()) {
    if (starts.some((start) => start.node === node.id)) continue;
    const count = way === 'in' ? geoOf(node).inputs : geoOf(node).outputs;
    for (let port = 0; port < count; port++) {
      const point = portPoint(node, way, port);
      const distance = Math.hypot(point.x - at.x, point.y - at.y);
      if (distance < least) {
        least = distance;
        best = { node: node.id, port, way };
      }
    }
    if (!best && count === 1 && within(at, placeOf(node))) best = { node: node.id, port: 0, way };
  }
  return best;
}

function drawDraft(starts: readonly End[], target: End | undefined, at: Point): void {
  const { doc } = get();
  const paths = starts.flatMap((start) => {
    const node = doc.nodes.get(start.node);
    if (!node) return [];
    const end = (target && endPoint(target, doc.nodes.get(target.node))) ?? at;
    const begin = portPoint(node, start.way, start.port);
    return [start.way === 'out' ? wirePath(begin, end) : wirePath(end, begin)];
  });
  document.getElementById('draft-wire')?.setAttribute('d', paths.join(''));
}

const endPoint = (end: End, node: FlowNode | undefined): Point | undefined => node && portPoint(node, end.way, end.port);

let marked: Element | null = null;

function mark(end: End | undefined): void {
  const element = end ? (cardElements.get(end.node)?.querySelector(`[data-way="${end.way}"][data-port="${end.port}"]`) ?? null) : null;
  if (element === marked) return;
  marked?.classList.remove('target');
  element?.classList.add('target');
  marked = element;
}
