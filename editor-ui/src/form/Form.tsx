/** The property form of a node, made from its type's schema. Every change is applied at once and can be undone. */

import { createContext, useContext, useId, type ReactNode } from 'react';
import { Icon } from '../kit/icons';
import { Inline } from '../kit/Markdown';
import { fieldsOf, options, pathKey, visible, type Field } from '../model/schema';
import type { FlowNode, Problem, Schema } from '../model/types';
import { Code, Json, Markdown } from './code';
import { ConfigNode } from './config';
import { Conditions } from './conditions';
import { Checkbox, Duration, MsgPath, NumberInput, Quantity, Secret, Select, Text, Topic } from './basic';
import { ChangeRules, SwitchRules } from './rules';
import { NodeList } from './nodelist';
import { List, Props, Rows } from './rows';
import { TypedField } from './typed';

/** What a form edits: a node, or one row of a list. */
export interface Owner {
  id: string;
  node: FlowNode;
  get: (key: string) => unknown;
  set: (patch: Record<string, unknown>) => void;
  root: Schema;
  readOnly: boolean;
}

export interface WidgetProps {
  owner: Owner;
  field: Field;
  value: unknown;
  onChange: (value: unknown) => void;
  inputId: string;
  invalid: boolean;
}

export const OwnerContext = createContext<Owner | null>(null);
export const useOwner = (): Owner => {
  const owner = useContext(OwnerContext);
  if (!owner) throw new Error('a widget stands outside of a form');
  return owner;
};

interface Props {
  owner: Owner;
  problems: readonly Problem[];
  /** Keys that stand elsewhere on the page. */
  skip?: readonly string[];
  compact?: boolean;
}

export function Form({ owner, problems, skip = [], compact }: Props) {
  const all = fieldsOf(owner.root);
  // The list of properties edits payload and topic where they stand, and rules decide the outputs: no fields of their own.
  const covered = all.flatMap((field) =>
    field.widget === 'props' ? ['payload', 'payloadType', 'topic'] : field.widget === 'rules' ? ['outputs'] : [],
  );
  const fields = all.filter((field) => !skip.includes(field.key) && !covered.includes(field.key) && visible(field, owner.get));
  return (
    <OwnerContext value={owner}>
      <div className={`form${compact ? ' compact' : ''}`}>
        {fields.map((field) => (
          <FieldRow key={field.key} owner={owner} field={field} problem={problems.find((one) => pathKey(one.path) === field.key)} />
        ))}
        {fields.length === 0 && !compact && <p className="hint">This node has nothing to set.</p>}
      </div>
    </OwnerContext>
  );
}

/** The unit stands beside a duration, so its text need not say seconds. */
const hintOf = ({ hint, widget }: Field): string => (widget === 'duration' ? hint.replace(/^Seconds /, 'Time ') : hint);

/** A choice that explains itself takes the place of the general text. */
const explains = (field: Field, value: unknown): boolean =>
  field.widget === 'select' && options(field.schema).some((one) => one.value === value && one.hint !== '');

function FieldRow({ owner, field, problem }: { owner: Owner; field: Field; problem?: Problem }) {
  const id = useId();
  const value = owner.get(field.key);
  const props: WidgetProps = {
    owner,
    field,
    value,
    inputId: id,
    invalid: problem !== undefined,
    onChange: (next) => owner.set({ [field.key]: next }),
  };
  const hint = hintOf(field);
  const long = hint.length > 130 || explains(field, value);
  if (field.widget === 'checkbox') {
    return (
      <div className="field check" data-field={field.key}>
        <Checkbox {...props} />
        <label htmlFor={id}>{field.label}</label>
        <Finding problem={problem} />
        {hint && (
          <p className="hint">
            <Inline text={hint} />
          </p>
        )}
      </div>
    );
  }
  return (
    <div className="field" data-field={field.key}>
      <div className="field-head">
        <label htmlFor={id}>
          {field.label}
          {field.required && (
            <span className="required" title="needed">
              {' '}
              *
            </span>
          )}
        </label>
        {long && (
          <span className="field-info" title={hint} tabIndex={0} aria-label={hint}>
            <Icon name="info" size={13} />
          </span>
        )}
      </div>
      <Widget {...props} />
      <Finding problem={problem} />
      {hint && !long && (
        <p className="hint">
          <Inline text={hint} />
        </p>
      )}
    </div>
  );
}

function Finding({ problem }: { problem?: Problem }) {
  if (!problem) return null;
  return (
    <p className={`finding ${problem.severity}`} role="alert">
      <Icon name="warn" size={12} /> {problem.text}
    </p>
  );
}

export function Widget(props: WidgetProps): ReactNode {
  switch (props.field.widget) {
    case 'text':
      return <Text {...props} />;
    case 'code':
      return <Code {...props} />;
    case 'markdown':
      return <Markdown {...props} />;
    case 'number':
      return <NumberInput {...props} />;
    case 'duration':
      return <Duration {...props} />;
    case 'quantity':
      return <Quantity {...props} />;
    case 'select':
      return <Select {...props} />;
    case 'checkbox':
      return <Checkbox {...props} />;
    case 'typed-input':
      return <TypedField {...props} />;
    case 'msg-path':
      return <MsgPath {...props} />;
    case 'config-node':
      return <ConfigNode {...props} />;
    case 'topic':
      return <Topic {...props} />;
    case 'secret':
      return <Secret {...props} />;
    case 'rules':
      return props.field.schema['x-rules'] === 'change' ? <ChangeRules {...props} /> : <SwitchRules {...props} />;
    case 'change-rules':
      return <ChangeRules {...props} />;
    case 'conditions':
      return <Conditions {...props} />;
    case 'things':
    case 'rows':
      return <Rows {...props} />;
    case 'props':
      return <Props {...props} />;
    case 'list':
      return <List {...props} />;
    case 'json':
      return <Json {...props} />;
    case 'node-list':
      return <NodeList {...props} />;
    case 'hidden':
      return null;
  }
}
