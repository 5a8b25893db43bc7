/** The tail of the event log: recent events, then each new one as it is recorded. */

import { useEffect, useRef, useState, useSyncExternalStore } from 'react';
import { Icon } from '../kit/icons';
import { Empty, Tree } from '../kit/widgets';
import { gist, preview } from '../model/debugvalue';
import { api, type LogEvent } from '../net/api';
import { live } from '../net/live';
import { words } from './session';

const SHOWN = 300;

export function Events() {
  const [past, setPast] = useState<LogEvent[]>([]);
  const [error, setError] = useState('');
  const [query, setQuery] = useState('');
  const [held, setHeld] = useState<LogEvent[] | null>(null);
  const tail = useSyncExternalStore(
    (listener) => live.on('events', listener),
    () => live.events,
  );
  const scroll = useRef<HTMLDivElement>(null);
  const stuck = useRef(true);
  useEffect(() => {
    live.setTail(true);
    api.events('order=desc&limit=100').then(
      (answer) => setPast(answer.items.toReversed()),
      (problem: unknown) => setError(words(problem)),
    );
    return () => live.setTail(false);
  }, []);
  const all = held ?? join(past, tail);
  const shown = all.filter((event) => !query || JSON.stringify(event).toLowerCase().includes(query.toLowerCase())).slice(-SHOWN);
  useEffect(() => {
    if (stuck.current && scroll.current) scroll.current.scrollTop = scroll.current.scrollHeight;
  }, [shown.length, tail]);
  return (
    <div className="debug events" data-testid="events">
      <div className="debug-bar">
        <label className="filter small wide">
          <Icon name="search" size={12} />
          <input
            className="filter-input"
            type="search"
            placeholder="Filter by type, stream, value"
            aria-label="Filter events"
            value={query}
            onChange={(event) => setQuery(event.target.value)}
          />
        </label>
        <span className="spacer" />
        <button type="button" className="button small" onClick={() => setHeld(held ? null : all)}>
          <Icon name={held ? 'play' : 'pause'} size={11} /> {held ? 'Go on' : 'Pause'}
        </button>
      </div>
      <div
        className="debug-list"
        ref={scroll}
        onScroll={(event) => {
          const box = event.currentTarget;
          stuck.current = box.scrollHeight - box.scrollTop - box.clientHeight < 24;
        }}
      >
        {error && <p className="finding error pad">{error}</p>}
        {shown.map((event) => (
          <EventRow key={event.position ?? event.id} event={event} />
        ))}
        {!shown.length && !error && (
          <Empty title={all.length ? 'No event fits the filter' : 'No events yet'}>
            {all.length ? '' : 'Whatever things report and nodes record appears here.'}
          </Empty>
        )}
      </div>
    </div>
  );
}

/** Past and live events meet without doubles. */
function join(past: LogEvent[], tail: LogEvent[]): LogEvent[] {
  const seen = new Set(past.map((event) => event.id));
  return [...past, ...tail.filter((event) => !seen.has(event.id))];
}

function EventRow({ event }: { event: LogEvent }) {
  const [open, setOpen] = useState(false);
  const at = event.time === undefined ? '' : new Date(event.time).toLocaleTimeString(undefined, { hour12: false });
  const own = event.type.startsWith('tidewire.');
  return (
    <div className={`event-row${open ? ' open' : ''}`} data-testid="event">
      <button type="button" className="event-line" aria-expanded={open} onClick={() => setOpen(!open)}>
        <span className="message-time">{at}</span>
        <span className="event-position">{event.position}</span>
        <span className={`event-type${own ? ' own' : ''}`}>{event.type}</span>
        <span className="event-stream">{event.stream ?? event.subject ?? event.source}</span>
        <span className="event-data">{gist(event.data, 120)}</span>
      </button>
      {open && <EventDetail event={event} />}
    </div>
  );
}

function EventDetail({ event }: { event: LogEvent }) {
  const [why, setWhy] = useState<LogEvent[] | null>(null);
  const [error, setError] = useState('');
  return (
    <div className="event-detail">
      <Tree value={event} open />
      {why === null ? (
        <button
          type="button"
          className="button small"
          onClick={() => {
            api.why(event.id).then(setWhy, (problem: unknown) => {
              setWhy([]);
              setError(words(problem));
            });
          }}
        >
          Why?
        </button>
      ) : null}
      {error && <p className="finding error">{error}</p>}
      {why?.map((cause) => (
        <div key={cause.id} className="why-step">
          <span className="dim">←</span> <b>{cause.type}</b> <span className="dim">{cause.stream ?? cause.subject}</span>{' '}
          {preview(cause.data, 80)}
        </div>
      ))}
    </div>
  );
}
