/** Where the canvas looks, how big cards are, and what is being dragged: plain values that painting and gestures share. */

import type { ReactFlowInstance } from '@xyflow/react';
import { get } from '../commands/store';
import { CARD_H, MAX_W, bounds, cardHeight, cardRect, cardWidth, inPort, outPort } from '../model/geometry';
import { indexOf } from '../model/document';
import { inputsOf, labelOf, outputsOf, type Types } from '../model/nodetypes';
import type { FlowNode, Point, Rect, Wire } from '../model/types';

export const MIN_ZOOM = 0.1;
export const MAX_ZOOM = 2;
/** Below this the cards are painted, not built. */
export const OVERVIEW_ZOOM = 0.48;
/** Below this cards are built without icon and ports, which could hardly be hit. */
export const FAR_ZOOM = 0.61;

class View {
  x = 0;
  y = 0;
  zoom = 1;
  width = 800;
  height = 600;
  element: HTMLElement | null = null;
  flow: ReactFlowInstance | null = null;
  /** Last place of the pointer, in the flow. */
  pointer: Point = { x: 200, y: 200 };
  private readonly listeners = new Set<() => void>();
  private readonly remembered = new Map<string, { x: number; y: number; zoom: number }>();

  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Called by the library for every change of the viewport. */
  moved(x: number, y: number, zoom: number): void {
    if (x === this.x && y === this.y && zoom === this.zoom) return;
    this.x = x;
    this.y = y;
    this.zoom = zoom;
    this.remembered.set(get().activeFlow, { x, y, zoom });
    this.listeners.forEach((listener) => listener());
  }

  resized(width: number, height: number): void {
    this.width = width;
    this.height = height;
    this.listeners.forEach((listener) => listener());
  }

  visible(margin = 0): Rect {
    const pad = margin / this.zoom;
    return {
      x: -this.x / this.zoom - pad,
      y: -this.y / this.zoom - pad,
      w: this.width / this.zoom + 2 * pad,
      h: this.height / this.zoom + 2 * pad,
    };
  }

  toFlow(clientX: number, clientY: number): Point {
    const box = this.element?.getBoundingClientRect();
    return { x: (clientX - (box?.left ?? 0) - this.x) / this.zoom, y: (clientY - (box?.top ?? 0) - this.y) / this.zoom };
  }

  toScreen(point: Point): Point {
    const box = this.element?.getBoundingClientRect();
    return { x: point.x * this.zoom + this.x + (box?.left ?? 0), y: point.y * this.zoom + this.y + (box?.top ?? 0) };
  }

  centre(): Point {
    const seen = this.visible();
    return { x: seen.x + seen.w / 2, y: seen.y + seen.h / 2 };
  }

  set(x: number, y: number, zoom: number, duration = 0): void {
    const calm = window.matchMedia('(prefers-reduced-motion: reduce)').matches;
    void this.flow?.setViewport({ x, y, zoom }, duration && !calm ? { duration } : undefined);
  }

  panBy(dx: number, dy: number): void {
    this.set(this.x + dx, this.y + dy, this.zoom);
  }

  /** Zooms around a place in the element; its centre when none is given. */
  zoomTo(zoom: number, at: Point = { x: this.width / 2, y: this.height / 2 }): void {
    const next = Math.max(MIN_ZOOM, Math.min(MAX_ZOOM, zoom));
    const k = next / this.zoom;
    this.set(at.x - (at.x - this.x) * k, at.y - (at.y - this.y) * k, next);
  }

  fit(duration = 250, floor = MIN_ZOOM): void {
    const area = this.content();
    if (!area) return this.set(0, 0, 1, duration);
    const pad = 60;
    const zoom = Math.max(floor, Math.min(1, (this.width - pad * 2) / area.w, (this.height - pad * 2) / area.h));
    this.set((this.width - area.w * zoom) / 2 - area.x * zoom, (this.height - area.h * zoom) / 2 - area.y * zoom, zoom, duration);
  }

  content(): Rect | undefined {
    const { doc, activeFlow } = get();
    const index = indexOf(doc);
    return bounds([
      ...(index.placed.get(activeFlow) ?? []).map((node) => geoOf(node).rect),
      ...(index.groups.get(activeFlow) ?? []).map(groupRect),
    ]);
  }

  /** A sensible first look at a flow: where it was left, whole if it is small, its beginning if it is large. */
  open(id: string): void {
    const old = this.remembered.get(id);
    if (old) return this.set(old.x, old.y, old.zoom);
    const area = this.content();
    if (!area) return this.set(0, 0, 1);
    const small = (this.width - 100) / area.w >= 0.8 && (this.height - 100) / area.h >= 0.8;
    if (small) this.fit(0, 0.8);
    else {
      // As wide as it goes while cards still show their live row.
      const zoom = Math.max(0.8, Math.min(1, (this.width - 48) / area.w));
      this.set(24 - area.x * zoom, 24 - area.y * zoom, zoom);
    }
  }

