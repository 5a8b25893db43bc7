/** The left panel: palette, things, flows. */

import { set, useEditor } from '../commands/store';
import { IconButton, Tabs } from '../kit/widgets';
import { FlowTree } from './FlowTree';
import { Palette } from './Palette';
import { Things } from './Things';

export function LeftPanel({ sheet }: { sheet: boolean }) {
  const tab = useEditor((state) => state.leftTab);
  return (
    <aside className={`panel left${sheet ? ' sheet' : ''}`} aria-label="Palette, things and flows">
      <div className="panel-head">
        <Tabs
          label="Left panel"
          value={tab}
          onChange={(leftTab) => set({ leftTab })}
          tabs={[
            { id: 'palette', label: 'Palette' },
            { id: 'things', label: 'Things', testId: 'things-tab' },
            { id: 'flows', label: 'Flows' },
          ]}
        />
        {sheet && <IconButton icon="close" label="Close" onClick={() => set({ left: false })} />}
      </div>
      {tab === 'palette' && <Palette sheet={sheet} />}
      {tab === 'things' && <Things />}
      {tab === 'flows' && <FlowTree />}
    </aside>
  );
}
