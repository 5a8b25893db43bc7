/** Rule lists of switch and change, in Node-RED's own shape. */

import { Icon } from '../kit/icons';
import { OPERATORS, SEQUENCE_OPERATORS, VALUE_TYPES } from '../model/typed';
import type { WidgetProps } from './Form';
import { RowTools, moveItem } from './rowtools';
import { TypedInput } from './typed';

type Rule = Record<string, unknown>;

const COMPARE = ['str', 'num', 'msg', 'flow', 'global', 'bool', 'jsonata', 'env', 'prev'];

const rulesOf = (value: unknown): Rule[] => (Array.isArray(value) ? (value as Rule[]) : []);
const s = (value: unknown): string => (value === undefined || value === null ? '' : String(value));

export function SwitchRules({ value, onChange, owner }: WidgetProps) {
  const rules = rulesOf(value);
  const put = (at: number, patch: Rule): void => onChange(rules.map((rule, index) => (index === at ? { ...rule, ...patch } : rule)));
  return (
    <div className="rules">
      {rules.map((rule, at) => (
        <div className="rule" key={at}>
          <div className="rule-main">
            <OperatorSelect op={s(rule.t) || 'eq'} readOnly={owner.readOnly} sequence onChange={(t) => put(at, fitValue(t, rule))} />
            <SwitchValue rule={rule} put={(patch) => put(at, patch)} readOnly={owner.readOnly} at={at} />
          </div>
          <span className="rule-out" title={`Goes to output ${at + 1}`}>
            → {at + 1}
          </span>
          <RowTools
            at={at}
            count={rules.length}
            readOnly={owner.readOnly}
            onMove={(to) => onChange(moveItem(rules, at, to))}
            onRemove={() => onChange(rules.filter((_, index) => index !== at))}
          />
        </div>
      ))}
      {!owner.readOnly && (
        <button type="button" className="button small" onClick={() => onChange([...rules, { t: 'eq', v: '', vt: 'str' }])}>
          <Icon name="plus" size={12} /> Add rule
        </button>
      )}
    </div>
  );
}

/** A rule keeps only the values its operator takes. */
function fitValue(t: string, rule: Rule): Rule {
  const operator = [...OPERATORS, ...SEQUENCE_OPERATORS].find((one) => one.op === t);
  const next: Rule = { t };
  if (operator?.values)
    Object.assign(next, { v: t === 'istype' ? 'string' : (rule.v ?? ''), vt: t === 'istype' ? 'string' : (rule.vt ?? 'str') });
  if (operator?.values === 2) Object.assign(next, { v2: rule.v2 ?? '', v2t: rule.v2t ?? rule.vt ?? 'num' });
  return next;
}

function SwitchValue({ rule, put, readOnly, at }: { rule: Rule; put: (patch: Rule) => void; readOnly: boolean; at: number }) {
  const operator = [...OPERATORS, ...SEQUENCE_OPERATORS].find((one) => one.op === rule.t);
  if (!operator || operator.values === 0) return null;
  if (rule.t === 'istype') {
    return (
      <select
        className="input"
        aria-label={`Type of rule ${at + 1}`}
        value={s(rule.vt ?? rule.v)}
        disabled={readOnly}
        onChange={(event) => put({ v: event.target.value, vt: event.target.value })}
      >
        {VALUE_TYPES.map((type) => (
          <option key={type}>{type}</option>
        ))}
      </select>
    );
  }
  return (
    <>
      <TypedInput
        value={rule.v}
        kind={s(rule.vt) || 'str'}
        kinds={COMPARE}
        readOnly={readOnly}
        label={`value of rule ${at + 1}`}
        onChange={(v, vt) => put({ v, vt })}
      />
      {operator.values === 2 && (
        <TypedInput
          value={rule.v2}
          kind={s(rule.v2t) || 'num'}
          kinds={COMPARE}
          readOnly={readOnly}
          label={`upper value of rule ${at + 1}`}
          onChange={(v2, v2t) => put({ v2, v2t })}
        />
      )}
      {rule.t === 'regex' && (
        <label className="inline">
          <input
            type="checkbox"
            checked={rule.case === true}
            disabled={readOnly}
            onChange={(event) => put({ case: event.target.checked })}
          />{' '}
          ignore case
        </label>
      )}
    </>
  );
}