  /** Brings a node into sight. */
  reveal(id: string): void {
    const node = get().doc.nodes.get(id);
    if (!node || node.x === undefined) return;
    const rect = node.type === 'group' ? groupRect(node) : geoOf(node).rect;
    const seen = this.visible(-40);
    if (
      rect.x >= seen.x &&
      rect.y >= seen.y &&
      rect.x + rect.w <= seen.x + seen.w &&
      rect.y + rect.h <= seen.y + seen.h &&
      this.zoom >= 0.5
    )
      return;
    const zoom = Math.max(0.8, this.zoom);
    this.set(this.width / 2 - (rect.x + rect.w / 2) * zoom, this.height / 2 - (rect.y + rect.h / 2) * zoom, zoom, 250);
  }
}

export const view = new View();

/** What is being dragged right now; the document changes when it is dropped. */
export const drag: { ids: ReadonlySet<string>; dx: number; dy: number } = { ids: new Set(), dx: 0, dy: 0 };

export interface Geo {
  rect: Rect;
  inputs: number;
  outputs: number;
  label: string;
  /** The label, cut where it would not fit: an overflow clip on every card would be dear. */
  shown: string;
  bare: boolean;
}

const ruler = document.createElement('canvas').getContext('2d');
const widths = new Map<string, number>();

function textWidth(text: string): number {
  const known = widths.get(text);
  if (known !== undefined) return known;
  if (ruler) ruler.font = '500 12.5px system-ui, -apple-system, "Segoe UI", sans-serif';
  const width = ruler?.measureText(text).width ?? text.length * 7;
  widths.set(text, width);
  return width;
}

function fit(text: string, width: number): string {
  if (textWidth(text) <= width) return text;
  let length = Math.floor((text.length * width) / textWidth(text));
  while (length > 1 && textWidth(`${text.slice(0, length)}…`) > width) length -= 1;
  return `${text.slice(0, length).trimEnd()}…`;
}

const MAX_COMMENT_W = 460;

let cache = new WeakMap<FlowNode, Geo>();
let cachedTypes: Types | undefined;

/** Size and ports of a card. */
export function geoOf(node: FlowNode): Geo {
  const { doc, types } = get();
  if (types !== cachedTypes) {
    cache = new WeakMap();
    cachedTypes = types;
  }
  const known = cache.get(node);
  if (known) return known;
  const geo = measure(node);
  // An instance's ports depend on its subflow, which may change without the instance.
  if (!node.type.startsWith('subflow:') || !doc.nodes.has(node.type.slice(8))) cache.set(node, geo);
  return geo;
}

function measure(node: FlowNode): Geo {
  const { doc, types } = get();
  const outputs = outputsOf(doc, types, node);
  const inputs = inputsOf(doc, types, node);
  const label = labelOf(doc, types, node);
  if (node.type === 'junction') return { rect: cardRect(node, 12, 12), inputs: 1, outputs: 1, label: 'junction', shown: '', bare: true };
  const bare = node.l === false || (node.l === undefined && (node.type === 'link in' || node.type === 'link out'));
  const def = types.get(node.type);
  const extra = def?.button ? 76 : 50;
  const most = node.type === 'comment' ? MAX_COMMENT_W : MAX_W;
  const w = bare ? CARD_H : cardWidth(textWidth(label), extra, most);
  return { rect: cardRect(node, w, cardHeight(outputs)), inputs, outputs, label, shown: fit(label, w - extra + 4), bare };
}

export const groupRect = (node: FlowNode): Rect => ({ x: node.x ?? 0, y: node.y ?? 0, w: node.w ?? 100, h: node.h ?? 60 });

/** Where a card is now, also while it is dragged. */
export function placeOf(node: FlowNode): Rect {
  const { rect } = geoOf(node);
  return drag.ids.has(node.id) ? { ...rect, x: rect.x + drag.dx, y: rect.y + drag.dy } : rect;
}

export function portPoint(node: FlowNode, way: 'in' | 'out', port: number): Point {
  const rect = placeOf(node);
  return way === 'in' ? inPort(rect) : outPort(rect, port, geoOf(node).outputs);
}

export function wireEnds(wire: Wire): [Point, Point] | undefined {
  const { doc } = get();
  const from = doc.nodes.get(wire.from);
  const to = doc.nodes.get(wire.to);
  return from && to ? [portPoint(from, 'out', wire.port), portPoint(to, 'in', 0)] : undefined;
}

/** DOM elements of what is in sight, for painting that goes around React. */
export const cardElements = new Map<string, HTMLElement>();
export const wireElements = new Map<string, SVGPathElement>();
