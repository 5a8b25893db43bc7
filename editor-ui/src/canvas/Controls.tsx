/** Floating controls of the canvas: zoom, fit, tidy up; and a small map while the view moves. */

import { useEffect, useRef, useState } from 'react';
import { invoke, keyOf, showKey } from '../commands/actions';
import { get } from '../commands/store';
import { IconButton } from '../kit/widgets';
import { indexOf } from '../model/document';
import { bounds } from '../model/geometry';
import { roleOf } from '../model/nodetypes';
import type { Rect } from '../model/types';
import { geoOf, view } from './view';

export function Controls() {
  const [zoom, setZoom] = useState(1);
  useEffect(() => view.onChange(() => setZoom(Math.round(view.zoom * 100) / 100)), []);
  const button = (id: string, icon: string, label: string) => (
    <IconButton icon={icon} label={label} shortcut={showKey(keyOf(id))} onClick={() => invoke(id)} />
  );
  return (
    <div className="floating" data-stop="">
      <MiniMap />
      <div className="controls">
        {button('core:zoom-out', 'minus', 'Zoom out')}
        <button
          type="button"
          className="zoom-level"
          title={`Reset zoom (${showKey(keyOf('core:zoom-reset'))})`}
          onClick={() => invoke('core:zoom-reset')}
        >
          {Math.round(zoom * 100)}%
        </button>
        {button('core:zoom-in', 'plus', 'Zoom in')}
        <span className="divider" />
        {button('core:zoom-fit', 'fit', 'Show all')}
        {button('core:tidy-up', 'tidy', 'Tidy up')}
      </div>
    </div>
  );
}

const W = 168;
const H = 104;

/** Shown only while the view moves and does not show everything. */
function MiniMap() {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [shown, setShown] = useState(false);
  useEffect(() => {
    let hide = 0;
    let frame = 0;
    let last = { x: view.x, y: view.y, zoom: view.zoom };
    // The still picture of the nodes is made once per movement; each move only draws the frame on it.
    let still: HTMLCanvasElement | undefined;
    let visible = false;
    let area: Rect | undefined;
    const stop = view.onChange(() => {
      if (last.x === view.x && last.y === view.y && last.zoom === view.zoom) return;
      last = { x: view.x, y: view.y, zoom: view.zoom };
      window.clearTimeout(hide);
      hide = window.setTimeout(() => {
        visible = false;
        still = undefined;
        setShown(false);
      }, 900);
      if (!visible) area = view.content();
      const seen = view.visible();
      if (!area || (area.x >= seen.x && area.y >= seen.y && area.x + area.w <= seen.x + seen.w && area.y + area.h <= seen.y + seen.h))
        return;
      if (!visible) {
        visible = true;
        setShown(true);
      }
      frame ||= requestAnimationFrame(() => {
        frame = 0;
        still = drawMap(canvas.current, still);
      });
    });
    return () => {
      stop();
      window.clearTimeout(hide);
      cancelAnimationFrame(frame);
    };
  }, []);
  return <canvas ref={canvas} width={W} height={H} className={`mini-map${shown ? ' shown' : ''}`} aria-hidden="true" />;
}

function drawMap(canvas: HTMLCanvasElement | null, still: HTMLCanvasElement | undefined): HTMLCanvasElement | undefined {
  const context = canvas?.getContext('2d');
  const { doc, types, activeFlow } = get();
  const nodes = indexOf(doc).placed.get(activeFlow) ?? [];
  const area = bounds(nodes.map((node) => geoOf(node).rect));
  if (!context || !area) return undefined;
  const k = Math.min((W - 12) / area.w, (H - 12) / area.h, 0.2);
  const place = (x: number, y: number): [number, number] => [
    (x - area.x) * k + (W - area.w * k) / 2,
    (y - area.y) * k + (H - area.h * k) / 2,
  ];
  const style = getComputedStyle(document.documentElement);
  if (!still) {
    still = document.createElement('canvas');
    still.width = W;
    still.height = H;
    const pen = still.getContext('2d');
    const colours = new Map(['in', 'logic', 'state', 'out', 'system'].map((role) => [role, style.getPropertyValue(`--role-${role}`)]));
    for (const node of nodes) {
      if (!pen) break;
      const { rect } = geoOf(node);
      pen.fillStyle = colours.get(roleOf(types, node)) ?? '';
      const [x, y] = place(rect.x, rect.y);
      pen.fillRect(x, y, Math.max(2, rect.w * k), Math.max(1.5, rect.h * k));
    }
  }
  context.clearRect(0, 0, W, H);
  context.drawImage(still, 0, 0);
  const seen = view.visible();
  const [x, y] = place(seen.x, seen.y);
  context.strokeStyle = style.getPropertyValue('--accent');
  context.lineWidth = 1.5;
  context.strokeRect(x, y, seen.w * k, seen.h * k);
  return still;
}
