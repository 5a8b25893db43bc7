/** Nodes that belong together without a wire: the other ends of links, and the definition of a subflow. */

import { openFlow, reveal, useEditor } from '../commands/store';
import { Icon, iconFor } from '../kit/icons';
import { iconNameOf, inputsOf, labelOf, outputsOf, roleOf } from '../model/nodetypes';
import { indexOf, linkEnds } from '../model/document';
import type { FlowNode } from '../model/types';

/** The counterparts of a link node, with a jump to each. */
export function LinkEnds({ node }: { node: FlowNode }) {
  const doc = useEditor((state) => state.doc);
  const types = useEditor((state) => state.types);
  const { ends, word, hint } = linkEnds(doc, node);
  if (!word) return null;
  return (
    <div className="field" data-testid="link-ends">
      <div className="field-head">
        <span className="field-title">{word}</span>
      </div>
      {ends.map((end) => {
        const flow = end.z === node.z ? undefined : doc.nodes.get(end.z ?? '');
        return (
          <button
            type="button"
            key={end.id}
            className={`tree-node boxed role-${roleOf(types, end)}`}
            title="Show the node"
            onClick={() => reveal(end.id)}
          >
            <Icon name={iconFor(end.type, iconNameOf(doc, types, end))} size={13} />
            <span className="tree-name">{labelOf(doc, types, end)}</span>
            <span className="dim">{flow ? labelOf(doc, types, flow) : 'this flow'}</span>
            <Icon name="right" size={11} />
          </button>
        );
      })}
      {ends.length === 0 && <p className="hint">{hint}</p>}
    </div>
  );
}

const count = (number: number, word: string): string => `${number || 'no'} ${word}${number === 1 ? '' : 's'}`;

/** What a subflow instance is made of, and the way into it. */
export function SubflowFacts({ node }: { node: FlowNode }) {
  const doc = useEditor((state) => state.doc);
  const types = useEditor((state) => state.types);
  const id = node.type.slice('subflow:'.length);
  const definition = doc.nodes.get(id);
  if (!definition)
    return (
      <p className="finding warning box">
        <Icon name="warn" size={13} /> The subflow of this instance is missing. It passes nothing on until the subflow is there again.
      </p>
    );
  const inside = indexOf(doc).placed.get(id)?.length ?? 0;
  return (
    <div className="field" data-testid="subflow-facts">
      <div className="field-head">
        <span className="field-title">Subflow</span>
      </div>
      <button type="button" className="tree-node boxed role-logic" title="Open the subflow" onClick={() => openFlow(id)}>
        <Icon name={iconFor(node.type, iconNameOf(doc, types, node))} size={13} />
        <span className="tree-name">{labelOf(doc, types, definition)}</span>
        <span className="dim">open</span>
        <Icon name="right" size={11} />
      </button>
      <p className="hint">
        {count(inputsOf(doc, types, node), 'input')}, {count(outputsOf(doc, types, node), 'output')}, {count(inside, 'node')} inside.
        {definition.status ? ' It shows a status of its own.' : ''}
      </p>
    </div>
  );
}
