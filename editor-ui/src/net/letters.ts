/** Failed messages: the latest ones, kept up to date while the page is open, and which of them were looked at. */

import { freshLetters, type DeadLetter } from '../model/records';
import { api } from './api';
import { live } from './live';

const KEY = 'tidewire-letters-seen';
const EVERY_MS = 4000;

class Letters {
  items: readonly DeadLetter[] = [];
  next: string | null = null;
  loaded = false;
  /** Why they could not be read. */
  error = '';
  fresh = 0;
  private seen = Number(remembered() ?? -1);
  private asked = -1;
  private older = false;
  private timer = 0;
  private readonly listeners = new Set<() => void>();

  readonly on = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  /** Looks for new ones from time to time; asks only when the log has grown. */
  start(): void {
    window.clearInterval(this.timer);
    this.timer = window.setInterval(() => {
      if (!document.hidden && live.online && live.position !== this.asked) void this.refresh();
    }, EVERY_MS);
    void this.refresh();
  }

  stop(): void {
    window.clearInterval(this.timer);
  }

  async refresh(): Promise<void> {
    this.asked = live.position;
    try {
      const answer = await api.deadLetters();
      const oldest = answer.items[answer.items.length - 1]?.position ?? 0;
      // Older pages that were asked for stay.
      this.items = this.older ? [...answer.items, ...this.items.filter((one) => one.position < oldest)] : answer.items;
      if (!this.older) this.next = answer.next;
      this.error = '';
      // On the first visit ever nothing is news.
      if (this.seen < 0) this.look();
    } catch (error) {
      this.error = error instanceof Error ? error.message : String(error);
    }
    this.loaded = true;
    this.tell();
  }

  async more(): Promise<void> {
    if (!this.next) return;
    const answer = await api.deadLetters(this.next);
    this.older = true;
    this.items = [...this.items, ...answer.items];
    this.next = answer.next;
    this.tell();
  }

  /** Everything up to now was looked at. */
  look(): void {
    this.seen = Math.max(this.seen, this.items[0]?.position ?? 0);
    try {
      localStorage.setItem(KEY, String(this.seen));
    } catch {
      // Private windows may refuse storage; the marks are then not remembered.
    }
    this.tell();
  }

  private tell(): void {
    this.fresh = freshLetters(this.items, this.seen);
    this.listeners.forEach((listener) => listener());
  }
}

function remembered(): string | null {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

export const letters = new Letters();
