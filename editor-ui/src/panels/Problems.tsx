/** Everything that keeps a node from doing its work, in one list. */

import { useMemo } from 'react';
import { problemsByNode, reveal, useEditor } from '../commands/store';
import { Icon } from '../kit/icons';
import { Empty } from '../kit/widgets';
import { labelOf } from '../model/nodetypes';
import { live } from '../net/live';
import { useLive } from './live-hooks';

export function Problems() {
  const doc = useEditor((state) => state.doc);
  const types = useEditor((state) => state.types);
  const problems = useEditor((state) => state.problems);
  const runtime = useLive('problems', () => JSON.stringify([...live.runtimeProblems]));
  const rows = useMemo(() => {
    const found = [...problemsByNode({ doc, problems, types }).values()].flat();
    const running = (JSON.parse(runtime) as [string, string][])
      .filter(([id]) => doc.nodes.has(id))
      .map(([node, text]) => ({ node, path: '', text, severity: 'error' as const }));
    return [...running, ...found].sort((a, b) => a.severity.localeCompare(b.severity));
  }, [doc, types, problems, runtime]);
  return (
    <div className="debug" data-testid="problems">
      <div className="debug-list">
        {rows.map((row, at) => {
          const node = doc.nodes.get(row.node);
          const home = node?.z ? doc.nodes.get(node.z) : undefined;
          return (
            <button type="button" className={`problem-row ${row.severity}`} key={at} onClick={() => reveal(row.node)}>
              <Icon name="warn" size={14} />
              <b>{node ? labelOf(doc, types, node) : row.node}</b>
              <span className="problem-text">{row.text}</span>
              <span className="dim">{home ? labelOf(doc, types, home) : 'shared'}</span>
            </button>
          );
        })}
        {!rows.length && <Empty title="No problems">Every node is set up as its type asks.</Empty>}
      </div>
    </div>
  );
}
