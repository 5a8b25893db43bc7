/** Where cards, ports and wires lie, in flow coordinates. Node-RED's x and y are the centre of a card. */

import type { FlowNode, Point, Rect } from './types';

export const GRID = 20;
export const CARD_W = 160;
export const CARD_H = 30;
export const MAX_W = 260;
const PORT_GAP = 15;

export const snap = (value: number): number => Math.round(value / GRID) * GRID;

/** Width that shows the label whole, in Node-RED's steps. `text` is the width of the label in px. */
export const cardWidth = (text: number, extra: number, most: number): number =>
  Math.min(most, Math.max(CARD_W, Math.ceil((text + extra) / GRID) * GRID));

export const cardHeight = (outputs: number): number => Math.max(CARD_H, outputs * PORT_GAP + 2);

export const cardRect = (node: FlowNode, w: number, h: number): Rect => ({ x: (node.x ?? 0) - w / 2, y: (node.y ?? 0) - h / 2, w, h });

export const inPort = (rect: Rect): Point => ({ x: rect.x, y: rect.y + rect.h / 2 });

export const outPort = (rect: Rect, port: number, outputs: number): Point => ({
  x: rect.x + rect.w,
  y: rect.y + rect.h / 2 + (port - (Math.max(1, outputs) - 1) / 2) * PORT_GAP,
});

export const overlaps = (a: Rect, b: Rect): boolean => a.x < b.x + b.w && a.x + a.w > b.x && a.y < b.y + b.h && a.y + a.h > b.y;

export const within = (point: Point, rect: Rect): boolean =>
  point.x >= rect.x && point.x <= rect.x + rect.w && point.y >= rect.y && point.y <= rect.y + rect.h;

export function bounds(rects: readonly Rect[]): Rect | undefined {
  if (!rects.length) return undefined;
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const rect of rects) {
    left = Math.min(left, rect.x);
    top = Math.min(top, rect.y);
    right = Math.max(right, rect.x + rect.w);
    bottom = Math.max(bottom, rect.y + rect.h);
  }
  return { x: left, y: top, w: right - left, h: bottom - top };
}

/** True when the wire must run backwards and is routed around the cards. */
const backward = (a: Point, b: Point): boolean => b.x < a.x + 12;

/** Corner points of a backward wire. */
function detour(a: Point, b: Point): Point[] {
  const out = a.x + 18;
  const back = b.x - 18;
  const gap = Math.abs(b.y - a.y);
  const level = gap >= 90 ? (a.y + b.y) / 2 + 4 : Math.max(a.y, b.y) + 46;
  return [a, { x: out, y: a.y }, { x: out, y: level }, { x: back, y: level }, { x: back, y: b.y }, b];
}

/** The SVG path of a wire. */
export function wirePath(a: Point, b: Point): string {
  if (!backward(a, b)) {
    const [p, q] = handles(a, b);
    return `M${r(a.x)} ${r(a.y)}C${r(p.x)} ${r(p.y)} ${r(q.x)} ${r(q.y)} ${r(b.x)} ${r(b.y)}`;
  }
  const points = detour(a, b);
  let path = `M${r(points[0].x)} ${r(points[0].y)}`;
  for (let i = 1; i < points.length - 1; i++) {
    const [before, at, after] = [points[i - 1], points[i], points[i + 1]];
    const radius = Math.min(10, dist(before, at) / 2, dist(at, after) / 2);
    const p = towards(at, before, radius);
    const q = towards(at, after, radius);
    path += `L${r(p.x)} ${r(p.y)}Q${r(at.x)} ${r(at.y)} ${r(q.x)} ${r(q.y)}`;
  }
  return `${path}L${r(b.x)} ${r(b.y)}`;
}

const r = (value: number): number => Math.round(value * 10) / 10;
const dist = (a: Point, b: Point): number => Math.hypot(a.x - b.x, a.y - b.y);

function towards(from: Point, to: Point, by: number): Point {
  const d = dist(from, to) || 1;
  return { x: from.x + ((to.x - from.x) / d) * by, y: from.y + ((to.y - from.y) / d) * by };
}

function handles(a: Point, b: Point): [Point, Point] {
  const dx = b.x - a.x;
  const reach = Math.max(14, Math.min(90, dx * 0.5 + Math.min(30, Math.abs(b.y - a.y) * 0.12)));
  return [
    { x: a.x + reach, y: a.y },
    { x: b.x - reach, y: b.y },
  ];
}

/** A polyline close to the drawn wire: for hit tests, for moving dots and for canvas strokes. */
export function wirePoints(a: Point, b: Point, steps = 16): Point[] {
  if (backward(a, b)) return detour(a, b);
  const [p, q] = handles(a, b);
  const points: Point[] = [];
  for (let i = 0; i <= steps; i++) {
    const t = i / steps;
    const s = 1 - t;
    points.push({
      x: s * s * s * a.x + 3 * s * s * t * p.x + 3 * s * t * t * q.x + t * t * t * b.x,
      y: s * s * s * a.y + 3 * s * s * t * p.y + 3 * s * t * t * q.y + t * t * t * b.y,
    });
  }
  return points;
}

/** Distance of a point from a polyline. */
export function distanceTo(points: readonly Point[], at: Point): number {
  let best = Infinity;
  for (let i = 1; i < points.length; i++) best = Math.min(best, segmentDistance(points[i - 1], points[i], at));
  return best;
}

function segmentDistance(a: Point, b: Point, at: Point): number {
  const [dx, dy] = [b.x - a.x, b.y - a.y];
  const length = dx * dx + dy * dy;
  const t = length ? Math.max(0, Math.min(1, ((at.x - a.x) * dx + (at.y - a.y) * dy) / length)) : 0;
  return Math.hypot(a.x + t * dx - at.x, a.y + t * dy - at.y);
}

/** The point at the fraction `t` of a polyline's length. */
export function alongWire(points: readonly Point[], t: number): Point {
  let total = 0;
  for (let i = 1; i < points.length; i++) total += dist(points[i - 1], points[i]);
  let left = total * t;
  for (let i = 1; i < points.length; i++) {
    const step = dist(points[i - 1], points[i]);
    if (left <= step) return towards(points[i - 1], points[i], left);
    left -= step;
  }
  return points[points.length - 1];
}

export function segmentsCross(a: Point, b: Point, c: Point, d: Point): boolean {
  const side = (p: Point, q: Point, s: Point): number => (q.x - p.x) * (s.y - p.y) - (q.y - p.y) * (s.x - p.x);
  return side(a, b, c) * side(a, b, d) < 0 && side(c, d, a) * side(c, d, b) < 0;
}
