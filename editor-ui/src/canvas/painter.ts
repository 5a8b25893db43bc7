/** The one canvas below the cards: activity on wires, live rows, statuses, and the overview when zoomed out. */

import { get, useEditor } from '../commands/store';
import { age, compact, gist, number, rate } from '../model/debugvalue';
import { alongWire, wirePoints } from '../model/geometry';
import { feedbackWires } from '../model/loops';
import { limitsOf } from '../model/policies';
import { roleOf } from '../model/nodetypes';
import { wireKey, type FlowNode, type Point, type Rect } from '../model/types';
import { live, waiting, type NodeLive, type Status, type WireLive } from '../net/live';
import { RowPen, pill, trace, type Palette } from './pen';
import { currentRegion, nodesInSight, subscribeRegion, wiresInSight } from './Layer';
import { placeOf, view, wireEnds } from './view';

const FADE = 5000;
const DOT_MS = 900;
const MAX_PIXELS = 9_000_000;
/** From this share of the time on a wire says that its sender waits. */
const WAITS = 0.05;
/** So few waiting messages are everyday life. */
const FEW = 5;

interface Dot {
  key: string;
  start: number;
}

const names: (keyof Omit<Palette, 'role'>)[] = ['text', 'text2', 'line', 'card', 'border', 'accent', 'ok', 'warn', 'error', 'changed'];

export class Painter {
  private readonly context: CanvasRenderingContext2D;
  private palette: Palette | undefined;
  private frame = 0;
  private ticker = 0;
  private settle = 0;
  private trailing = 0;
  private scale = 1;
  private dots: Dot[] = [];
  private painted = false;
  private cost = 2;
  private readonly calm = window.matchMedia('(prefers-reduced-motion: reduce)');
  private readonly stops: (() => void)[] = [];

  constructor(private readonly canvas: HTMLCanvasElement) {
    const context = canvas.getContext('2d');
    if (!context) throw new Error('this browser has no 2d canvas');
    this.context = context;
    let zoom = view.zoom;
    this.stops.push(
      live.on('frame', () => this.onFrame()),
      subscribeRegion(() => this.request()),
      view.onChange(() => {
        if (zoom === view.zoom) return;
        zoom = view.zoom;
        // While zooming the old picture is stretched; it is drawn sharp when the zoom comes to rest.
        window.clearTimeout(this.settle);
        this.settle = window.setTimeout(() => this.request(), currentRegion().overview ? 40 : 120);
      }),
      useEditor.subscribe((now, old) => {
        if (now.theme !== old.theme) this.palette = undefined;
        if (
          now.doc !== old.doc ||
          now.activeFlow !== old.activeFlow ||
          now.theme !== old.theme ||
          (now.selection !== old.selection && currentRegion().overview)
        )
          this.request();
      }),
    );
    const scheme = window.matchMedia('(prefers-color-scheme: dark)');
    const onScheme = (): void => {
      this.palette = undefined;
      this.request();
    };
    scheme.addEventListener('change', onScheme);
    this.stops.push(() => scheme.removeEventListener('change', onScheme));
    // Ages grow without messages.
    const clock = window.setInterval(() => {
      if (live.nodes.size) this.request();
    }, 1000);
    this.stops.push(() => window.clearInterval(clock));
    this.request();
  }

  stop(): void {
    this.stops.forEach((stop) => stop());
    cancelAnimationFrame(this.frame);
    window.clearTimeout(this.ticker);
    window.clearTimeout(this.settle);
    window.clearTimeout(this.trailing);
  }

