/** Lists: rows of objects made from their own schema, plain lists, and the properties an inject node sends. */

import { useId } from 'react';
import { Icon } from '../kit/icons';
import { blank, resolve, rowFields } from '../model/schema';
import type { Schema } from '../model/types';
import { Checkbox } from './basic';
import { Widget, type Owner, type WidgetProps } from './Form';
import { RowTools, moveItem } from './rowtools';
import { TypedInput } from './typed';

const THINGS: Schema = {
  type: 'object',
  properties: {
    id: { type: 'string', title: 'Id' },
    kind: { type: 'string', title: 'Kind' },
    every: { type: 'number', title: 'Every', 'x-widget': 'duration' },
  },
};

/** Objects as rows, each with the small form of its schema. */
export function Rows({ value, onChange, owner, field }: WidgetProps) {
  const rows = Array.isArray(value) ? (value as Record<string, unknown>[]) : [];
  const item = resolve(field.schema.items ?? (field.widget === 'things' ? THINGS : {}), owner.root);
  const schema = item.properties ? item : THINGS;
  return (
    <div className="rows">
      {rows.map((row, at) => (
        <Row
          key={at}
          row={row}
          schema={schema}
          owner={owner}
          tools={
            <RowTools
              at={at}
              count={rows.length}
              readOnly={owner.readOnly}
              onMove={(to) => onChange(moveItem(rows, at, to))}
              onRemove={() => onChange(rows.filter((_, index) => index !== at))}
            />
          }
          onChange={(next) => onChange(rows.map((other, index) => (index === at ? next : other)))}
        />
      ))}
      {!owner.readOnly && (
        <button type="button" className="button small" onClick={() => onChange([...rows, blank(schema, owner.root)])}>
          <Icon name="plus" size={12} /> Add {field.widget === 'things' ? 'thing' : 'row'}
        </button>
      )}
    </div>
  );
}

function Row({
  row,
  schema,
  owner,
  tools,
  onChange,
}: {
  row: Record<string, unknown>;
  schema: Schema;
  owner: Owner;
  tools: React.ReactNode;
  onChange: (row: Record<string, unknown>) => void;
}) {
  const id = useId();
  const root: Schema = { ...schema, $defs: owner.root.$defs, definitions: owner.root.definitions };
  const inner: Owner = {
    ...owner,
    root,
    get: (key) => row?.[key] ?? schema.properties?.[key]?.default,
    set: (patch) => onChange({ ...row, ...patch }),
  };
  return (
    <div className="row">
      <div className="row-fields">
        {rowFields(root).map((field) => {
          const props: WidgetProps = {
            owner: inner,
            field,
            value: inner.get(field.key),
            inputId: `${id}-${field.key}`,
            invalid: false,
            onChange: (next) => inner.set({ [field.key]: next }),
          };
          return (
            <div key={field.key} className={`row-field ${field.widget}`}>
              <label htmlFor={`${id}-${field.key}`} title={field.hint || undefined}>
                {field.label}
              </label>
              {field.widget === 'checkbox' ? <Checkbox {...props} /> : <Widget {...props} />}
            </div>
          );
        })}
      </div>
      {tools}
    </div>
  );
}

/** Plain values, one a line. */
export function List({ value, onChange, owner, field, inputId }: WidgetProps) {
  const items = Array.isArray(value) ? value : [];
  const numbers = field.schema.items?.type === 'number' || field.schema.items?.type === 'integer';
  return (
    <div className="rows">
      {items.map((item, at) => (
        <div className="row plain" key={at}>
          <input
            id={at === 0 ? inputId : undefined}
            className="input"
            aria-label={`${field.label} ${at + 1}`}
            value={typeof item === 'object' ? JSON.stringify(item) : String(item)}
            readOnly={owner.readOnly}
            onChange={(event) =>
              onChange(
                items.map((other, index) =>
                  index === at
                    ? numbers && event.target.value !== '' && !Number.isNaN(Number(event.target.value))
                      ? Number(event.target.value)
                      : event.target.value
                    : other,
                ),
              )
            }
            spellCheck={false}
          />
          <RowTools
            at={at}
            count={items.length}
            readOnly={owner.readOnly}
            onRemove={() => onChange(items.filter((_, index) => index !== at))}
          />
        </div>
      ))}
      {!owner.readOnly && (
        <button type="button" className="button small" onClick={() => onChange([...items, numbers ? 0 : ''])}>
          <Icon name="plus" size={12} /> Add
        </button>
      )}
    </div>
  );
}

const KINDS = ['str', 'num', 'bool', 'json', 'date', 'bin', 'jsonata', 'env', 'flow', 'global', 'msg'];

interface Prop {
  p: string;
  v?: unknown;
  vt?: string;
  [key: string]: unknown;
}

/** What an inject node sends. Payload and topic stand in the node's own properties, as in Node-RED's files. */
export function Props({ value, onChange, owner }: WidgetProps) {
  const props = Array.isArray(value) ? (value as Prop[]) : [];
  const put = (at: number, patch: Partial<Prop>): void =>
    onChange(props.map((prop, index) => (index === at ? { ...prop, ...patch } : prop)));
  return (
    <div className="rules">
      {props.map((prop, at) => (
        <div className="rule" key={at}>
          <div className="rule-main">
            <div className="rule-line">
              <span className="prefix">msg.</span>
              <input
                className="input mono"
                aria-label={`Property ${at + 1}`}
                value={prop.p ?? ''}
                readOnly={owner.readOnly}
                onChange={(event) => put(at, { p: event.target.value })}
                spellCheck={false}
              />
            </div>
            <div className="rule-line">
              <span className="verb dim">=</span>
              <PropValue prop={prop} owner={owner} put={(patch) => put(at, patch)} />
            </div>
          </div>
          <RowTools
            at={at}
            count={props.length}
            readOnly={owner.readOnly}
            onMove={(to) => onChange(moveItem(props, at, to))}
            onRemove={() => onChange(props.filter((_, index) => index !== at))}
          />
        </div>
      ))}
      {!owner.readOnly && (
        <button
          type="button"
          className="button small"
          onClick={() => onChange([...props, { p: props.length ? '' : 'payload', v: '', vt: 'str' }])}
        >
          <Icon name="plus" size={12} /> Add property
        </button>
      )}
    </div>
  );
}

function PropValue({ prop, owner, put }: { prop: Prop; owner: Owner; put: (patch: Partial<Prop>) => void }) {
  const outside = prop.v === undefined && (prop.p === 'payload' || prop.p === 'topic') ? prop.p : undefined;
  if (outside === 'payload')
    return (
      <TypedInput
        value={owner.get('payload')}
        kind={String(owner.get('payloadType') ?? 'date')}
        kinds={KINDS}
        readOnly={owner.readOnly}
        label="value of payload"
        onChange={(payload, payloadType) => owner.set({ payload, payloadType })}
      />
    );
  if (outside === 'topic')
    return (
      <TypedInput
        value={owner.get('topic')}
        kind={prop.vt ?? 'str'}
        kinds={KINDS}
        readOnly={owner.readOnly}
        label="value of topic"
        onChange={(topic, vt) => {
          if (vt === (prop.vt ?? 'str')) owner.set({ topic });
          else put({ v: topic, vt });
        }}
      />
    );
  return (
    <TypedInput
      value={prop.v}
      kind={prop.vt ?? 'str'}
      kinds={KINDS}
      readOnly={owner.readOnly}
      label={`value of ${prop.p}`}
      onChange={(v, vt) => put({ v, vt })}
    />
  );
}
