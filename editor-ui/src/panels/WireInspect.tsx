/** Selected wires: what passes, what waits, what is dropped, and what happens when the target is behind. */

import { useEffect, useRef } from 'react';
import { cutWires } from '../commands/edits';
import { setPolicy } from '../commands/flowcontrol';
import { canEdit, parseWire, reveal, set, useEditor } from '../commands/store';
import { Icon, iconFor } from '../kit/icons';
import { IconButton } from '../kit/widgets';
import { compact, rate } from '../model/debugvalue';
import type { Doc } from '../model/document';
import { feedbackWires } from '../model/loops';
import { iconNameOf, labelOf, outputName, roleOf } from '../model/nodetypes';
import { POLICIES, limitsOf, policyOf, type Policy } from '../model/policies';
import { wireKey, type FlowNode, type Wire } from '../model/types';
import { live } from '../net/live';
import { useLive, useLiveText } from './live-hooks';

export function WireInspect({ keys, sheet }: { keys: readonly string[]; sheet: boolean }) {
  const doc = useEditor((state) => state.doc);
  const edits = useEditor((state) => canEdit(state));
  const wires = keys.map(parseWire);
  const [wire] = wires;
  const one = wires.length === 1;
  const head = useRef<HTMLDivElement>(null);
  useEffect(() => {
    // Whoever came by keyboard, from a button that is gone now, goes on here.
    if (document.activeElement === document.body) head.current?.focus();
  }, []);
  return (
    <>
      <div ref={head} tabIndex={-1} className="inspect-head role-system" data-testid="wire-inspect" aria-label={describe(doc, wire)}>
        <span className="card-chip big">
          <Icon name="wire" size={17} />
        </span>
        <span className="inspect-names">
          <span className="inspect-title">{one ? 'Wire' : `${wires.length} wires selected`}</span>
          {one && <span className="inspect-type">{describe(doc, wire)}</span>}
        </span>
        {sheet && <IconButton icon="close" label="Close" onClick={() => set({ right: false })} />}
      </div>
      <div className="panel-scroll">
        <div className="setup">
          {one && <Ends wire={wire} />}
          {one && <Figures wire={wire} />}
          <PolicyChoice wires={wires} edits={edits} />
          {edits && (
            <div className="setup-foot">
              <button type="button" className="button small danger" onClick={() => cutWires(wires)}>
                <Icon name="trash" size={12} /> Delete {one ? 'the wire' : 'these wires'}
              </button>
            </div>
          )}
        </div>
      </div>
    </>
  );
}

function describe(doc: Doc, wire: Wire): string {
  const { types } = useEditor.getState();
  const [from, to] = [doc.nodes.get(wire.from), doc.nodes.get(wire.to)];
  return `${from ? labelOf(doc, types, from) : wire.from} → ${to ? labelOf(doc, types, to) : wire.to}`;
}

/** Both ends, to jump to. */
function Ends({ wire }: { wire: Wire }) {
  const doc = useEditor((state) => state.doc);
  const types = useEditor((state) => state.types);
  const end = (node: FlowNode | undefined, word: string, note: string) =>
    node && (
      <div className="wire-end">
        <span className="wire-end-word">{word}</span>
        <button type="button" className={`tree-node role-${roleOf(types, node)}`} title="Show the node" onClick={() => reveal(node.id)}>
          <Icon name={iconFor(node.type, iconNameOf(doc, types, node))} size={13} />
          <span className="tree-name">{labelOf(doc, types, node)}</span>
          {note && <span className="dim">{note}</span>}
        </button>
      </div>
    );
  const from = doc.nodes.get(wire.from);
  const several = (from?.wires?.length ?? 0) > 1;
  return (
    <div className="wire-ends">
      {end(from, 'From', from && several ? outputName(types, from, wire.port) : '')}
      {end(doc.nodes.get(wire.to), 'To', '')}
    </div>
  );
}

/** Where the messages of a wire are counted elsewhere, this says so. */
function noFigures(doc: Doc, wire: Wire): string {
  const from = doc.nodes.get(wire.from);
  if (from?.type.startsWith('subflow:'))
    return 'These messages come straight from the nodes inside of the subflow; they are not counted here, and they always wait when the target is behind.';
  if (doc.nodes.get(from?.z ?? '')?.type === 'subflow')
    return 'A wire of a subflow’s definition: each instance has figures of its own. What you choose below holds in all of them.';
  return '';
}

