/** The drawer below the canvas: debug messages, the event log, failed messages, the history of deploys, problems. */

import { useSyncExternalStore } from 'react';
import { set, useEditor } from '../commands/store';
import { problemsByNode } from '../commands/store';
import { IconButton, Tabs } from '../kit/widgets';
import { letters } from '../net/letters';
import { live } from '../net/live';
import { Debug } from './Debug';
import { Events } from './Events';
import { Failed } from './Failed';
import { History } from './History';
import { Problems } from './Problems';
import { Resizer } from './Resizer';
import { useLive } from './live-hooks';

export function Drawer({ sheet }: { sheet: boolean }) {
  const tab = useEditor((state) => state.drawerTab);
  const height = useEditor((state) => state.sizes.drawer);
  const doc = useEditor((state) => state.doc);
  const problems = useEditor((state) => state.problems);
  const types = useEditor((state) => state.types);
  const runtime = useLive('problems', () => live.runtimeProblems.size);
  const fresh = useSyncExternalStore(letters.on, () => letters.fresh);
  const count = problemsByNode({ doc, problems, types }).size + runtime;
  return (
    <section
      className={`drawer${sheet ? ' sheet' : ''}`}
      style={sheet ? undefined : { height }}
      aria-label="Debug, events, failed messages, history and problems"
    >
      {!sheet && <Resizer side="drawer" />}
      <div className="panel-head">
        <Tabs
          label="Drawer"
          value={tab}
          onChange={(drawerTab) => set({ drawerTab })}
          tabs={[
            { id: 'debug', label: 'Debug' },
            { id: 'events', label: 'Event log', testId: 'events-tab' },
            { id: 'failed', label: 'Failed', badge: fresh, testId: 'failed-tab' },
            { id: 'history', label: 'History', testId: 'history-tab' },
            { id: 'problems', label: 'Problems', badge: count, testId: 'problems-tab' },
          ]}
        />
        <span className="spacer" />
        <span id="drawer-tools" className="drawer-tools" />
        <IconButton icon="close" label="Close" size={14} onClick={() => set({ drawer: false })} />
      </div>
      {tab === 'debug' && <Debug />}
      {tab === 'events' && <Events />}
      {tab === 'failed' && <Failed />}
      {tab === 'history' && <History />}
      {tab === 'problems' && <Problems />}
    </section>
  );
}