  request(): void {
    if (this.frame || document.hidden) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      const begin = performance.now();
      this.paint();
      this.cost = this.cost * 0.8 + (performance.now() - begin) * 0.2;
    });
  }

  private onFrame(): void {
    if (!this.calm.matches && view.zoom >= 0.5) {
      const now = performance.now();
      for (const [key, wire] of live.wires) {
        if (wire.fresh > 0 && wire.rate <= 3.2 && this.dots.length < 300) {
          for (let i = 0; i < Math.min(3, wire.fresh); i++) this.dots.push({ key, start: now + i * 120 });
          wire.fresh = 0;
        }
      }
    }
    this.request();
  }

  private colours(): Palette {
    if (this.palette) return this.palette;
    const style = getComputedStyle(document.documentElement);
    const read = (name: string): string => style.getPropertyValue(`--${name}`).trim();
    const palette = Object.fromEntries(names.map((name) => [name, read(name)])) as unknown as Palette;
    palette.role = Object.fromEntries(['in', 'logic', 'state', 'out', 'system'].map((role) => [role, read(`role-${role}`)]));
    this.palette = palette;
    return palette;
  }

  private paint(): void {
    const { rect, overview } = currentRegion();
    const alive = !overview && hasInk();
    if (!overview && !alive && !this.painted) return;
    this.place(rect);
    const { context } = this;
    context.setTransform(this.scale, 0, 0, this.scale, -rect.x * this.scale, -rect.y * this.scale);
    context.clearRect(rect.x, rect.y, rect.w, rect.h);
    this.painted = overview || alive;
    if (rect.w <= 0) return;
    if (overview) this.paintOverview();
    else {
      const moving = this.paintWires();
      if (view.zoom >= 0.5) this.paintRows();
      if (moving) this.again();
    }
  }

  /** The next step of a moving picture; slower where painting is dear. */
  private again(): void {
    if (this.ticker || this.calm.matches) return;
    this.ticker = window.setTimeout(
      () => {
        this.ticker = 0;
        this.request();
      },
      this.cost > 6 ? 160 : 40,
    );
  }

  private place(rect: Rect): void {
    const want = view.zoom * window.devicePixelRatio;
    const scale = Math.min(want, Math.sqrt(MAX_PIXELS / (rect.w * rect.h || 1)));
    const width = Math.max(1, Math.round(rect.w * scale));
    const height = Math.max(1, Math.round(rect.h * scale));
    this.scale = scale;
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
    const { style } = this.canvas;
    style.left = `${rect.x}px`;
    style.top = `${rect.y}px`;
    style.width = `${rect.w}px`;
    style.height = `${rect.h}px`;
  }

  private paintWires(): boolean {
    const { context } = this;
    const { doc, types } = get();
    const colours = this.colours();
    const now = Date.now();
    const clock = performance.now();
    let moving = false;
    const feedback = feedbackWires(doc);
    const dots = new Map<string, Dot[]>();
    this.dots = this.dots.filter((dot) => clock - dot.start < DOT_MS);
    for (const dot of this.dots) dots.set(dot.key, [...(dots.get(dot.key) ?? []), dot]);
    for (const wire of wiresInSight()) {
      const data = live.wires.get(wireKey(wire));
      const quiet = !data || now - data.seen > FADE;
      const mine = dots.get(wireKey(wire));
      const waits = data ? waiting(data, now) : 0;
      if (quiet && !mine && waits < WAITS && !data?.dropped) continue;
      const ends = wireEnds(wire);
      const source = doc.nodes.get(wire.from);
      if (!ends || !source) continue;
      const points = wirePoints(...ends);
      const colour = colours.role[roleOf(types, source)] ?? colours.line;
      const loop = feedback.has(wireKey(wire));
      if (data) moving = this.strokeWire(points, data, { colour, waits, loop, now, clock }) || moving;
      for (const dot of mine ?? []) this.paintDot(points, (clock - dot.start) / DOT_MS, colour);
      if (mine?.length) moving = true;
      if (data) this.paintPill(waits, data.dropped, points);
    }
    context.globalAlpha = 1;
    context.setLineDash([]);
    return moving;
  }

  private strokeWire(
    points: Point[],
    data: WireLive,
    look: { colour: string; waits: number; loop: boolean; now: number; clock: number },
  ): boolean {
    const { context } = this;
    const { now } = look;
    const stuck = look.waits >= 0.98;
    context.globalAlpha = Math.max(stuck ? 1 : 0, 1 - (now - data.seen) / FADE) * 0.9;
    context.strokeStyle = stuck ? this.colours().error : look.colour;
    context.lineWidth = Math.max(1.5, Math.min(4, 1.5 + Math.log10(Math.max(1, data.rate))));
    const flowing = data.rate > 3 && !this.calm.matches;
    trace(context, points);
    context.setLineDash(look.loop ? [9, 6] : []);
    if (flowing || stuck) {
      context.globalAlpha *= 0.35;
      context.stroke();
      context.globalAlpha /= 0.35;
      context.setLineDash([7, 9]);
      context.lineDashOffset = -((look.clock / 1000) * 24 * (1 + Math.log10(Math.max(1, data.rate)))) % 16;
    }
    context.stroke();
    return flowing && now - data.seen < FADE;
  }

  private paintDot(points: Point[], t: number, colour: string): void {
    if (t < 0 || t > 1) return;
    const { context } = this;
    const at = alongWire(points, t * (2 - t));
    context.globalAlpha = 1;
    context.fillStyle = colour;
    context.beginPath();
    context.arc(at.x, at.y, 3.6, 0, 7);
    context.fill();
  }

  /** Which share of the time the sender of a wire waits, and how many messages the wire dropped. */
  private paintPill(waits: number, dropped: number, points: Point[]): void {
    if (view.zoom < 0.5) return;
    const colours = this.colours();
    this.context.globalAlpha = 1;
    this.context.setLineDash([]);
    const waiting = waits >= WAITS;
    if (waiting) {
      const tone = waits >= 0.85 ? colours.error : waits >= 0.6 ? colours.warn : undefined;
      pill(this.context, alongWire(points, dropped ? 0.36 : 0.5), `${Math.round(waits * 100)} %`, { tone, sign: 'pause', colours });
    }
    if (dropped) pill(this.context, alongWire(points, waiting ? 0.66 : 0.5), `−${compact(dropped)}`, { sign: 'drop', colours });
  }

  /** How many messages wait at a node, above it; the left is for labels of groups. */
  private paintQueue(node: FlowNode, rect: Rect, queue: number): void {
    if (queue < FEW) return;
    const colours = this.colours();
    const full = queue / limitsOf(node).messages;
    const tone = full >= 0.85 ? colours.error : full >= 0.6 ? colours.warn : undefined;
    pill(this.context, { x: rect.x + rect.w - 8, y: rect.y - 9 }, compact(queue), { tone, sign: 'queue', colours, end: true });
  }

  private paintRows(): void {
    const { context } = this;
    const full = view.zoom >= 0.8;
    const now = Date.now();
    context.globalAlpha = 1;
    context.textBaseline = 'alphabetic';
    for (const node of nodesInSight()) {
      const data = live.nodes.get(node.id);
      const status = live.status.get(node.id);
      if ((!data && !status) || node.type === 'junction') continue;
      const rect = placeOf(node);
      if (full) this.paintRow(node, rect, data, status, now);
      else this.paintHeat(node, rect, data, status, now);
      if (data) this.paintQueue(node, rect, data.queue);
    }
  }

  private paintHeat(node: FlowNode, rect: Rect, data: NodeLive | undefined, status: Status | undefined, now: number): void {
    const { context } = this;
    const colours = this.colours();
    const recent = data && now - data.seen < FADE;
    if (!status && !recent) return;
    context.fillStyle = status ? this.statusColour(status) : (colours.role[roleOf(get().types, node)] ?? colours.line);
    context.beginPath();
    context.arc(rect.x + 8, rect.y + rect.h + 9, 4, 0, 7);
    context.fill();
  }

  private paintRow(node: FlowNode, rect: Rect, data: NodeLive | undefined, status: Status | undefined, now: number): void {
    const colours = this.colours();
    const pen = new RowPen(this.context, rect.x + 2, rect.y + rect.h + 13.5, rect.x + Math.max(rect.w, 160));
    if (data && data.errors > 0) pen.text(`✕${data.errors}`, colours.error, true);
    if (status) pen.status(status, this.statusColour(status), colours);
    if (!data) return;
    const value = data.last?.value;
    if (value !== undefined && !status) pen.text(typeof value === 'number' ? number(value) : gist(value, 20), colours.text, true);
    if (data.ring && data.ring.length > 2 && typeof value !== 'string')
      pen.spark(data.ring, colours.role[roleOf(get().types, node)] ?? colours.line, typeof value === 'boolean');
    const perSecond = rate(data.rate);
    if (perSecond) pen.text(perSecond, colours.text2);
    const since = now - data.seen;
    if ((data.in || data.out.some(Boolean)) && since > 1500)
      pen.text(age(since), data.gap > 0 && since > Math.max(3000, data.gap * 3) ? colours.warn : colours.text2);
  }

  private statusColour(status: Status): string {
    const colours = this.colours();
    return { red: colours.error, green: colours.ok, yellow: colours.warn, blue: colours.changed }[status.fill ?? ''] ?? colours.text2;
  }

  private paintOverview(): void {
    const { context } = this;
    const { types, selection } = get();
    const colours = this.colours();
    const now = Date.now();
    context.setLineDash([]);
    context.globalAlpha = 0.8;
    context.strokeStyle = colours.line;
    context.lineWidth = Math.max(1.5, 1 / view.zoom);
    context.beginPath();
    for (const wire of wiresInSight()) {
      const ends = wireEnds(wire);
      if (!ends) continue;
      context.moveTo(ends[0].x, ends[0].y);
      context.lineTo(ends[1].x, ends[1].y);
    }
    context.stroke();
    context.globalAlpha = 1;
    for (const node of nodesInSight()) {
      const rect = placeOf(node);
      const data = live.nodes.get(node.id);
      const role = colours.role[roleOf(types, node)] ?? colours.line;
      context.fillStyle = data && now - data.seen < FADE ? role : colours.card;
      context.fillRect(rect.x, rect.y, rect.w, rect.h);
      context.fillStyle = role;
      context.fillRect(rect.x, rect.y, 10, rect.h);
      context.lineWidth = selection.has(node.id) ? 3 / view.zoom : 1 / view.zoom;
      context.strokeStyle = selection.has(node.id) ? colours.accent : colours.border;
      context.strokeRect(rect.x, rect.y, rect.w, rect.h);
    }
  }

  /** While cards move, what is painted for them follows a few times a second; the cards themselves never wait for it. */
  moved(): void {
    if (currentRegion().overview) return this.request();
    if (!this.painted || this.trailing) return;
    this.trailing = window.setTimeout(() => {
      this.trailing = 0;
      this.request();
    }, 120);
  }
}

/** Is there anything to paint for the nodes in sight? A canvas that stays empty costs nothing. */
function hasInk(): boolean {
  return nodesInSight().some((node) => {
    const data = live.nodes.get(node.id);
    return (
      live.status.has(node.id) ||
      (data !== undefined && (data.last !== undefined || data.in > 0 || data.errors > 0 || data.out.some(Boolean)))
    );
  });
}
