/** What can be added to the open flow: the runtime's node types and the subflows of the document. */

import { useMemo } from 'react';
import { useEditor } from '../commands/store';
import { subflowTypes } from '../model/nodetypes';
import type { NodeType } from '../model/types';

export function usePaletteTypes(): NodeType[] {
  const known = useEditor((state) => state.typeList);
  const doc = useEditor((state) => state.doc);
  const open = useEditor((state) => state.activeFlow);
  return useMemo(() => {
    // A subflow cannot hold itself.
    const subflows = subflowTypes(doc).filter((one) => one.type !== `subflow:${open}`);
    return subflows.length ? [...known, ...subflows] : known;
  }, [known, doc, open]);
}
