/** One node as a card of 160 × 30: role edge, icon, name, marks, ports. Live values are painted elsewhere. */

import { memo, type CSSProperties } from 'react';
import { get } from '../commands/store';
import { Icon, iconFor, roleIcon } from '../kit/icons';
import { colourOf, iconNameOf, isKnown, outputName, roleOf } from '../model/nodetypes';
import type { FlowNode } from '../model/types';
import { cardElements, drag, geoOf, groupRect } from './view';

interface Props {
  node: FlowNode;
  selected: boolean;
  /** Reason of the triangle, if there is one. */
  problem: string;
  severity: 'error' | 'warning';
  changed: boolean;
  off: boolean;
  /** Seen from afar: name and colour only. */
  far: boolean;
  /** Doc and types decide ports of some nodes: a new value draws the card again. */
  stamp: string;
  onAction: (node: FlowNode) => void;
}

export const Card = memo(function Card({ node, selected, problem, severity, changed, off, far, onAction }: Props) {
  const { doc, types } = get();
  const { rect, inputs, outputs, label, shown, bare } = geoOf(node);
  const def = types.get(node.type);
  const known = isKnown(types, node);
  const named = typeof node.name === 'string' && node.name.trim() !== '';
  const moved = drag.ids.has(node.id);
  const style: CSSProperties = { left: rect.x, top: rect.y, width: rect.w, height: rect.h };
  if (moved) style.transform = `translate(${drag.dx}px, ${drag.dy}px)`;
  const colour = colourOf(doc, types, node);
  if (colour) style.borderLeftColor = colour;
  const role = roleOf(types, node);
  const junction = node.type === 'junction';
  const kind = `${known ? '' : ' unknown'}${node.type === 'comment' ? ' comment' : ''}${junction ? ' junction' : ''}`;
  const className = `react-flow__node nopan card role-${role}${selected ? ' selected' : ''}${off ? ' off' : ''}${bare ? ' bare' : ''}${kind}`;
  const title = known
    ? shown !== label && !bare
      ? label
      : undefined
    : `Unknown type "${node.type}": kept as it is, does nothing, exported unchanged`;
  return (
    <div
      ref={(element) => {
        if (element) cardElements.set(node.id, element);
        return () => {
          cardElements.delete(node.id);
        };
      }}
      className={className}
      style={style}
      title={title}
      tabIndex={0}
      role="group"
      aria-roledescription="node"
      aria-label={`${label}, ${node.type}${off ? ', off' : ''}${problem ? `, ${problem}` : ''}`}
      data-testid="node"
      data-node-id={node.id}
      data-node-type={node.type}
    >
      {!junction && !far && (
        <span
          className="card-chip pictured"
          style={{ backgroundImage: roleIcon(iconFor(node.type, iconNameOf(doc, types, node)), role) }}
        />
      )}
      {!bare && <span className={`card-label${named ? '' : ' unnamed'}`}>{shown}</span>}
      {problem && (
        <span className={`card-mark ${severity}`} title={problem} data-testid="node-problem">
          <Icon name="warn" size={13} />
        </span>
      )}
      {changed && !junction && !far && <span className="card-changed" title="Changed since the last deploy" />}
      {def?.button && !bare && <ActionButton node={node} label={label} onAction={onAction} />}
      {inputs > 0 && !far && <span className="port in" data-testid="port-in" data-way="in" data-port={0} data-node={node.id} />}
      {!far &&
        Array.from({ length: outputs }, (_, port) => (
          <span
            key={port}
            className="port out"
            data-testid="port-out"
            data-way="out"
            data-port={port}
            data-node={node.id}
            title={outputs > 1 ? outputName(types, node, port) : undefined}
            style={outputs > 1 ? { top: rect.h / 2 + (port - (outputs - 1) / 2) * 15 - 5 } : undefined}
          />
        ))}
    </div>
  );
});

function ActionButton({ node, label, onAction }: { node: FlowNode; label: string; onAction: (node: FlowNode) => void }) {
  const isDebug = node.type === 'debug';
  const on = node.active !== false;
  const text = isDebug ? (on ? `Stop showing messages of ${label}` : `Show messages of ${label}`) : `Send from ${label} now`;
  return (
    <button
      type="button"
      className={`card-button${isDebug && on ? ' on' : ''}`}
      data-stop=""
      data-testid="node-button"
      title={text}
      aria-label={text}
      aria-pressed={isDebug ? on : undefined}
      onClick={(event) => {
        event.stopPropagation();
        onAction(node);
      }}
    >
      <Icon name={isDebug ? 'eye' : 'play'} size={12} />
    </button>
  );
}

/** A group: a tinted frame behind its nodes. */
export const GroupFrame = memo(function GroupFrame({ node, selected }: { node: FlowNode; selected: boolean }) {
  const rect = groupRect(node);
  const look = (node.style ?? {}) as Record<string, unknown>;
  const colour = (key: string): string | undefined =>
    typeof look[key] === 'string' && /^#[\da-f]{3,8}$/i.test(look[key]) ? (look[key] as string) : undefined;
  const moved = drag.ids.has(node.id);
  const style: CSSProperties & Record<string, unknown> = { left: rect.x, top: rect.y, width: rect.w, height: rect.h };
  if (moved) style.transform = `translate(${drag.dx}px, ${drag.dy}px)`;
  const stroke = colour('stroke');
  const fill = colour('fill');
  if (stroke) style['--group-stroke'] = stroke;
  if (fill) style['--group-fill'] = fill;
  return (
    <div
      ref={(element) => {
        if (element) cardElements.set(node.id, element);
        return () => {
          cardElements.delete(node.id);
        };
      }}
      className={`group-frame${selected ? ' selected' : ''}`}
      style={style}
      data-node-type="group"
    >
      <span className="react-flow__node nopan group-label" data-node-id={node.id}>
        {node.name || 'group'}
      </span>
      {['top', 'right', 'bottom', 'left'].map((side) => (
        <span key={side} className={`react-flow__node nopan group-edge ${side}`} data-node-id={node.id} />
      ))}
    </div>
  );
});
