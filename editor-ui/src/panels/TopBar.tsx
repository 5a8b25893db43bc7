/** The bar at the top: panels, state of the runtime, history, search, deploy, theme, user. */

import { useState, useSyncExternalStore } from 'react';
import { invoke, keyOf, showKey } from '../commands/actions';
import { canEdit, get, set, useEditor } from '../commands/store';
import { rate } from '../model/debugvalue';
import { Icon, Mark } from '../kit/icons';
import { IconButton, Popover } from '../kit/widgets';
import { letters } from '../net/letters';
import { live } from '../net/live';
import { DeployButton } from './DeployButton';
import { useLive } from './live-hooks';
import { signOut } from './session';

function RunState() {
  const online = useLive('online', () => live.online);
  const speed = useLive('frame', () => rate(live.eventsPerSecond).replace('/s', ' events/s').replace('/min', ' events/min'));
  return (
    <span className={`run-state${online ? '' : ' lost'}`} data-testid="run-state">
      <span className="run-dot" />
      <span className="run-word">{online ? 'Running' : 'Connecting…'}</span>
      {online && speed && <span className="run-speed">{speed}</span>}
    </span>
  );
}

/** Says that messages failed since one last looked. */
function FailedNews() {
  const fresh = useSyncExternalStore(letters.on, () => letters.fresh);
  if (!fresh) return null;
  return (
    <button type="button" className="failed-news" data-testid="failed-news" onClick={() => invoke('core:show-failed-messages')}>
      <Icon name="warn" size={13} />
      {fresh} failed {fresh === 1 ? 'message' : 'messages'}
    </button>
  );
}

const THEMES = {
  auto: { next: 'light', icon: 'auto', label: 'Theme: as the system' },
  light: { next: 'dark', icon: 'sun', label: 'Theme: light' },
  dark: { next: 'auto', icon: 'moon', label: 'Theme: dark' },
} as const;

function ThemeButton() {
  const theme = useEditor((state) => state.theme);
  const at = THEMES[theme];
  return <IconButton icon={at.icon} label={at.label} testId="theme-toggle" onClick={() => set({ theme: at.next })} />;
}

export function TopBar({ narrow }: { narrow: boolean }) {
  const undoLabel = useEditor((state) => state.past[state.past.length - 1]?.label);
  const redoLabel = useEditor((state) => state.future[state.future.length - 1]?.label);
  const [left, right, drawer] = [useEditor((state) => state.left), useEditor((state) => state.right), useEditor((state) => state.drawer)];
  const edits = useEditor((state) => canEdit(state));
  const key = (id: string): string => showKey(keyOf(id));
  return (
    <header className="top-bar">
      {!narrow && (
        <IconButton
          icon="panelLeft"
          label="Left panel"
          shortcut={key('core:toggle-palette')}
          active={left}
          onClick={() => set({ left: !left })}
        />
      )}
      <span className="brand">
        <Mark size={22} />
        <span className="brand-name">Tidewire</span>
      </span>
      <RunState />
      {!narrow && <FailedNews />}
      <span className="spacer" />
      {!narrow && (
        <button type="button" className="search-box" onClick={() => set({ dialog: { kind: 'search' } })}>
          <Icon name="search" size={14} />
          <span>Search nodes and actions</span>
          <kbd>{key('core:search')}</kbd>
        </button>
      )}
      <span className="spacer" />
      {!narrow && edits && (
        <>
          <IconButton
            icon="undo"
            label={undoLabel ? `Undo: ${undoLabel}` : 'Nothing to undo'}
            shortcut={key('core:undo')}
            disabled={!undoLabel}
            onClick={() => invoke('core:undo')}
            testId="undo"
          />
          <IconButton
            icon="redo"
            label={redoLabel ? `Redo: ${redoLabel}` : 'Nothing to redo'}
            shortcut={key('core:redo')}
            disabled={!redoLabel}
            onClick={() => invoke('core:redo')}
            testId="redo"
          />
          <span className="divider" />
          <IconButton
            icon="import"
            label="Import"
            shortcut={key('core:show-import-dialog')}
            testId="import"
            onClick={() => invoke('core:show-import-dialog')}
          />
        </>
      )}
      {!narrow && (
        <IconButton
          icon="export"
          label="Export"
          shortcut={key('core:show-export-dialog')}
          testId="export"
          onClick={() => invoke('core:show-export-dialog')}
        />
      )}
      {edits && <DeployButton />}
      <ThemeButton />
      {!narrow && (
        <IconButton
          icon="panelBottom"
          label="Drawer"
          shortcut={key('core:toggle-drawer')}
          active={drawer}
          onClick={() => set({ drawer: !drawer })}
        />
      )}
      {!narrow && (
        <IconButton
          icon="panelRight"
          label="Inspector"
          shortcut={key('core:toggle-sidebar')}
          active={right}
          onClick={() => set({ right: !right })}
        />
      )}
      <UserMenu narrow={narrow} />
    </header>
  );
}

function UserMenu({ narrow }: { narrow: boolean }) {
  const [at, setAt] = useState<{ x: number; y: number } | null>(null);
  const session = useEditor((state) => state.session);
  const close = (): void => setAt(null);
  const item = (icon: string, label: string, run: () => void, shortcut = '') => (
    <button
      type="button"
      className="menu-item"
      onClick={() => {
        close();
        run();
      }}
    >
      <Icon name={icon} size={14} />
      <span>{label}</span>
      {shortcut && <kbd>{shortcut}</kbd>}
    </button>
  );
  return (
    <>
      <button
        type="button"
        className="icon-button"
        aria-label="Menu"
        title="Menu"
        data-testid="user-menu"
        aria-expanded={at !== null}
        onClick={(event) => {
          const box = event.currentTarget.getBoundingClientRect();
          setAt({ x: box.right - 240, y: box.bottom + 6 });
        }}
      >
        <Icon name={session?.user ? 'user' : 'menu'} />
      </button>
      {at && (
        <Popover x={at.x} y={at.y} onClose={close} className="menu" label="Menu">
          {session?.user && (
            <div className="menu-head">
              <b>{session.user.name}</b>
              <span>{session.user.role}</span>
            </div>
          )}
          {narrow && item('import', 'Import…', () => invoke('core:show-import-dialog'))}
          {narrow && item('export', 'Export…', () => invoke('core:show-export-dialog'))}
          {narrow && canEdit(get()) && item('undo', 'Undo', () => invoke('core:undo'))}
          {narrow && canEdit(get()) && item('redo', 'Redo', () => invoke('core:redo'))}
          {item('search', 'All actions…', () => invoke('core:show-action-list'), showKey('ctrl-shift-p'))}
          {item('keyboard', 'Keys and gestures', () => invoke('core:show-help'), '?')}
          {item('file', 'HTTP interface', () => window.open('/api/docs', '_blank', 'noreferrer'))}
          {session?.auth === 'on' && item('off', 'Sign out', () => void signOut())}
        </Popover>
      )}
    </>
  );
}
