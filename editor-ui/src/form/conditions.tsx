/** The condition tree of a rule node: all of, any of, and comparisons, nested at will. */

import { Icon } from '../kit/icons';
import { OPERATORS } from '../model/typed';
import type { WidgetProps } from './Form';
import { OperatorSelect } from './rules';
import { TypedInput } from './typed';

interface Leaf {
  property?: string;
  op?: string;
  value?: unknown;
  valueType?: string;
  [key: string]: unknown;
}

type Tree = { all: Tree[] } | { any: Tree[] } | Leaf;

const isAll = (tree: Tree): tree is { all: Tree[] } => Array.isArray((tree as { all?: unknown }).all);
const isAny = (tree: Tree): tree is { any: Tree[] } => Array.isArray((tree as { any?: unknown }).any);
const LEAF: Leaf = { property: 'payload', op: 'gt', value: '', valueType: 'num' };
const VALUE_KINDS = ['num', 'str', 'bool', 'msg', 'json', 'env', 'date', 'flow', 'global'];

export function Conditions({ value, onChange, owner, field }: WidgetProps) {
  const empty = !value || typeof value !== 'object' || Object.keys(value).length === 0 || (Array.isArray(value) && value.length === 0);
  if (empty) {
    return (
      <div className="conditions">
        <p className="hint">{field.key === 'clear' ? 'None: clears as soon as the condition no longer holds.' : 'No condition yet.'}</p>
        {!owner.readOnly && (
          <button type="button" className="button small" onClick={() => onChange({ all: [{ ...LEAF }] })}>
            <Icon name="plus" size={12} /> Add condition
          </button>
        )}
      </div>
    );
  }
  // A bare list means all of it.
  const tree = (Array.isArray(value) ? { all: value } : value) as Tree;
  return (
    <div className="conditions">
      <Branch tree={tree} onChange={(next) => onChange(next ?? {})} owner={owner} depth={0} />
    </div>
  );
}

interface BranchProps {
  tree: Tree;
  onChange: (tree: Tree | undefined) => void;
  owner: WidgetProps['owner'];
  depth: number;
}

function Branch({ tree, onChange, owner, depth }: BranchProps) {
  if (!isAll(tree) && !isAny(tree)) return <Comparison leaf={tree} onChange={onChange} owner={owner} />;
  const kind = isAll(tree) ? 'all' : 'any';
  const items = isAll(tree) ? tree.all : tree.any;
  const rest = Object.fromEntries(Object.entries(tree).filter(([key]) => key !== 'all' && key !== 'any'));
  const make = (next: Tree[], as = kind): Tree => ({ ...rest, [as]: next }) as Tree;
  const put = (at: number, next: Tree | undefined): void => {
    const list = next === undefined ? items.filter((_, index) => index !== at) : items.map((item, index) => (index === at ? next : item));
    onChange(list.length ? make(list) : undefined);
  };
  return (
    <div className={`branch ${kind}`} role="group" aria-label={kind === 'all' ? 'All of' : 'Any of'}>
      <div className="branch-head">
        <div className="segmented small">
          <button type="button" aria-pressed={kind === 'all'} disabled={owner.readOnly} onClick={() => onChange(make(items, 'all'))}>
            all of
          </button>
          <button type="button" aria-pressed={kind === 'any'} disabled={owner.readOnly} onClick={() => onChange(make(items, 'any'))}>
            any of
          </button>
        </div>
        {!owner.readOnly && depth > 0 && (
          <button type="button" className="mini" aria-label="Remove group" title="Remove group" onClick={() => onChange(undefined)}>
            <Icon name="close" size={12} />
          </button>
        )}
      </div>
      {items.map((item, at) => (
        <Branch key={at} tree={item} depth={depth + 1} owner={owner} onChange={(next) => put(at, next)} />
      ))}
      {!owner.readOnly && (
        <div className="branch-add">
          <button type="button" className="button small" onClick={() => onChange(make([...items, { ...LEAF }]))}>
            <Icon name="plus" size={12} /> Condition
          </button>
          {depth < 4 && (
            <button
              type="button"
              className="button small"
              onClick={() => onChange(make([...items, { [kind === 'all' ? 'any' : 'all']: [{ ...LEAF }] } as Tree]))}
            >
              <Icon name="plus" size={12} /> Group
            </button>
          )}
        </div>
      )}
    </div>
  );
}

function Comparison({ leaf, onChange, owner }: { leaf: Leaf; onChange: (tree: Tree | undefined) => void; owner: WidgetProps['owner'] }) {
  const operator = OPERATORS.find((one) => one.op === leaf.op);
  const kind = String(leaf.valueType ?? (typeof leaf.value === 'number' ? 'num' : typeof leaf.value === 'boolean' ? 'bool' : 'str'));
  // A number that came as a number stays one.
  const back = (value: unknown, as: string): unknown =>
    as === 'num' && typeof leaf.value === 'number' && value !== '' && !Number.isNaN(Number(value)) ? Number(value) : value;
  return (
    <div className="comparison">
      <div className="rule-line">
        <span className="prefix">msg.</span>
        <input
          className="input mono"
          aria-label="Property"
          value={String(leaf.property ?? '')}
          placeholder="payload"
          readOnly={owner.readOnly}
          onChange={(event) => onChange({ ...leaf, property: event.target.value })}
          spellCheck={false}
        />
        {!owner.readOnly && (
          <button type="button" className="mini" aria-label="Remove condition" title="Remove" onClick={() => onChange(undefined)}>
            <Icon name="close" size={12} />
          </button>
        )}
      </div>
      <div className="rule-line">
        <OperatorSelect op={String(leaf.op ?? 'eq')} readOnly={owner.readOnly} onChange={(op) => onChange({ ...leaf, op })} />
        {operator?.values !== 0 && (
          <TypedInput
            value={leaf.value}
            kind={kind}
            kinds={VALUE_KINDS}
            readOnly={owner.readOnly}
            label="value"
            onChange={(value, valueType) => onChange({ ...leaf, value: back(value, valueType), valueType })}
          />
        )}
      </div>
      {operator?.values === 2 && (
        <div className="rule-line">
          <span className="verb dim">and</span>
          <TypedInput
            value={leaf.value2}
            kind={String(leaf.value2Type ?? 'num')}
            kinds={VALUE_KINDS}
            readOnly={owner.readOnly}
            label="upper value"
            onChange={(value2, value2Type) => onChange({ ...leaf, value2, value2Type })}
          />
        </div>
      )}
    </div>
  );
}
