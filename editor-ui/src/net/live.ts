/** The live channel: one socket, at most four frames a second. Values go to a plain store that no React tree hangs on. */

import type { NodeLive as NodeFigures } from '../gen/NodeLive';
import type { WireLive as WireFigures } from '../gen/WireLive';
import type { LogEvent } from './api';

export interface NodeLive extends NodeFigures {
  /** When the node last spoke, by this machine's clock. */
  seen: number;
  /** Usual time between messages, ms. */
  gap: number;
}

export interface WireLive extends WireFigures {
  /** `blocked` evened out over some seconds, as it was when the last frame came. */
  waited: number;
  at: number;
  seen: number;
  /** Messages that came with the last frame. */
  fresh: number;
}

const NO_NODE: NodeFigures = { in: 0, out: [], rate: 0, errors: 0, queue: 0, bytes: 0, busy: 0 };
const NO_WIRE: WireFigures = { total: 0, rate: 0, dropped: 0, blocked: 0, queue: 0, bytes: 0 };

const EVEN_MS = 2500;

/** Share of the time in which the sender of a wire waits, evened out: frames come four times a second and jump. */
export function waiting(wire: WireLive, now: number): number {
  return wire.blocked + (wire.waited - wire.blocked) * Math.exp((wire.at - now) / EVEN_MS);
}

export interface Status {
  fill?: string;
  shape?: string;
  text?: string;
}

export interface DebugEntry {
  key: number;
  id: string;
  name?: string;
  z?: string;
  topic?: string;
  property?: string;
  msg: unknown;
  format?: string;
  time: number;
  level?: number;
}

interface Frame {
  time?: number;
  position?: number;
  rev?: string;
  eventsPerSecond?: number;
  nodes?: Record<string, Partial<NodeLive>>;
  wires?: Record<string, Partial<WireLive>>;
  status?: Record<string, Status | null>;
  problems?: Record<string, string | null>;
  debug?: Omit<DebugEntry, 'key'>[];
  events?: LogEvent[];
}

export const MAX_DEBUG = 1000;
export const MAX_EVENTS = 500;

type Topic = 'frame' | 'debug' | 'events' | 'status' | 'online' | 'rev' | 'problems';

class Live {
  nodes = new Map<string, NodeLive>();
  wires = new Map<string, WireLive>();
  status = new Map<string, Status>();
  runtimeProblems = new Map<string, string>();
  debug: DebugEntry[] = [];
  events: LogEvent[] = [];
  eventsPerSecond = 0;
  position = 0;
  rev = '';
  online = false;
  paused = false;
  /** Debug messages that came while paused. */
  missed = 0;
  version = 0;
  private socket: WebSocket | undefined;
  private watch: string[] = [];
  private tail = false;
  private retry = 500;
  private timer = 0;
  private wanted = false;
  private nextKey = 1;
  private readonly listeners = new Map<Topic, Set<() => void>>();

  on(topic: Topic, listener: () => void): () => void {
    const set = this.listeners.get(topic) ?? new Set();
    set.add(listener);
    this.listeners.set(topic, set);
    return () => set.delete(listener);
  }

  private tell(topic: Topic): void {
    this.listeners.get(topic)?.forEach((listener) => listener());
  }

  /** Share of the time in which the sender of a wire waits at present. */
  waits(key: string): number {
    const wire = this.wires.get(key);
    return wire ? waiting(wire, Date.now()) : 0;
  }

  start(): void {
    this.wanted = true;
    this.open();
  }

  stop(): void {
    this.wanted = false;
    window.clearTimeout(this.timer);
    this.socket?.close();
  }

  /** Only these nodes are reported from now on. */
  setWatch(ids: string[]): void {
    if (ids.length === this.watch.length && ids.every((id, at) => id === this.watch[at])) return;
    this.watch = ids;
    this.subscribe();
  }

  setTail(on: boolean): void {
    if (on === this.tail) return;
    this.tail = on;
    this.subscribe();
  }

