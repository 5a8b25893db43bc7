/** A value with its kind: message property, text, number, … stored in two properties as Node-RED does. */

import { kindOf, type TypedKind } from '../model/typed';
import { SeenPaths } from './basic';
import type { WidgetProps } from './Form';

export interface TypedProps {
  value: unknown;
  kind: string;
  kinds: readonly string[];
  onChange: (value: unknown, kind: string) => void;
  readOnly?: boolean;
  inputId?: string;
  invalid?: boolean;
  label?: string;
  node?: string;
}

const str = (value: unknown): string =>
  value === undefined || value === null ? '' : typeof value === 'object' ? JSON.stringify(value) : String(value);

export function TypedInput({ value, kind, kinds, onChange, readOnly, inputId, invalid, label, node }: TypedProps) {
  const at = kindOf(kind);
  const list = kinds.includes(kind) ? kinds : [kind, ...kinds];
  const wrong = invalid || Boolean(complaint(at, value));
  return (
    <div className={`typed join${wrong ? ' invalid' : ''}`} title={complaint(at, value) || undefined}>
      <span className="typed-kind">
        <span className="typed-prefix" aria-hidden="true">
          {at.prefix}
        </span>
        <select
          aria-label={label ? `Kind of ${label}` : 'Kind of value'}
          value={kind}
          disabled={readOnly}
          onChange={(event) => onChange(convert(value, kindOf(event.target.value)), event.target.value)}
        >
          {list.map((one) => (
            <option key={one} value={one}>
              {kindOf(one).prefix === one ? one : `${kindOf(one).prefix}  ${kindOf(one).label}`}
            </option>
          ))}
        </select>
      </span>
      <TypedValue at={at} value={value} kind={kind} onChange={onChange} readOnly={readOnly} inputId={inputId} label={label} node={node} />
    </div>
  );
}

function TypedValue({ at, value, kind, onChange, readOnly, inputId, label, node }: Omit<TypedProps, 'kinds'> & { at: TypedKind }) {
  if (at.input === 'none') return <span className="input typed-none">{at.label}</span>;
  if (at.input === 'boolean') {
    return (
      <select
        id={inputId}
        className="input"
        aria-label={label}
        value={str(value) === 'true' ? 'true' : 'false'}
        disabled={readOnly}
        onChange={(event) => onChange(typeof value === 'boolean' ? event.target.value === 'true' : event.target.value, kind)}
      >
        <option>true</option>
        <option>false</option>
      </select>
    );
  }
  const mono = at.input === 'path' || at.input === 'json' || at.input === 'code';
  return (
    <>
      <input
        id={inputId}
        className={`input${mono ? ' mono' : ''}`}
        aria-label={label}
        value={str(value)}
        placeholder={at.placeholder}
        readOnly={readOnly}
        list={node && kind === 'msg' ? `${inputId}-paths` : undefined}
        onChange={(event) => onChange(event.target.value, kind)}
        spellCheck={false}
        autoComplete="off"
      />
      {node && kind === 'msg' && inputId && <SeenPaths id={`${inputId}-paths`} node={node} />}
    </>
  );
}

function convert(value: unknown, to: TypedKind): unknown {
  if (to.input === 'none') return '';
  if (to.input === 'boolean') return str(value) === 'true' ? 'true' : 'false';
  if (to.input === 'number') return Number.isNaN(Number(value)) || value === '' ? '0' : str(value);
  return str(value);
}

/** What is wrong with a value of a kind, if anything. */
export function complaint(kind: TypedKind, value: unknown): string {
  const text = str(value);
  if (kind.input === 'number' && (text.trim() === '' || Number.isNaN(Number(text)))) return 'not a number';
  if (kind.id === 'json' && text) {
    try {
      JSON.parse(text);
    } catch (error) {
      return error instanceof Error ? error.message : 'not JSON';
    }
  }
  if (kind.id === 're') {
    try {
      new RegExp(text);
    } catch {
      return 'not a regular expression';
    }
  }
  return '';
}

export function TypedField({ owner, field, value, inputId, invalid }: WidgetProps) {
  const named = field.schema['x-types'];
  const kinds = Array.isArray(named)
    ? named.map((one) => (typeof one === 'string' ? one : String((one as { value?: unknown }).value)))
    : ['msg', 'str', 'num', 'bool', 'json', 'date', 'env'];
  const partner = typeof field.schema['x-type-property'] === 'string' ? field.schema['x-type-property'] : `${field.key}Type`;
  const kind = String(owner.get(partner) ?? kinds[0]);
  return (
    <TypedInput
      value={value}
      kind={kind}
      kinds={kinds}
      inputId={inputId}
      invalid={invalid}
      readOnly={owner.readOnly}
      label={field.label}
      node={owner.node.id}
      onChange={(next, nextKind) => owner.set({ [field.key]: next, [partner]: nextKind })}
    />
  );
}
