/** What few nodes need: how much may wait at a node, what happens while it cannot run, and whether it forgets. */

import { useState } from 'react';
import { setProperty } from '../commands/edits';
import { setForget, setLimits } from '../commands/flowcontrol';
import { useEditor } from '../commands/store';
import { inputsOf } from '../model/nodetypes';
import { USUAL_LIMITS, ownLimits } from '../model/policies';
import type { FlowNode } from '../model/types';

/** Kinds of nodes that may keep something through a restart. */
const KEEPING = new Set(['stateful', 'effect']);

const MIB = 1024 * 1024;

export function Advanced({ node, edits }: { node: FlowNode; edits: boolean }) {
  const doc = useEditor((state) => state.doc);
  const types = useEditor((state) => state.types);
  const own = ownLimits(node);
  const keeps = KEEPING.has(types.get(node.type)?.kind ?? '') || node.forget === true;
  const receives = inputsOf(doc, types, node) > 0;
  const set = own.messages !== undefined || own.bytes !== undefined || node.forget === true || node.whenDown !== undefined;
  if (!keeps && !receives) return null;
  return (
    <details className="notes advanced" open={set} data-testid="advanced">
      <summary>Advanced</summary>
      {keeps && (
        <div className="field check">
          <input
            id="node-forget"
            type="checkbox"
            className="switch"
            role="switch"
            checked={node.forget === true}
            disabled={!edits}
            onChange={(event) => setForget(node.id, event.target.checked)}
          />
          <label htmlFor="node-forget">Forget its state when it restarts</label>
          <p className="hint">Usually a node goes on where it stopped. Switched on, it begins anew, as in Node-RED.</p>
        </div>
      )}
      {receives && (
        <>
          <div className="field">
            <div className="field-head">
              <label htmlFor="inbox-messages">Queue limit</label>
            </div>
            <div className="limits">
              <Limit
                id="inbox-messages"
                value={own.messages}
                usual={USUAL_LIMITS.messages}
                unit="messages"
                readOnly={!edits}
                onChange={(messages) => setLimits(node.id, { messages })}
              />
              <span className="dim">or</span>
              <Limit
                id="inbox-bytes"
                value={own.bytes === undefined ? undefined : own.bytes / MIB}
                usual={USUAL_LIMITS.bytes / MIB}
                unit="MB"
                fraction
                readOnly={!edits}
                onChange={(mebibytes) => setLimits(node.id, { bytes: mebibytes && Math.max(1, Math.round(mebibytes * MIB)) })}
              />
            </div>
            <p className="hint">
              How much may wait here. Beyond that each wire does what is chosen at the wire: usually its sender waits. Empty: the usual.
            </p>
          </div>
          <div className="field">
            <div className="field-head">
              <label htmlFor="when-down">While it cannot run</label>
            </div>
            <select
              id="when-down"
              className="input"
              value={typeof node.whenDown === 'string' ? node.whenDown : ''}
              disabled={!edits}
              onChange={(event) => setProperty(node.id, 'whenDown', event.target.value || undefined)}
            >
              <option value="">As usual</option>
              <option value="wait">Messages wait for it</option>
              <option value="fail">Messages count as failed</option>
              <option value="drop">Messages are dropped</option>
            </select>
            <p className="hint">
              As usual: messages wait for a node that cannot start now; those for one that is set up wrongly count as failed.
            </p>
          </div>
        </>
      )}
    </details>
  );
}

interface LimitProps {
  id: string;
  value: number | undefined;
  usual: number;
  unit: string;
  fraction?: boolean;
  readOnly: boolean;
  onChange: (value: number | undefined) => void;
}

/** A number that may be left empty. What cannot be a limit is shown and not taken over. */
function Limit({ id, value, usual, unit, fraction, readOnly, onChange }: LimitProps) {
  const [draft, setDraft] = useState<string | null>(null);
  const text = draft ?? (value === undefined ? '' : String(Number(value.toFixed(3))));
  const number = Number(text);
  const bad = text !== '' && !(number > 0 && (fraction || Number.isInteger(number)));
  return (
    <label className="limit">
      <input
        id={id}
        className="input"
        inputMode="decimal"
        value={text}
        placeholder={String(usual)}
        aria-label={`Queue limit in ${unit}`}
        aria-invalid={bad}
        readOnly={readOnly}
        onChange={(event) => {
          const next = event.target.value.trim();
          setDraft(next);
          const wanted = Number(next);
          if (next === '') onChange(undefined);
          else if (wanted > 0 && (fraction || Number.isInteger(wanted))) onChange(wanted);
        }}
        onBlur={() => setDraft(null)}
      />
      <span>{unit}</span>
    </label>
  );
}
