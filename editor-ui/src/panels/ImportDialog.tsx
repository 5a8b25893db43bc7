/** Import: paste, open or drop a flow file; a report of what it holds comes before anything changes. */

import { useMemo, useRef, useState } from 'react';
import { get, openFlow, run, select, toast, useEditor } from '../commands/store';
import { addFlow } from '../commands/edits';
import { Icon } from '../kit/icons';
import { Modal } from '../kit/widgets';
import { view } from '../canvas/view';
import { tidy } from '../model/layout';
import { docFrom } from '../model/document';
import { labelOf } from '../model/nodetypes';
import { importChanges, parseFlows, report, type Choice, type Report } from '../model/transfer';
import type { FlowNode } from '../model/types';

export function ImportDialog({ initial, onClose }: { initial: string; onClose: () => void }) {
  const [text, setText] = useState(initial);
  const [choice, setChoice] = useState<Choice>('both');
  const [single, setSingle] = useState<ReadonlyMap<string, Choice>>(new Map());
  const file = useRef<HTMLInputElement>(null);
  const doc = useEditor((state) => state.doc);
  const types = useEditor((state) => state.types);
  const parsed = useMemo(() => (text.trim() ? parseFlows(text) : undefined), [text]);
  const nodes = parsed && 'nodes' in parsed ? parsed.nodes : undefined;
  const found = useMemo(() => (nodes ? report(doc, types, nodes) : undefined), [nodes, doc, types]);
  const failure = parsed && 'failure' in parsed ? parsed.failure : undefined;
  const read = (one: File | undefined): void => {
    if (one) void one.text().then(setText);
  };
  const doImport = (): void => {
    if (!nodes || !found) return;
    const choices = new Map(found.conflicts.map((node) => [node.id, single.get(node.id) ?? choice]));
    if (bringIn(nodes, choices)) onClose();
    else toast('All of this is here already: nothing to import.');
  };
  return (
    <Modal
      title="Import a flow"
      onClose={onClose}
      wide
      testId="import-dialog"
      footer={
        <>
          <span className="hint">{found ? 'Nothing runs before you deploy.' : ''}</span>
          <span className="spacer" />
          <button type="button" className="button" onClick={onClose}>
            Cancel
          </button>
          <button type="button" className="button primary" disabled={!nodes?.length} data-testid="import-confirm" onClick={doImport}>
            {nodes?.length ? `Import ${nodes.length} nodes` : 'Import'}
          </button>
        </>
      }
    >
      <div
        className="import"
        onDragOver={(event) => event.preventDefault()}
        onDrop={(event) => {
          event.preventDefault();
          read(event.dataTransfer.files[0]);
        }}
      >
        <div className="import-left">
          <textarea
            className={`input area mono import-text${failure ? ' invalid' : ''}`}
            data-autofocus=""
            data-testid="import-text"
            aria-label="Flow JSON"
            placeholder="Paste a flow here, drop a .json file, or open one."
            value={text}
            onChange={(event) => setText(event.target.value)}
            spellCheck={false}
          />
          <div className="import-tools">
            <input ref={file} type="file" accept=".json,application/json" hidden onChange={(event) => read(event.target.files?.[0])} />
            <button type="button" className="button small" onClick={() => file.current?.click()}>
              <Icon name="file" size={13} /> Open a file…
            </button>
            {text && (
              <button type="button" className="button small" onClick={() => setText('')}>
                Clear
              </button>
            )}
          </div>
        </div>
        <div className="import-right" aria-live="polite">
          {failure && (
            <div className="finding error box" data-testid="import-error">
              <Icon name="warn" size={14} />{' '}
              <span>
                <b>
                  Line {failure.line}, column {failure.column}.
                </b>{' '}
                {failure.text}
              </span>
            </div>
          )}
          {found && <ReportView found={found} choice={choice} setChoice={setChoice} single={single} setSingle={setSingle} />}
          {!failure && !found && (
            <p className="hint">
              What the flow holds is shown here before anything changes: what runs as it is, and what is kept as a placeholder.
            </p>
          )}
        </div>
      </div>
    </Modal>
  );
}

/** Adds the nodes and shows them. */
function bringIn(list: readonly FlowNode[], choices: ReadonlyMap<string, Choice>): boolean {
  const nodes = placed(list);
  const ids = new Set(nodes.map((node) => node.id));
  const homeless = nodes.some((node) => node.x !== undefined && node.type !== 'group' && !ids.has(node.z ?? ''));
  if (homeless && !get().activeFlow) addFlow();
  const { doc, activeFlow } = get();
  const changes = importChanges(doc, nodes, activeFlow || undefined, choices);
  if (!changes.length || !run(`import ${changes.length} nodes`, changes)) return false;
  const tab = changes.find((change) => change.after?.type === 'tab')?.after;
  const here = changes.flatMap((change) =>
    change.after?.x !== undefined && change.after.z === (tab?.id ?? activeFlow) ? [change.id] : [],
  );
  if (tab) openFlow(tab.id);
  select(here);
  requestAnimationFrame(() => {
    if (here[0]) view.fit();
  });
  return true;
}

