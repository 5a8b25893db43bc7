/** Devices seen: name, properties with last values, age. Drag one to the canvas to get its events. */

import { useEffect, useState } from 'react';
import { canEdit, useEditor } from '../commands/store';
import { Icon } from '../kit/icons';
import { Empty, copyText } from '../kit/widgets';
import { age, preview } from '../model/debugvalue';
import { api, type Thing } from '../net/api';
import { words } from './session';

const EVERY = 2000;

export function Things() {
  const [things, setThings] = useState<Thing[] | null>(null);
  const [error, setError] = useState('');
  const [now, setNow] = useState(0);
  const [query, setQuery] = useState('');
  const edits = useEditor((state) => canEdit(state));
  useEffect(() => {
    let timer = 0;
    let gone = false;
    const load = (): void => {
      api
        .things()
        .then(
          (items) => {
            setThings(items);
            setNow(Date.now());
            setError('');
          },
          (problem: unknown) => setError(words(problem)),
        )
        .finally(() => {
          if (!gone) timer = window.setTimeout(load, document.hidden ? EVERY * 5 : EVERY);
        });
    };
    load();
    return () => {
      gone = true;
      window.clearTimeout(timer);
    };
  }, []);
  const shown = (things ?? []).filter((thing) => `${thing.id} ${thing.name}`.toLowerCase().includes(query.toLowerCase()));
  const sample = `mosquitto_pub -h ${location.hostname} -t test/hello -m 1`;
  return (
    <div className="things" data-testid="things">
      <label className="filter">
        <Icon name="search" size={13} />
        <input
          className="filter-input"
          type="search"
          placeholder="Search things"
          aria-label="Search things"
          value={query}
          onChange={(event) => setQuery(event.target.value)}
        />
      </label>
      <div className="palette-scroll">
        {error && <p className="finding error pad">{error}</p>}
        {shown.map((thing) => (
          <ThingCard key={thing.id} thing={thing} now={now} edits={edits} />
        ))}
        {things?.length === 0 && (
          <Empty title="Nothing seen yet">
            Send something:<code className="copy-line">{sample}</code>
            <button type="button" className="button small" onClick={() => void copyText(sample)}>
              <Icon name="copy" size={12} /> Copy
            </button>
          </Empty>
        )}
        {things && things.length > 0 && shown.length === 0 && <p className="hint pad">No thing is called “{query}”.</p>}
      </div>
    </div>
  );
}

const SILENT = 60_000;

function ThingCard({ thing, now, edits }: { thing: Thing; now: number; edits: boolean }) {
  const since = now - Number(new Date(thing.lastSeen));
  return (
    <div
      className="thing"
      data-testid="thing"
      data-thing-id={thing.id}
      draggable={edits}
      title={edits ? 'Drag to the canvas to use its events' : undefined}
      onDragStart={(event) => {
        event.dataTransfer.setData('application/x-tidewire-thing', thing.id);
        event.dataTransfer.effectAllowed = 'copy';
      }}
    >
      <div className="thing-head">
        <Icon name="thing" size={14} />
        <b>{thing.name || thing.id}</b>
        <span className={since > SILENT ? 'late' : 'dim'}>{age(since)}</span>
      </div>
      {Object.entries(thing.properties ?? {})
        .slice(0, 8)
        .map(([key, property]) => (
          <div className="thing-row" key={key}>
            <span className="dim">{key}</span>
            <span className="value">
              {preview(property?.value, 22)}
              {property?.unit ? <span className="dim"> {property.unit}</span> : null}
            </span>
          </div>
        ))}
    </div>
  );
}
