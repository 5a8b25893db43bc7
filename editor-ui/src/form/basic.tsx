/** Single-value widgets. */

import { useEffect, useState } from 'react';
import { setSecret } from '../commands/edits';
import { useEditor } from '../commands/store';
import { Inline } from '../kit/Markdown';
import { options } from '../model/schema';
import { api } from '../net/api';
import { live } from '../net/live';
import type { WidgetProps } from './Form';

const text = (value: unknown): string =>
  value === undefined || value === null
    ? ''
    : Array.isArray(value) && value.every((one) => typeof one !== 'object')
      ? value.join(', ')
      : typeof value === 'object'
        ? JSON.stringify(value)
        : String(value);

const placeholder = ({ field }: WidgetProps): string | undefined => {
  const own =
    field.schema['x-placeholder'] ?? field.schema.examples?.[0] ?? (field.schema.default === '' ? undefined : field.schema.default);
  return own === undefined || own === null || typeof own === 'object' ? undefined : String(own);
};

export function Text(props: WidgetProps) {
  const { value, onChange, inputId, owner, invalid } = props;
  return (
    <input
      id={inputId}
      className="input"
      value={text(value)}
      placeholder={placeholder(props)}
      readOnly={owner.readOnly}
      aria-invalid={invalid}
      onChange={(event) => onChange(event.target.value)}
      spellCheck={false}
      autoComplete="off"
    />
  );
}

/** A number may come from the environment: `${NAME}`. */
const ENVIRONMENT = /^\$\{[^}]+\}$/;

/** Keeps what is typed until it is a number, so that "1." can become "1.5". */
export function NumberInput(props: WidgetProps) {
  const { value, onChange, inputId, owner, field, invalid } = props;
  const [draft, setDraft] = useState<string | null>(null);
  // Node-RED stores many numbers as text; a number typed over text stays text.
  const asText = typeof value === 'string';
  const commit = (next: string): void => {
    setDraft(next);
    const parsed = Number(next);
    if (next.trim() === '') {
      const empty = field.schema.default === undefined || typeof field.schema.default === 'string' ? '' : field.schema.default;
      if (next === '' && value !== empty) onChange(empty);
    } else if (!Number.isNaN(parsed)) onChange(asText ? next.trim() : parsed);
    else if (ENVIRONMENT.test(next.trim())) onChange(next.trim());
  };
  return (
    <input
      id={inputId}
      className="input number"
      inputMode="decimal"
      value={draft ?? text(value)}
      placeholder={placeholder(props)}
      readOnly={owner.readOnly}
      aria-invalid={invalid || (draft !== null && Number.isNaN(Number(draft)))}
      onChange={(event) => commit(event.target.value)}
      onBlur={() => setDraft(null)}
    />
  );
}

/** A number and the property that says its unit, in one line. */
export function Quantity(props: WidgetProps) {
  const { owner, field } = props;
  if (!field.unit) return <NumberInput {...props} />;
  const { key, schema } = field.unit;
  const list = options(schema);
  return (
    <div className="join">
      <NumberInput {...props} />
      <select
        className="input unit wide"
        aria-label={`Unit of ${field.label}`}
        value={text(owner.get(key))}
        disabled={owner.readOnly}
        onChange={(event) => owner.set({ [key]: event.target.value })}
      >
        {list.map((one) => (
          <option key={text(one.value)} value={text(one.value)}>
            {one.label}
          </option>
        ))}
      </select>
    </div>
  );
}

const UNITS = [
  { label: 's', size: 1 },
  { label: 'min', size: 60 },
  { label: 'h', size: 3600 },
  { label: 'd', size: 86_400 },
];

/** Seconds in the flow file; the unit that reads best on the page. */
export function Duration(props: WidgetProps) {
  const { value, onChange, inputId, owner, invalid } = props;
  const seconds = value === '' || value === undefined || value === null ? undefined : Number(value);
  const fitting = seconds ? (UNITS.findLast((unit) => seconds >= unit.size && seconds % unit.size === 0) ?? UNITS[0]) : UNITS[0];
  const [unit, setUnit] = useState(fitting);
  const [draft, setDraft] = useState<string | null>(null);
  const shown = seconds === undefined || Number.isNaN(seconds) ? text(value) : String(Number((seconds / unit.size).toPrecision(12)));
  const commit = (next: string): void => {
    setDraft(next);
    if (next.trim() !== '' && !Number.isNaN(Number(next))) onChange(Number(next) * unit.size);
  };
  return (
    <div className="join">
      <input
        id={inputId}
        className="input number"
        inputMode="decimal"
        value={draft ?? shown}
        placeholder={placeholder(props)}
        readOnly={owner.readOnly}
        aria-invalid={invalid}
        onChange={(event) => commit(event.target.value)}
        onBlur={() => setDraft(null)}
      />
      <select
        className="input unit"
        aria-label="Unit"
        value={unit.label}
        disabled={owner.readOnly}
        onChange={(event) => {
          setUnit(UNITS.find((one) => one.label === event.target.value) ?? UNITS[0]);
          setDraft(null);
        }}
      >
        {UNITS.map((one) => (
          <option key={one.label}>{one.label}</option>
        ))}
      </select>
    </div>
  );
}

