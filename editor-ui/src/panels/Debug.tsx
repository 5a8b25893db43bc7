/** Debug messages as they come: tree, copy, filter, pause. A click shows the node, hovering outlines it. */

import { memo, useEffect, useRef, useState, useSyncExternalStore } from 'react';
import { reveal, useEditor } from '../commands/store';
import { cardElements } from '../canvas/view';
import { IconButton, Empty, Tree } from '../kit/widgets';
import { Icon } from '../kit/icons';
import { decodeDebug } from '../model/debugvalue';
import { labelOf } from '../model/nodetypes';
import { live, type DebugEntry } from '../net/live';
import { time } from './DataTab';

type Filter = 'all' | 'flow' | string;

const SHOWN = 200;

export function Debug() {
  const list = useSyncExternalStore(
    (listener) => live.on('debug', listener),
    () => live.debug,
  );
  const paused = useSyncExternalStore(
    (listener) => live.on('debug', listener),
    () => live.paused,
  );
  const missed = useSyncExternalStore(
    (listener) => live.on('debug', listener),
    () => live.missed,
  );
  const activeFlow = useEditor((state) => state.activeFlow);
  const doc = useEditor((state) => state.doc);
  const types = useEditor((state) => state.types);
  const [filter, setFilter] = useState<Filter>('all');
  const [query, setQuery] = useState('');
  const scroll = useRef<HTMLDivElement>(null);
  const stuck = useRef(true);
  const homes = (entry: DebugEntry): string | undefined => entry.z ?? doc.nodes.get(entry.id)?.z;
  const shown = list
    .filter(
      (entry) =>
        (filter === 'all' || (filter === 'flow' ? homes(entry) === activeFlow : entry.id === filter)) && (!query || matches(entry, query)),
    )
    .slice(-SHOWN);
  const sources = [...new Set(list.map((entry) => entry.id))].flatMap((id) => doc.nodes.get(id) ?? []);
  useEffect(() => {
    // New messages push the view only while one looks at the end.
    if (stuck.current && scroll.current) scroll.current.scrollTop = scroll.current.scrollHeight;
  }, [shown.length, list]);
  return (
    <div className="debug" data-testid="debug">
      <div className="debug-bar">
        <select className="input" aria-label="Which messages" value={filter} onChange={(event) => setFilter(event.target.value)}>
          <option value="all">All flows</option>
          <option value="flow">This flow</option>
          {sources.map((node) => (
            <option key={node.id} value={node.id}>
              {labelOf(doc, types, node)}
            </option>
          ))}
        </select>
        <label className="filter small">
          <Icon name="search" size={12} />
          <input
            className="filter-input"
            type="search"
            placeholder="Filter"
            aria-label="Filter messages"
            value={query}
            onChange={(event) => setQuery(event.target.value)}
          />
        </label>
        <span className="spacer" />
        {paused && <span className="dim">paused{missed ? `, ${missed} not shown` : ''}</span>}
        <IconButton
          icon={paused ? 'play' : 'pause'}
          label={paused ? 'Go on' : 'Pause'}
          active={paused}
          size={14}
          onClick={() => live.pause(!paused)}
        />
        <IconButton icon="clear" label="Clear" size={14} onClick={() => live.clearDebug()} testId="debug-clear" />
      </div>
      <div
        className="debug-list"
        ref={scroll}
        onScroll={(event) => {
          const box = event.currentTarget;
          stuck.current = box.scrollHeight - box.scrollTop - box.clientHeight < 24;
        }}
      >
        {shown.map((entry) => (
          <Entry key={entry.key} entry={entry} name={nameOf(entry, doc.nodes.get(entry.id)?.name)} />
        ))}
        {shown.length === 0 && (
          <Empty title={list.length ? 'No message fits the filter' : 'No messages yet'}>
            {list.length ? '' : 'Wire a debug node behind any output. Everything is recorded anyway: select a node and look at Data.'}
          </Empty>
        )}
      </div>
    </div>
  );
}

const nameOf = (entry: DebugEntry, own: unknown): string =>
  entry.name || (typeof own === 'string' && own) || `debug ${entry.id.slice(0, 6)}`;

function matches(entry: DebugEntry, query: string): boolean {
  return `${entry.topic ?? ''} ${entry.name ?? ''} ${typeof entry.msg === 'string' ? entry.msg : JSON.stringify(entry.msg)}`
    .toLowerCase()
    .includes(query.toLowerCase());
}

function outline(id: string, on: boolean): void {
  cardElements.get(id)?.classList.toggle('outlined', on);
}

const Entry = memo(function Entry({ entry, name }: { entry: DebugEntry; name: string }) {
  const level = entry.level !== undefined ? (entry.level <= 20 ? 'error' : entry.level <= 30 ? 'warn' : 'info') : '';
  useEffect(() => () => outline(entry.id, false), [entry.id]);
  const path = entry.property
    ? entry.property === 'complete' || entry.property === 'true'
      ? 'msg'
      : `msg.${entry.property}`
    : 'msg.payload';
  return (
    <div
      className={`debug-entry ${level}`}
      data-testid="debug-entry"
      onPointerEnter={() => outline(entry.id, true)}
      onPointerLeave={() => outline(entry.id, false)}
    >
      <span className="message-time">{time(entry.time)}</span>
      <button type="button" className="debug-name" title="Show the node" onClick={() => reveal(entry.id)}>
        {name}
      </button>
      <span className="debug-topic" title={entry.topic || undefined}>
        {entry.topic}
      </span>
      <div className="debug-value">
        <Tree value={decodeDebug(entry.msg, entry.format)} path={path} />
      </div>
      <span className="debug-format">{entry.format}</span>
    </div>
  );
});
