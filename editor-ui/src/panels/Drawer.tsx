/** The drawer below the canvas: debug messages, the event log, problems. */

import { set, useEditor } from '../commands/store';
import { problemsByNode } from '../commands/store';
import { IconButton, Tabs } from '../kit/widgets';
import { live } from '../net/live';
import { Debug } from './Debug';
import { Events } from './Events';
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
  const count = problemsByNode({ doc, problems, types }).size + runtime;
  return (
    <section className={`drawer${sheet ? ' sheet' : ''}`} style={sheet ? undefined : { height }} aria-label="Debug, events and problems">
      {!sheet && <Resizer side="drawer" />}
      <div className="panel-head">
        <Tabs
          label="Drawer"
          value={tab}
          onChange={(drawerTab) => set({ drawerTab })}
          tabs={[
            { id: 'debug', label: 'Debug' },
            { id: 'events', label: 'Event log', testId: 'events-tab' },
            { id: 'problems', label: 'Problems', badge: count, testId: 'problems-tab' },
          ]}
        />
        <span className="spacer" />
        <span id="drawer-tools" className="drawer-tools" />
        <IconButton icon="close" label="Close" size={14} onClick={() => set({ drawer: false })} />
      </div>
      {tab === 'debug' && <Debug />}
      {tab === 'events' && <Events />}
      {tab === 'problems' && <Problems />}
    </section>
  );
}