export function OperatorSelect({
  op,
  onChange,
  readOnly,
  sequence,
}: {
  op: string;
  onChange: (op: string) => void;
  readOnly: boolean;
  sequence?: boolean;
}) {
  const known = [...OPERATORS, ...(sequence ? SEQUENCE_OPERATORS : [])];
  return (
    <select
      className="input operator"
      aria-label="Comparison"
      value={op}
      disabled={readOnly}
      onChange={(event) => onChange(event.target.value)}
    >
      {!known.some((one) => one.op === op) && <option value={op}>{op}</option>}
      {known.map((one) => (
        <option key={one.op} value={one.op}>
          {one.label}
        </option>
      ))}
    </select>
  );
}

const TARGET = ['msg', 'flow', 'global'];
const VALUE = ['msg', 'flow', 'global', 'str', 'num', 'bool', 'json', 'bin', 'date', 'jsonata', 'env'];
const CHANGES = [
  { t: 'set', label: 'Set' },
  { t: 'change', label: 'Replace in' },
  { t: 'delete', label: 'Delete' },
  { t: 'move', label: 'Move' },
];

export function ChangeRules({ value, onChange, owner }: WidgetProps) {
  const rules = rulesOf(value);
  const put = (at: number, patch: Rule): void => onChange(rules.map((rule, index) => (index === at ? { ...rule, ...patch } : rule)));
  return (
    <div className="rules">
      {rules.map((rule, at) => (
        <div className="rule change" key={at}>
          <div className="rule-main">
            <div className="rule-line">
              <select
                className="input verb"
                aria-label={`What rule ${at + 1} does`}
                value={s(rule.t) || 'set'}
                disabled={owner.readOnly}
                onChange={(event) => put(at, fitChange(event.target.value, rule))}
              >
                {CHANGES.map((one) => (
                  <option key={one.t} value={one.t}>
                    {one.label}
                  </option>
                ))}
              </select>
              <TypedInput
                value={rule.p}
                kind={s(rule.pt) || 'msg'}
                kinds={TARGET}
                readOnly={owner.readOnly}
                label={`property of rule ${at + 1}`}
                node={owner.node.id}
                onChange={(p, pt) => put(at, { p, pt })}
              />
            </div>
            {rule.t === 'change' && (
              <RuleValue
                label="search for"
                rule={rule}
                name="from"
                kind="fromt"
                kinds={['str', 're', 'num', 'bool', 'msg', 'flow', 'global', 'env']}
                put={(patch) => put(at, patch)}
                readOnly={owner.readOnly}
              />
            )}
            {rule.t !== 'delete' && (
              <RuleValue
                label={rule.t === 'change' ? 'replace with' : 'to'}
                rule={rule}
                name="to"
                kind="tot"
                kinds={rule.t === 'move' ? TARGET : VALUE}
                put={(patch) => put(at, patch)}
                readOnly={owner.readOnly}
              />
            )}
            {rule.t === 'set' && rule.tot === 'msg' && (
              <label className="inline">
                <input
                  type="checkbox"
                  checked={rule.dc === true}
                  disabled={owner.readOnly}
                  onChange={(event) => put(at, { dc: event.target.checked })}
                />{' '}
                copy deeply
              </label>
            )}
          </div>
          <RowTools
            at={at}
            count={rules.length}
            readOnly={owner.readOnly}
            onMove={(to) => onChange(moveItem(rules, at, to))}
            onRemove={() => onChange(rules.filter((_, index) => index !== at))}
          />
        </div>
      ))}
      {!owner.readOnly && (
        <button
          type="button"
          className="button small"
          onClick={() => onChange([...rules, { t: 'set', p: 'payload', pt: 'msg', to: '', tot: 'str' }])}
        >
          <Icon name="plus" size={12} /> Add rule
        </button>
      )}
    </div>
  );
}

function fitChange(t: string, rule: Rule): Rule {
  if (t === 'move') return { t, to: rule.tot === 'msg' ? rule.to : 'topic', tot: 'msg' };
  if (t === 'change') return { t, from: rule.from ?? '', fromt: rule.fromt ?? 'str', to: rule.to ?? '', tot: rule.tot ?? 'str' };
  return t === 'set' ? { t, to: rule.to ?? '', tot: rule.tot ?? 'str' } : { t };
}

function RuleValue({
  label,
  rule,
  name,
  kind,
  kinds,
  put,
  readOnly,
}: {
  label: string;
  rule: Rule;
  name: string;
  kind: string;
  kinds: string[];
  put: (patch: Rule) => void;
  readOnly: boolean;
}) {
  return (
    <div className="rule-line">
      <span className="verb dim">{label}</span>
      <TypedInput
        value={rule[name]}
        kind={s(rule[kind]) || 'str'}
        kinds={kinds}
        readOnly={readOnly}
        label={label}
        onChange={(value, type) => put({ [name]: value, [kind]: type })}
      />
    </div>
  );
}