function Figures({ wire }: { wire: Wire }) {
  const doc = useEditor((state) => state.doc);
  const key = wireKey(wire);
  const target = doc.nodes.get(wire.to);
  const elsewhere = noFigures(doc, wire);
  const loop = feedbackWires(doc).has(key);
  if (elsewhere) return <p className="hint">{elsewhere}</p>;
  const limit = target ? limitsOf(target).messages : 0;
  const data = () => live.wires.get(key);
  return (
    <>
      <dl className="counters four">
        <Figure label="Rate" read={() => rate(data()?.rate ?? 0) || 'idle'} />
        <Figure label="Total" read={() => compact(data()?.total ?? 0)} />
        <Figure label="Dropped" read={() => compact(data()?.dropped ?? 0)} testId="wire-dropped" />
        <Figure label="Waiting" read={() => compact(data()?.queue ?? 0)} />
      </dl>
      {!loop && <Waits wireId={key} />}
      <Queue node={wire.to} limit={limit} />
      {loop && (
        <p className="finding box note">
          <Icon name="redo" size={13} /> This wire closes a loop (dashed on the canvas). Its sender never waits: a loop that waits for
          itself would stand still. What goes round too fast is dropped and counted.
        </p>
      )}
    </>
  );
}

function Figure({ label, read, testId }: { label: string; read: () => string; testId?: string }) {
  const text = useLiveText(read);
  return (
    <div>
      <dt>{label}</dt>
      <dd>
        <span ref={text} data-testid={testId} />
      </dd>
    </div>
  );
}

const tone = (share: number): string => (share >= 0.85 ? ' high' : share >= 0.6 ? ' some' : '');

function Meter({ label, share, text }: { label: string; share: number; text: string }) {
  const percent = Math.round(Math.min(1, share) * 100);
  return (
    <div className="meter-row">
      <div className="meter-head">
        <span>{label}</span>
        <b>{percent} %</b>
      </div>
      <div className="meter" role="meter" aria-label={label} aria-valuenow={percent} aria-valuemin={0} aria-valuemax={100}>
        <span className={`meter-fill${tone(share)}`} style={{ width: `${percent}%` }} />
      </div>
      <p className="hint">{text}</p>
    </div>
  );
}

function Waits({ wireId }: { wireId: string }) {
  const share = useLive('frame', () => Math.round(live.waits(wireId) * 100) / 100);
  const text =
    share < 0.01
      ? 'The sender never has to wait: the target keeps up.'
      : share >= 0.85
        ? 'The sender waits nearly all the time: the target is too slow for what comes.'
        : 'For this share of the time the sender has to wait, because the target is behind.';
  return <Meter label="Sender waits" share={share} text={text} />;
}

function Queue({ node, limit }: { node: string; limit: number }) {
  const queue = useLive('frame', () => live.nodes.get(node)?.queue ?? 0);
  if (!limit) return null;
  return (
    <Meter
      label="Waiting at the target"
      share={queue / limit}
      text={`${queue} ${queue === 1 ? 'message waits' : 'messages wait'} there, and ${limit} may, with those it works on. The limit is set at the target, under Advanced.`}
    />
  );
}

function PolicyChoice({ wires, edits }: { wires: readonly Wire[]; edits: boolean }) {
  const doc = useEditor((state) => state.doc);
  const own = wires.filter((wire) => !doc.nodes.get(wire.from)?.type.startsWith('subflow:'));
  const set = new Set<Policy>(
    own.flatMap((wire) => {
      const node = doc.nodes.get(wire.from);
      return node ? policyOf(node, wire) : [];
    }),
  );
  if (!own.length) return null;
  const current = set.size === 1 ? [...set][0] : undefined;
  return (
    <fieldset className="choices" data-testid="wire-policy">
      <legend>When the target is behind</legend>
      {POLICIES.map(({ policy, label, hint }) => (
        <label key={policy} className={`choice${current === policy ? ' on' : ''}`}>
          <input
            type="radio"
            name="wire-policy"
            value={policy}
            checked={current === policy}
            disabled={!edits}
            onChange={() => setPolicy(own, policy)}
          />
          <span className="choice-text">
            <b>{label}</b>
            <span>{hint}</span>
          </span>
        </label>
      ))}
      {current === undefined && <p className="hint">The selected wires differ; a choice here holds for all of them.</p>}
    </fieldset>
  );
}
