/** Binds a form to a node of the document. */

import { setProperties } from '../commands/edits';
import type { FlowNode, NodeType } from '../model/types';
import type { Owner } from './Form';

export function ownerOf(node: FlowNode, def: NodeType | undefined, readOnly: boolean): Owner {
  const root = def?.schema ?? {};
  return {
    id: node.id,
    node,
    root,
    readOnly,
    get: (key) => node[key] ?? def?.defaults[key] ?? root.properties?.[key]?.default,
    set: (patch) => setProperties(node.id, patch, Object.keys(patch).join(' ')),
  };
}
