/** What goes in and out of a node: counters, then the last messages, opened on demand. */

import { useEffect, useState } from 'react';
import { Icon } from '../kit/icons';
import { Empty, Tree } from '../kit/widgets';
import { preview, rate } from '../model/debugvalue';
import type { FlowNode } from '../model/types';
import { live, type NodeLive } from '../net/live';
import { tap, type Tapped } from '../net/taps';
import { useLiveText } from './live-hooks';

const KEEP = 20;

export function DataTab({ node }: { node: FlowNode }) {
  const [list, setList] = useState<Tapped[]>([]);
  const [open, setOpen] = useState<boolean | null>(null);
  const [paused, setPaused] = useState(false);
  useEffect(() => {
    if (paused) return undefined;
    // Messages are collected and shown together, so that a fast node does not draw the panel for each.
    let waiting: Tapped[] = [];
    const timer = window.setInterval(() => {
      if (!waiting.length) return;
      const fresh = waiting;
      waiting = [];
      setList((old) => keepLast([...old, ...fresh]));
    }, 250);
    const close = tap(
      node.id,
      (entry) => {
        waiting.push(entry);
        if (waiting.length > 400) waiting = waiting.slice(-100);
      },
      setOpen,
    );
    return () => {
      close();
      window.clearInterval(timer);
    };
  }, [node.id, paused]);
  const show = (dir: 'in' | 'out'): Tapped[] =>
    list
      .filter((entry) => entry.dir === dir)
      .slice(-KEEP)
      .reverse();
  return (
    <div className="data" data-testid="data">
      <Counters node={node} />
      <div className="data-bar">
        <span className="dim">
          {paused
            ? 'paused'
            : open
              ? 'live: new messages appear here'
              : open === null
                ? 'connecting…'
                : 'no messages: the server closed the connection'}
        </span>
        <button type="button" className="button small" onClick={() => setPaused(!paused)}>
          <Icon name={paused ? 'play' : 'pause'} size={11} /> {paused ? 'Go on' : 'Pause'}
        </button>
      </div>
      <Messages title="Out" list={show('out')} last={live.nodes.get(node.id)?.last} />
      <Messages title="In" list={show('in')} />
    </div>
  );
}

function keepLast(list: Tapped[]): Tapped[] {
  const ins = list.filter((entry) => entry.dir === 'in').slice(-KEEP);
  const outs = list.filter((entry) => entry.dir === 'out').slice(-KEEP);
  return [...ins, ...outs].sort((a, b) => a.key - b.key);
}

function Counters({ node }: { node: FlowNode }) {
  const read = (pick: () => string) => pick;
  const data = () => live.nodes.get(node.id);
  const cells: [string, () => string][] = [
    ['In', read(() => String(data()?.in ?? 0))],
    ['Out', read(() => String((data()?.out ?? []).reduce((sum, one) => sum + one, 0)))],
    ['Rate', read(() => rate(data()?.rate ?? 0) || 'idle')],
    ['Waiting', read(() => String(data()?.queue ?? 0))],
    ['Busy', read(() => `${Math.round((data()?.busy ?? 0) * 100)} %`)],
    ['Errors', read(() => String(data()?.errors ?? 0))],
  ];
  return (
    <dl className="counters six">
      {cells.map(([label, pick]) => (
        <Counter key={label} label={label} read={pick} />
      ))}
    </dl>
  );
}

function Counter({ label, read }: { label: string; read: () => string }) {
  const text = useLiveText(read);
  return (
    <div>
      <dt>{label}</dt>
      <dd>
        <span ref={text} />
      </dd>
    </div>
  );
}

function Messages({ title, list, last }: { title: string; list: Tapped[]; last?: NodeLive['last'] }) {
  return (
    <section className="messages">
      <h4>
        {title} <span className="dim">{list.length ? `last ${list.length}` : ''}</span>
      </h4>
      {list.map((entry) => (
        <Message key={entry.key} entry={entry} />
      ))}
      {!list.length && last && last.value !== undefined && (
        <div className="message quiet">
          <span className="message-time">{time(last.time)}</span>
          <span className="value">{preview(last.value, 60)}</span>
        </div>
      )}
      {!list.length && last?.value === undefined && <Empty title="Nothing yet" />}
    </section>
  );
}

function Message({ entry }: { entry: Tapped }) {
  const msg = (entry.msg ?? {}) as { topic?: unknown; payload?: unknown };
  const head = entry.msg && typeof entry.msg === 'object' && 'payload' in entry.msg ? msg.payload : entry.msg;
  return (
    <details className="message">
      <summary>
        <span className="message-time">{time(entry.time)}</span>
        {entry.port !== undefined && entry.port > 0 && <span className="message-port">{entry.port + 1}</span>}
        {typeof msg.topic === 'string' && msg.topic && <span className="message-topic">{msg.topic}</span>}
        <span className="value">{preview(head, 80)}</span>
      </summary>
      <Tree value={entry.msg} path="msg" open />
    </details>
  );
}

export const time = (ms: number): string => {
  const at = new Date(ms);
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${String(at.getMilliseconds()).padStart(3, '0')}`;
};