  clearDebug(): void {
    this.debug = [];
    this.missed = 0;
    this.tell('debug');
  }

  pause(on: boolean): void {
    this.paused = on;
    if (!on) this.missed = 0;
    this.tell('debug');
  }

  private subscribe(): void {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    this.socket.send(JSON.stringify({ watch: this.watch, debug: true, tail: this.tail }));
  }

  private open(): void {
    if (!this.wanted) return;
    const url = `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/api/live`;
    const socket = new WebSocket(url);
    this.socket = socket;
    socket.onopen = () => {
      this.retry = 500;
      this.setOnline(true);
      this.subscribe();
    };
    socket.onmessage = (event) => {
      if (typeof event.data === 'string') this.take(JSON.parse(event.data) as Frame);
    };
    socket.onclose = () => {
      if (!this.wanted) return;
      this.setOnline(false);
      this.timer = window.setTimeout(() => this.open(), this.retry);
      this.retry = Math.min(8000, this.retry * 1.7);
    };
  }

  private setOnline(online: boolean): void {
    if (this.online === online) return;
    this.online = online;
    this.tell('online');
  }

  private take(frame: Frame): void {
    this.version += 1;
    const now = Date.now();
    if (frame.eventsPerSecond !== undefined) this.eventsPerSecond = frame.eventsPerSecond;
    if (frame.position !== undefined) this.position = frame.position;
    for (const [id, part] of Object.entries(frame.nodes ?? {})) this.takeNode(id, part, now);
    for (const [key, part] of Object.entries(frame.wires ?? {})) this.takeWire(key, part, now);
    if (frame.status) this.takeStatus(frame.status);
    if (frame.problems) {
      for (const [id, text] of Object.entries(frame.problems)) {
        if (text) this.runtimeProblems.set(id, text);
        else this.runtimeProblems.delete(id);
      }
      this.tell('problems');
    }
    if (frame.debug?.length) this.takeDebug(frame.debug);
    if (frame.events?.length) {
      this.events = [...this.events, ...frame.events].slice(-MAX_EVENTS);
      this.tell('events');
    }
    if (frame.rev && frame.rev !== this.rev) {
      this.rev = frame.rev;
      this.tell('rev');
    }
    this.tell('frame');
  }

  private takeNode(id: string, part: Partial<NodeLive>, now: number): void {
    const old = this.nodes.get(id);
    const next: NodeLive = { ...NO_NODE, seen: now, gap: 0, ...old, ...part };
    const spoke = old && (next.in !== old.in || sum(next.out) !== sum(old.out));
    if (spoke) {
      const pause = now - old.seen;
      next.gap = old.gap ? old.gap * 0.8 + pause * 0.2 : pause;
      next.seen = now;
    } else if (!old && part.last?.time) next.seen = Math.min(now, part.last.time);
    this.nodes.set(id, next);
  }

  private takeWire(key: string, part: Partial<WireLive>, now: number): void {
    const old = this.wires.get(key);
    const next: WireLive = { ...NO_WIRE, waited: 0, at: now, seen: 0, fresh: 0, ...old, ...part };
    next.waited = old ? waiting(old, now) : next.blocked;
    next.at = now;
    next.fresh = old ? Math.max(0, next.total - old.total) : 0;
    if (next.fresh || next.rate > 0) next.seen = now;
    this.wires.set(key, next);
  }

  private takeStatus(status: Record<string, Status | null>): void {
    for (const [id, one] of Object.entries(status)) {
      if (one && (one.text || one.fill || one.shape)) this.status.set(id, one);
      else this.status.delete(id);
    }
    this.tell('status');
  }

  private takeDebug(list: Omit<DebugEntry, 'key'>[]): void {
    if (this.paused) this.missed += list.length;
    else this.debug = [...this.debug, ...list.map((entry) => ({ ...entry, key: this.nextKey++ }))].slice(-MAX_DEBUG);
    this.tell('debug');
  }
}

const sum = (list: number[]): number => list.reduce((total, one) => total + one, 0);

export const live = new Live();
