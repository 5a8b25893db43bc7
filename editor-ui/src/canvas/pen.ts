/** Strokes and rows of the painted layer: small hands of the painter. */

import type { Point } from '../model/types';
import type { Status } from '../net/live';

export interface Palette {
  text: string;
  text2: string;
  line: string;
  card: string;
  border: string;
  accent: string;
  role: Record<string, string>;
  ok: string;
  warn: string;
  error: string;
  changed: string;
}

export function trace(context: CanvasRenderingContext2D, points: Point[]): void {
  context.beginPath();
  context.moveTo(points[0].x, points[0].y);
  for (let i = 1; i < points.length; i++) context.lineTo(points[i].x, points[i].y);
}

export interface PillLook {
  /** Ground; a quiet outline without. */
  tone?: string;
  sign: 'pause' | 'drop' | 'queue';
  colours: Palette;
  /** The place is the right end, not the middle. */
  end?: boolean;
}

/** A small rounded label with a sign of its own, so that it does not speak by its colour alone. */
export function pill(context: CanvasRenderingContext2D, at: Point, text: string, { tone, sign, colours, end }: PillLook): void {
  context.font = '600 10px system-ui, -apple-system, "Segoe UI", sans-serif';
  const width = context.measureText(text).width + 23;
  const left = end ? at.x - width : at.x - width / 2;
  const ink = tone ? '#fff' : colours.text2;
  context.globalAlpha = 1;
  context.setLineDash([]);
  context.beginPath();
  context.roundRect(left, at.y - 7.5, width, 15, 7.5);
  context.fillStyle = tone ?? colours.card;
  context.fill();
  context.lineWidth = 1;
  context.strokeStyle = tone ?? colours.border;
  context.stroke();
  context.strokeStyle = ink;
  context.lineWidth = 1.5;
  context.beginPath();
  const [x, y] = [left + 8, at.y];
  if (sign === 'pause') strokes(context, [x - 1, y - 3, x - 1, y + 3], [x + 2.5, y - 3, x + 2.5, y + 3]);
  else if (sign === 'drop') strokes(context, [x - 2, y - 2.5, x + 3, y + 2.5], [x + 3, y - 2.5, x - 2, y + 2.5]);
  else strokes(context, [x - 2, y - 3, x + 4, y - 3], [x - 2, y, x + 4, y], [x - 2, y + 3, x + 4, y + 3]);
  context.stroke();
  context.fillStyle = ink;
  context.fillText(text, left + 16, at.y + 3.5);
}

function strokes(context: CanvasRenderingContext2D, ...lines: [number, number, number, number][]): void {
  for (const [x1, y1, x2, y2] of lines) {
    context.moveTo(x1, y1);
    context.lineTo(x2, y2);
  }
}

/** Writes from left to right as long as there is room. */
export class RowPen {
  constructor(
    private readonly context: CanvasRenderingContext2D,
    private x: number,
    private readonly y: number,
    private readonly end: number,
  ) {}

  text(text: string, colour: string, strong = false): void {
    const { context } = this;
    context.font = `${strong ? 600 : 400} 11px system-ui, -apple-system, "Segoe UI", sans-serif`;
    const width = context.measureText(text).width;
    if (this.x + width > this.end + 4) return;
    context.fillStyle = colour;
    context.fillText(text, this.x, this.y);
    this.x += width + 7;
  }

  status(status: Status, colour: string, colours: Palette): void {
    const { context } = this;
    if (status.fill || status.shape) {
      context.beginPath();
      context.arc(this.x + 4, this.y - 4, 3.4, 0, 7);
      context.fillStyle = colour;
      context.strokeStyle = colour;
      context.lineWidth = 1.8;
      context.setLineDash([]);
      if (status.shape === 'ring') context.stroke();
      else context.fill();
      this.x += 12;
    }
    context.font = '400 11px system-ui, -apple-system, "Segoe UI", sans-serif';
    let text = (status.text ?? '').replaceAll(/\s+/g, ' ');
    const room = this.end - this.x;
    if (context.measureText(text).width > room) {
      while (text.length > 1 && context.measureText(`${text}…`).width > room) text = text.slice(0, -1);
      text = `${text}…`;
    }
    this.text(text, colours.text2);
  }

  spark(ring: number[], colour: string, steps: boolean): void {
    const width = 46;
    if (this.x + width > this.end) return;
    const { context } = this;
    const low = Math.min(...ring);
    const high = Math.max(...ring);
    const span = high - low || 1;
    const y = (value: number): number => this.y - ((value - low) / span) * 9 - (high === low ? 4.5 : 0);
    context.strokeStyle = colour;
    context.lineWidth = 1.3;
    context.setLineDash([]);
    context.beginPath();
    ring.forEach((value, at) => {
      const x = this.x + (at / (ring.length - 1)) * width;
      if (at === 0) context.moveTo(x, y(value));
      else {
        if (steps) context.lineTo(x, y(ring[at - 1]));
        context.lineTo(x, y(value));
      }
    });
    context.stroke();
    this.x += width + 7;
  }
}