export function Select({ value, onChange, inputId, owner, field, invalid }: WidgetProps) {
  const list = options(field.schema);
  const at = list.findIndex((one) => one.value === value || String(one.value) === text(value));
  return (
    <>
      <select
        id={inputId}
        className="input"
        value={at}
        disabled={owner.readOnly}
        aria-invalid={invalid}
        onChange={(event) => onChange(list[Number(event.target.value)]?.value)}
      >
        {at < 0 && <option value={-1}>{text(value) || 'choose…'}</option>}
        {list.map((one, index) => (
          <option key={index} value={index} title={one.hint}>
            {one.label}
          </option>
        ))}
      </select>
      {list[at]?.hint && (
        <p className="hint">
          <Inline text={list[at].hint} />
        </p>
      )}
    </>
  );
}

export function Checkbox({ value, onChange, inputId, owner, field }: WidgetProps) {
  const on = value === true || value === 'true';
  return (
    <input
      id={inputId}
      type="checkbox"
      role="switch"
      className="switch"
      checked={on}
      disabled={owner.readOnly}
      aria-label={field.label}
      onChange={(event) => onChange(typeof value === 'string' && value !== '' ? String(event.target.checked) : event.target.checked)}
    />
  );
}

export function MsgPath(props: WidgetProps) {
  const { value, onChange, inputId, owner, invalid } = props;
  return (
    <div className="join">
      <span className="prefix">msg.</span>
      <input
        id={inputId}
        className="input mono"
        list={`${inputId}-seen`}
        value={text(value)}
        placeholder={placeholder(props) ?? 'payload'}
        readOnly={owner.readOnly}
        aria-invalid={invalid}
        onChange={(event) => onChange(event.target.value)}
        spellCheck={false}
        autoComplete="off"
      />
      <SeenPaths id={`${inputId}-seen`} node={owner.node.id} />
    </div>
  );
}

/** Paths in messages seen lately, offered while typing. */
export function SeenPaths({ id, node }: { id: string; node: string }) {
  const paths = new Set(['payload', 'topic']);
  const value = live.nodes.get(node)?.last?.value;
  if (value && typeof value === 'object' && !Array.isArray(value)) for (const key of Object.keys(value)) paths.add(`payload.${key}`);
  return (
    <datalist id={id}>
      {[...paths].map((path) => (
        <option key={path} value={path} />
      ))}
    </datalist>
  );
}

export function Topic(props: WidgetProps) {
  const { value, onChange, inputId, owner, invalid } = props;
  const topics = new Set<string>();
  for (const node of live.nodes.values()) if (node.last?.topic) topics.add(node.last.topic);
  return (
    <>
      <input
        id={inputId}
        className="input mono"
        list={`${inputId}-topics`}
        value={text(value)}
        placeholder={placeholder(props) ?? 'greenhouse/+/temperature'}
        readOnly={owner.readOnly}
        aria-invalid={invalid}
        onChange={(event) => onChange(event.target.value)}
        spellCheck={false}
        autoComplete="off"
      />
      <datalist id={`${inputId}-topics`}>
        {[...topics].slice(0, 50).map((topic) => (
          <option key={topic} value={topic} />
        ))}
      </datalist>
    </>
  );
}

/** Write-only: the value goes to the credential store and never comes back. */
export function Secret({ field, inputId, owner }: WidgetProps) {
  const typed = useEditor((state) => state.secrets[owner.node.id]?.[field.key]);
  const [told, setTold] = useState(false);
  const { id, type } = owner.node;
  const runs = useEditor((state) => state.deployed.nodes.has(id));
  useEffect(() => {
    if (!runs) return undefined;
    let gone = false;
    api.credentials(type, id).then(
      (answer) => {
        if (!gone) setTold(answer?.[`has_${field.key}`] === true || Boolean(answer?.[field.key]));
      },
      () => undefined,
    );
    return () => {
      gone = true;
    };
  }, [id, type, field.key, runs]);
  const stored = told || has(owner.node, field.key);
  const state = typed !== undefined ? 'new value, saved at the next deploy' : stored ? 'set' : 'not set';
  return (
    <div className="join">
      <input
        id={inputId}
        className="input"
        type="password"
        value={typed ?? ''}
        placeholder={stored ? '••••••••  (set)' : ''}
        readOnly={owner.readOnly}
        autoComplete="new-password"
        onChange={(event) => setSecret(owner.node.id, field.key, event.target.value)}
      />
      <span className={`suffix${stored && typed === undefined ? ' ok' : ''}`}>{typed !== undefined ? 'new' : state}</span>
    </div>
  );
}

function has(node: WidgetProps['owner']['node'], key: string): boolean {
  const flag = `has_${key}`;
  const credentials = node.credentials as Record<string, unknown> | undefined;
  return node[flag] === true || credentials?.[flag] === true;
}