/** Nodes that lost their places are laid out. */
function placed(list: readonly FlowNode[]): readonly FlowNode[] {
  const lost = list.filter(
    (node) => Array.isArray(node.wires) && node.x === undefined && node.y === undefined && node.wires.flat().length > 0,
  );
  if (!lost.length) return list;
  const ids = new Set([...lost.map((node) => node.id), ...lost.flatMap((node) => node.wires?.flat() ?? [])]);
  const places = tidy(docFrom(list.map((node) => (ids.has(node.id) ? { ...node, x: node.x ?? 140, y: node.y ?? 100 } : node))), ids);
  return list.map((node) => (node.x === undefined && places.has(node.id) ? { ...node, ...places.get(node.id) } : node));
}

interface ReportProps {
  found: Report;
  choice: Choice;
  setChoice: (choice: Choice) => void;
  single: ReadonlyMap<string, Choice>;
  setSingle: (single: ReadonlyMap<string, Choice>) => void;
}

const CHOICES: { id: Choice; label: string; hint: string }[] = [
  { id: 'both', label: 'Keep both', hint: 'Imported nodes get new ids' },
  { id: 'mine', label: 'Use mine', hint: 'What is here stays; theirs is left out' },
  { id: 'theirs', label: 'Use theirs', hint: 'The import replaces what is here' },
];

/** "2 subflows with 3 instances, 1 group, 4 link nodes". */
function structure({ structure: { subflows, instances, groups, links } }: Report): string {
  const many = (count: number, word: string): string => `${count} ${word}${count === 1 ? '' : 's'}`;
  return [
    subflows || instances ? `${many(subflows, 'subflow')} with ${many(instances, 'instance')}` : '',
    groups ? many(groups, 'group') : '',
    links ? many(links, 'link node') : '',
  ]
    .filter(Boolean)
    .join(', ');
}

function ReportView({ found, choice, setChoice, single, setSingle }: ReportProps) {
  const { doc, types } = get();
  const unknown = found.unknown.reduce((sum, one) => sum + one.count, 0);
  const parts = structure(found);
  return (
    <div className="report" data-testid="import-report">
      <p className="report-title">
        {found.total} nodes{found.tabs.length ? ` on ${found.tabs.length} ${found.tabs.length === 1 ? 'tab' : 'tabs'}` : ''}
      </p>
      <p className="report-line ok">
        <Icon name="check" size={14} /> <b>{found.known.length}</b> run as they are
      </p>
      {unknown > 0 && (
        <>
          <p className="report-line warn">
            <Icon name="warn" size={14} /> <b>{unknown}</b> of unknown type: kept as inert placeholders, exported unchanged
          </p>
          <ul className="report-types">
            {found.unknown.map((one) => (
              <li key={one.type}>
                <code>{one.type}</code> <span className="dim">× {one.count}</span>
              </li>
            ))}
          </ul>
        </>
      )}
      {parts && (
        <p className="report-line" data-testid="import-structure">
          <Icon name="subflow" size={14} /> <span>{parts}</span>
        </p>
      )}
      {found.disabled > 0 && (
        <p className="report-line">
          <Icon name="off" size={14} /> <b>{found.disabled}</b> disabled, and they stay so
        </p>
      )}
      {found.present > 0 && (
        <p className="report-line">
          <Icon name="info" size={14} /> <b>{found.present}</b> are here already, just the same
        </p>
      )}
      {found.duplicates.length > 0 && (
        <p className="report-line warn">
          <Icon name="warn" size={14} /> {found.duplicates.length} ids stand twice in the file: the last one counts
        </p>
      )}
      {found.conflicts.length > 0 && (
        <div className="conflicts" data-testid="import-conflicts">
          <p className="report-line warn">
            <Icon name="warn" size={14} /> <b>{found.conflicts.length}</b> have an id that a different node here uses
          </p>
          <div className="segmented">
            {CHOICES.map((one) => (
              <button
                type="button"
                key={one.id}
                aria-pressed={choice === one.id}
                title={one.hint}
                onClick={() => {
                  setChoice(one.id);
                  setSingle(new Map());
                }}
              >
                {one.label}
              </button>
            ))}
          </div>
          <p className="hint">{CHOICES.find((one) => one.id === choice)?.hint}.</p>
          {found.conflicts.slice(0, 100).map((node) => (
            <div className="conflict-row" key={node.id}>
              <span>
                {labelOf(doc, types, node)} <span className="dim">{node.type}</span>
              </span>
              <select
                className="input"
                aria-label={`What to do with ${labelOf(doc, types, node)}`}
                value={single.get(node.id) ?? choice}
                onChange={(event) => setSingle(new Map(single).set(node.id, event.target.value as Choice))}
              >
                {CHOICES.map((one) => (
                  <option key={one.id} value={one.id}>
                    {one.label}
                  </option>
                ))}
              </select>
            </div>
          ))}
        </div>
      )}
    </div>
  );
}
