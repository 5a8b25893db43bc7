/** Cards, wires and groups that are in sight. Only these exist in the page; the rest waits in the document. */

import { memo, useEffect, useMemo, useSyncExternalStore, type RefObject } from 'react';
import { parseWire, pending, problemsByNode, useEditor } from '../commands/store';
import { indexOf, linksIn } from '../model/document';
import { feedbackWires } from '../model/loops';
import { colourOf, iconNameOf } from '../model/nodetypes';
import { overlaps, wirePath } from '../model/geometry';
import { wireKey, type FlowNode, type Rect, type Wire } from '../model/types';
import { Card, GroupFrame } from './Card';
import { live } from '../net/live';
import { FAR_ZOOM, OVERVIEW_ZOOM, cardElements, drag, geoOf, groupRect, placeOf, portPoint, view, wireElements, wireEnds } from './view';

export interface Region {
  rect: Rect;
  overview: boolean;
  far: boolean;
}

/** How far beyond the edges cards are built, in px of the screen; less when zoomed out, where each px holds more of them. */
const margin = (): number => (view.zoom < 0.75 ? 50 : 120);
/** In the overview of a very large flow only this many nodes report their activity. */
const MAX_WATCHED = 1000;
const MAX_LOOKED = 40;
let region: Region = { rect: { x: 0, y: 0, w: 0, h: 0 }, overview: false, far: false };
const watchers = new Set<() => void>();

const contains = (outer: Rect, inner: Rect): boolean =>
  inner.x >= outer.x && inner.y >= outer.y && inner.x + inner.w <= outer.x + outer.w && inner.y + inner.h <= outer.y + outer.h;

/** Grows in steps, so that most moves of the viewport change nothing but one transform. */
function refresh(): void {
  const seen = view.visible();
  const overview = view.zoom < OVERVIEW_ZOOM;
  const fits = contains(region.rect, seen) && region.rect.w < (seen.w + (2 * margin()) / view.zoom) * 1.6;
  const far = view.zoom < FAR_ZOOM;
  if (fits && overview === region.overview && far === region.far) return;
  region = { rect: fits ? region.rect : view.visible(margin()), overview, far };
  watchers.forEach((watcher) => watcher());
}

view.onChange(refresh);

export function subscribeRegion(watcher: () => void): () => void {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}

export const currentRegion = (): Region => region;

/** Nodes of the open flow that are in the region. */
export function nodesInSight(): FlowNode[] {
  const { doc, activeFlow } = useEditor.getState();
  return (indexOf(doc).placed.get(activeFlow) ?? []).filter((node) => overlaps(placeOf(node), region.rect));
}

export function wiresInSight(): Wire[] {
  const { doc, activeFlow } = useEditor.getState();
  const { rect } = region;
  const wires: Wire[] = [];
  for (const wire of indexOf(doc).wires.get(activeFlow) ?? []) {
    const from = doc.nodes.get(wire.from);
    const to = doc.nodes.get(wire.to);
    if (!from || !to) continue;
    const a = placeOf(from);
    const b = placeOf(to);
    const left = Math.min(a.x, b.x) - 30;
    const top = Math.min(a.y, b.y) - 50;
    if (
      left < rect.x + rect.w &&
      top < rect.y + rect.h &&
      Math.max(a.x + a.w, b.x + b.w) + 30 > rect.x &&
      Math.max(a.y + a.h, b.y + b.h) + 80 > rect.y
    )
      wires.push(wire);
  }
  return wires;
}

interface WireProps {
  wire: Wire;
  selected: boolean;
  changed: boolean;
  feedback: boolean;
  d: string;
}

const WirePath = memo(function WirePath({ wire, selected, changed, feedback, d }: WireProps) {
  const key = wireKey(wire);
  return (
    <path
      ref={(element) => {
        if (element) wireElements.set(key, element);
        return () => {
          wireElements.delete(key);
        };
      }}
      className={`wire${selected ? ' selected' : ''}${changed ? ' changed' : ''}${feedback ? ' feedback' : ''}`}
      d={d}
      data-wire={key}
      data-testid="wire"
    />
  );
});

