/** The wires of a node as a list: wiring by keyboard, by touch, and for those who do not see the canvas. */

import { connect, cutWires } from '../commands/edits';
import { inspectWire, reveal, useEditor } from '../commands/store';
import { Icon } from '../kit/icons';
import { indexOf, wiresOf } from '../model/document';
import { inputsOf, labelOf, outputName, outputsOf } from '../model/nodetypes';
import { wireKey, type FlowNode, type Wire } from '../model/types';

export function Wires({ node, edits }: { node: FlowNode; edits: boolean }) {
  const doc = useEditor((state) => state.doc);
  const types = useEditor((state) => state.types);
  const outputs = outputsOf(doc, types, node);
  const into = indexOf(doc).into.get(node.id) ?? [];
  if (!outputs && !into.length) return null;
  const others = (indexOf(doc).placed.get(node.z ?? '') ?? []).filter((other) => other.id !== node.id && inputsOf(doc, types, other) > 0);
  const chip = (id: string, wire: Wire) => {
    const other = doc.nodes.get(id);
    const label = other ? labelOf(doc, types, other) : id;
    return (
      <span className="chip" key={`${wire.from}${wire.port}${wire.to}`}>
        <button type="button" title="Show the node" onClick={() => reveal(id)}>
          {label}
        </button>
        <button
          type="button"
          className="mini"
          aria-label={`Figures and policy of the wire ${id === wire.from ? 'from' : 'to'} ${label}`}
          title="Figures and policy of the wire"
          data-testid="inspect-wire"
          onClick={() => inspectWire(wireKey(wire))}
        >
          <Icon name="wire" size={13} />
        </button>
        {edits ? (
          <button
            type="button"
            className="mini"
            aria-label={`Delete the wire to ${label}`}
            title="Delete the wire"
            onClick={() => cutWires([wire])}
          >
            <Icon name="close" size={11} />
          </button>
        ) : (
          <span className="mini" />
        )}
      </span>
    );
  };
  return (
    <div className="field" data-testid="wires">
      <div className="field-head">
        <label>Wires</label>
      </div>
      <div className="wire-list">
        {into.length > 0 && (
          <div className="wire-row">
            <span>from</span>
            <div className="wire-targets">{into.map((wire) => chip(wire.from, wire))}</div>
          </div>
        )}
        {Array.from({ length: outputs }, (_, port) => {
          const wires = wiresOf(node).filter((wire) => wire.port === port);
          const name = outputName(types, node, port);
          const free = others.filter((other) => !wires.some((wire) => wire.to === other.id));
          return (
            <div className="wire-row" key={port}>
              <span>{name}</span>
              <div className="wire-targets">
                {wires.map((wire) => chip(wire.to, wire))}
                {edits && free.length > 0 && (
                  <select
                    className="input"
                    aria-label={`Wire ${name} to`}
                    value=""
                    onChange={(event) => connect({ from: node.id, port, to: event.target.value })}
                  >
                    <option value="">wire to…</option>
                    {free.slice(0, 300).map((other) => (
                      <option key={other.id} value={other.id}>
                        {labelOf(doc, types, other)}
                      </option>
                    ))}
                  </select>
                )}
                {!edits && !wires.length && <span className="dim">nowhere</span>}
              </div>
            </div>
          );
        })}
      </div>
    </div>
  );
}
