/** Multi-line widgets: code with line numbers, JSON that says what is wrong, markdown. */

import { useRef, useState, type KeyboardEvent } from 'react';
import type { WidgetProps } from './Form';

export function Code({ value, onChange, inputId, owner, field, invalid }: WidgetProps) {
  return (
    <CodeArea
      id={inputId}
      value={typeof value === 'string' ? value : value === undefined || value === null ? '' : JSON.stringify(value, null, 2)}
      language={String(field.schema['x-language'] ?? '')}
      readOnly={owner.readOnly}
      invalid={invalid}
      onChange={onChange}
      label={field.label}
    />
  );
}

export function Markdown({ value, onChange, inputId, owner, invalid }: WidgetProps) {
  return (
    <textarea
      id={inputId}
      className="input area"
      rows={6}
      value={typeof value === 'string' ? value : ''}
      readOnly={owner.readOnly}
      aria-invalid={invalid}
      onChange={(event) => onChange(event.target.value)}
    />
  );
}

/** What is typed is kept while it is not JSON; the node gets each value that is. */
export function Json({ value, onChange, inputId, owner, field }: WidgetProps) {
  const [draft, setDraft] = useState<string | null>(null);
  const [error, setError] = useState('');
  const asText = typeof value === 'string';
  const shown = draft ?? (asText ? value : value === undefined ? '' : JSON.stringify(value, null, 2));
  const change = (text: string): void => {
    setDraft(text);
    try {
      const parsed: unknown = text.trim() === '' ? undefined : JSON.parse(text);
      setError('');
      onChange(asText && field.schema.type === 'string' ? text : parsed);
    } catch (problem) {
      setError(problem instanceof Error ? problem.message : 'not JSON');
    }
  };
  return (
    <>
      <CodeArea
        id={inputId}
        value={shown}
        language="json"
        readOnly={owner.readOnly}
        invalid={error !== ''}
        onChange={change}
        label={field.label}
      />
      {error && <p className="finding error">{error}</p>}
    </>
  );
}

interface AreaProps {
  id: string;
  value: string;
  language: string;
  readOnly: boolean;
  invalid: boolean;
  label: string;
  onChange: (text: string) => void;
}

function CodeArea({ id, value, language, readOnly, invalid, label, onChange }: AreaProps) {
  const numbers = useRef<HTMLPreElement>(null);
  const lines = value.split('\n').length;
  const onKey = (event: KeyboardEvent<HTMLTextAreaElement>): void => {
    const area = event.currentTarget;
    const { selectionStart: from, selectionEnd: to } = area;
    if (readOnly || event.ctrlKey || event.metaKey || event.altKey) return;
    // Escape, then Tab, leaves the field by keyboard.
    if (event.key === 'Tab' && !event.shiftKey && area.dataset.leave !== 'yes') insert(event, area, '  ', from, to);
    else if (event.key === 'Enter') {
      const line = value.slice(value.lastIndexOf('\n', from - 1) + 1, from);
      const indent = /^\s*/.exec(line)?.[0] ?? '';
      insert(event, area, `\n${indent}${/[{[(]\s*$/.test(line) ? '  ' : ''}`, from, to);
    }
    area.dataset.leave = event.key === 'Escape' ? 'yes' : 'no';
  };
  const insert = (event: KeyboardEvent, area: HTMLTextAreaElement, text: string, from: number, to: number): void => {
    event.preventDefault();
    area.setRangeText(text, from, to, 'end');
    onChange(area.value);
  };
  return (
    <div className={`code${invalid ? ' invalid' : ''}`}>
      <pre ref={numbers} className="code-lines" aria-hidden="true">
        {Array.from({ length: lines }, (_, at) => at + 1).join('\n')}
      </pre>
      <textarea
        id={id}
        className="code-text"
        aria-label={label}
        wrap="off"
        rows={Math.min(24, Math.max(4, lines + 1))}
        value={value}
        readOnly={readOnly}
        aria-invalid={invalid}
        spellCheck={false}
        autoComplete="off"
        autoCapitalize="off"
        onChange={(event) => onChange(event.target.value)}
        onKeyDown={onKey}
        onScroll={(event) => {
          if (numbers.current) numbers.current.scrollTop = event.currentTarget.scrollTop;
        }}
      />
      {language && <span className="code-language">{language}</span>}
    </div>
  );
}