export function Layer({ onAction, paint }: { onAction: (node: FlowNode) => void; paint: RefObject<HTMLCanvasElement | null> }) {
  const { rect, overview, far } = useSyncExternalStore(subscribeRegion, currentRegion);
  const doc = useEditor((state) => state.doc);
  const types = useEditor((state) => state.types);
  const deployed = useEditor((state) => state.deployed);
  const activeFlow = useEditor((state) => state.activeFlow);
  const selection = useEditor((state) => state.selection);
  const wireSelection = useEditor((state) => state.wireSelection);
  const problems = useEditor((state) => state.problems);
  const marks = useMemo(() => problemsByNode({ doc, problems, types }), [doc, problems, types]);
  const changes = useMemo(() => {
    const diff = pending({ doc, deployed });
    return { nodes: new Set([...diff.added, ...diff.changed]), wires: new Set([...diff.added, ...diff.rewired]) };
  }, [doc, deployed]);
  const feedback = useMemo(() => feedbackWires(doc), [doc]);
  const cards = overview ? [] : nodesInSight();
  const wires = overview ? [] : wiresInSight();
  const groups = useMemo(
    () => (indexOf(doc).groups.get(activeFlow) ?? []).filter((group) => overlaps(groupRect(group), rect)),
    [doc, activeFlow, rect],
  );
  const flowOff = doc.nodes.get(activeFlow)?.disabled === true;

  useEffect(() => {
    // What is selected is looked at in the inspector, in sight or not.
    const looked = [...selection, ...[...wireSelection].map(parseWire).flatMap(({ from, to }) => [from, to])].slice(0, MAX_LOOKED);
    const seen = nodesInSight().slice(0, MAX_WATCHED);
    live.setWatch([...new Set([...seen.map((node) => node.id), ...looked])]);
  });

  return (
    <>
      {groups.map((group) => (
        <GroupFrame key={group.id} node={group} selected={selection.has(group.id)} />
      ))}
      <svg className="wires" aria-hidden="true">
        {wires.map((wire) => {
          const ends = wireEnds(wire);
          const key = wireKey(wire);
          return (
            ends && (
              <WirePath
                key={key}
                wire={wire}
                d={wirePath(...ends)}
                selected={wireSelection.has(key)}
                changed={changes.wires.has(wire.from)}
                feedback={feedback.has(key)}
              />
            )
          );
        })}
        {!overview && <LinkLines />}
        {!overview && <PortWires />}
        <path id="draft-wire" className="wire draft" d="" />
        <path id="slice-line" className="slice" d="" />
      </svg>
      <canvas ref={paint} className="paint" />
      {cards.map((node) => {
        const mark = marks.get(node.id)?.[0];
        const geo = geoOf(node);
        return (
          <Card
            key={node.id}
            node={node}
            selected={selection.has(node.id)}
            problem={mark?.text ?? ''}
            severity={mark?.severity ?? 'error'}
            changed={changes.nodes.has(node.id)}
            off={node.d === true || flowOff}
            far={far}
            stamp={`${geo.inputs}.${geo.outputs}.${geo.label}.${types.size}.${iconNameOf(doc, types, node)}.${colourOf(doc, types, node)}`}
            onAction={onAction}
          />
        );
      })}
      <SubflowPorts />
    </>
  );
}

/** Links between link nodes of the open flow: thin and dotted, as they are no wires; stronger at a selected node. */
function LinkLines() {
  const { doc, activeFlow, selection } = useEditor.getState();
  const links = linksIn(doc, activeFlow).map(({ from, to }) => ({
    d: wirePath(portPoint(from, 'out', 0), portPoint(to, 'in', 0)),
    near: selection.has(from.id) || selection.has(to.id),
  }));
  const join = (near: boolean): string =>
    links
      .filter((link) => link.near === near)
      .map((link) => link.d)
      .join('');
  return links.length ? (
    <>
      <path className="wire link" d={join(false)} />
      <path className="wire link near" d={join(true)} />
    </>
  ) : null;
}

/** In a subflow's own tab: its inputs and outputs, shown where they stand. */
function SubflowPorts() {
  const flow = useEditor((state) => state.doc.nodes.get(state.activeFlow));
  if (flow?.type !== 'subflow') return null;
  const ends = [
    ...list(flow.in).map((port, at) => ({ ...port, label: 'input', key: `in${at}` })),
    ...list(flow.out).map((port, at) => ({ ...port, label: `output ${at + 1}`, key: `out${at}` })),
  ];
  return ends.map((end) => (
    <div key={end.key} className="subflow-port" style={{ transform: `translate(${end.x - 20}px, ${end.y - 20}px)` }}>
      {end.label}
    </div>
  ));
}

interface SubflowPort {
  x: number;
  y: number;
  wires?: { id: string; port?: number }[];
}

const list = (value: unknown): SubflowPort[] => (Array.isArray(value) ? value : []);

/** What leads from a subflow's inputs to its nodes, and from them to its outputs. */
function PortWires() {
  const { doc, activeFlow } = useEditor.getState();
  const flow = doc.nodes.get(activeFlow);
  if (flow?.type !== 'subflow') return null;
  const lines = (ports: SubflowPort[], draw: (port: SubflowPort, node: FlowNode, output: number) => string): string[] =>
    ports.flatMap((port) =>
      (port.wires ?? []).flatMap(({ id, port: output }) => {
        const node = doc.nodes.get(id);
        return node ? [draw(port, node, output ?? 0)] : [];
      }),
    );
  const d = [
    ...lines(list(flow.in), ({ x, y }, node) => wirePath({ x: x + 40, y }, portPoint(node, 'in', 0))),
    ...lines(list(flow.out), ({ x, y }, node, output) => wirePath(portPoint(node, 'out', output), { x: x - 20, y })),
  ];
  return d.length ? <path className="wire" d={d.join('')} /> : null;
}

/** Moves what is dragged by writing to the page directly; the document follows on release. */
export function paintDrag(ids: ReadonlySet<string> = drag.ids): void {
  const shift = drag.dx || drag.dy ? `translate(${drag.dx}px, ${drag.dy}px)` : '';
  for (const id of ids) {
    const element = cardElements.get(id);
    if (element) element.style.transform = shift;
  }
  for (const [key, element] of wireElements) {
    const wire = parseWire(key);
    if (!ids.has(wire.from) && !ids.has(wire.to)) continue;
    const ends = wireEnds(wire);
    if (ends) element.setAttribute('d', wirePath(...ends));
  }
}
