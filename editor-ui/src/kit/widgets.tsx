/** Small building blocks: buttons, pop-overs, dialogs, trees. They know nothing of flows. */

import { useEffect, useLayoutEffect, useRef, useState, type CSSProperties, type ReactNode } from 'react';
import { tree } from '../model/debugvalue';
import { Icon } from './icons';

interface IconButtonProps {
  icon: string;
  label: string;
  onClick?: () => void;
  active?: boolean;
  disabled?: boolean;
  shortcut?: string;
  testId?: string;
  size?: number;
}

export function IconButton({ icon, label, onClick, active, disabled, shortcut, testId, size }: IconButtonProps) {
  return (
    <button
      type="button"
      className={`icon-button${active ? ' active' : ''}`}
      aria-label={label}
      aria-pressed={active}
      title={shortcut ? `${label} (${shortcut})` : label}
      onClick={onClick}
      disabled={disabled}
      data-testid={testId}
    >
      <Icon name={icon} size={size} />
    </button>
  );
}

/** A floating box at a place in the window that keeps itself inside and closes on Escape or a click beside it. */
export function Popover({
  x,
  y,
  children,
  onClose,
  className = '',
  label,
}: {
  x: number;
  y: number;
  children: ReactNode;
  onClose: () => void;
  className?: string;
  label: string;
}) {
  const box = useRef<HTMLDivElement>(null);
  const [place, setPlace] = useState<CSSProperties>({ left: x, top: y, opacity: 0 });
  useLayoutEffect(() => {
    const size = box.current?.getBoundingClientRect();
    if (!size) return;
    setPlace({
      left: Math.max(8, Math.min(x, window.innerWidth - size.width - 8)),
      top: Math.max(8, Math.min(y, window.innerHeight - size.height - 8)),
    });
  }, [x, y]);
  useEffect(() => {
    const outside = (event: PointerEvent): void => {
      if (!box.current?.contains(event.target as globalThis.Node)) onClose();
    };
    const escape = (event: KeyboardEvent): void => {
      if (event.key !== 'Escape') return;
      event.stopPropagation();
      onClose();
    };
    window.addEventListener('pointerdown', outside, true);
    window.addEventListener('keydown', escape, true);
    return () => {
      window.removeEventListener('pointerdown', outside, true);
      window.removeEventListener('keydown', escape, true);
    };
  }, [onClose]);
  return (
    <div ref={box} className={`popover ${className}`} style={place} role="dialog" aria-label={label}>
      {children}
    </div>
  );
}

export function Modal({
  title,
  children,
  footer,
  onClose,
  wide,
  testId,
}: {
  title: string;
  children: ReactNode;
  footer?: ReactNode;
  onClose: () => void;
  wide?: boolean;
  testId?: string;
}) {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const old = document.activeElement as HTMLElement | null;
    (box.current?.querySelector<HTMLElement>('[data-autofocus]') ?? box.current)?.focus();
    return () => old?.focus?.();
  }, []);
  return (
    <div className="scrim" onPointerDown={(event) => event.target === event.currentTarget && onClose()}>
      <div
        ref={box}
        className={`modal${wide ? ' wide' : ''}`}
        role="dialog"
        aria-modal="true"
        aria-label={title}
        tabIndex={-1}
        data-testid={testId}
        onKeyDown={(event) => {
          if (event.key === 'Escape') {
            event.stopPropagation();
            onClose();
          } else trap(event.nativeEvent, box.current);
        }}
      >
        <header className="modal-head">
          <h2>{title}</h2>
          <IconButton icon="close" label="Close" onClick={onClose} />
        </header>
        <div className="modal-body">{children}</div>
        {footer && <footer className="modal-foot">{footer}</footer>}
      </div>
    </div>
  );
}

/** Keeps the tab key inside a dialog. */
function trap(event: KeyboardEvent, box: HTMLElement | null): void {
  if (event.key !== 'Tab' || !box) return;
  const all = [...box.querySelectorAll<HTMLElement>('button, input, select, textarea, [tabindex="0"]')].filter(
    (one) => !one.hasAttribute('disabled'),
  );
  const [first, last] = [all[0], all[all.length - 1]];
  if (event.shiftKey && document.activeElement === first) {
    event.preventDefault();
    last?.focus();
  } else if (!event.shiftKey && document.activeElement === last) {
    event.preventDefault();
    first?.focus();
  }
}

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="empty">
      <p className="empty-title">{title}</p>
      {children && <div className="empty-text">{children}</div>}
    </div>
  );
}

export function Tabs<T extends string>({
  tabs,
  value,
  onChange,
  label,
}: {
  tabs: { id: T; label: string; badge?: number; testId?: string }[];
  value: T;
  onChange: (id: T) => void;
  label: string;
}) {
  return (
    <div className="tabs" role="tablist" aria-label={label}>
      {tabs.map((tab) => (
        <button
          key={tab.id}
          type="button"
          role="tab"
          aria-selected={tab.id === value}
          className="tab"
          onClick={() => onChange(tab.id)}
          data-testid={tab.testId}
        >
          {tab.label}
          {tab.badge ? <span className="badge">{tab.badge}</span> : null}
        </button>
      ))}
    </div>
  );
}

export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Plain http pages have no clipboard; a hidden field and the old command still work there.
    const field = document.createElement('textarea');
    field.value = text;
    field.className = 'off-screen';
    document.body.append(field);
    field.select();
    const done = document.execCommand('copy');
    field.remove();
    return done;
  }
}

/** A value as a tree that opens by click, with buttons that copy a path or a value. */
export function Tree({
  value,
  name,
  path = '',
  open = false,
  onPath,
}: {
  value: unknown;
  name?: string;
  path?: string;
  open?: boolean;
  onPath?: (path: string) => void;
}) {
  const [shown, setShown] = useState(open);
  const node = tree(value, path);
  const opens = Boolean(node.children?.length);
  const copies = (
    <span className="tree-tools">
      {path && (
        <button
          type="button"
          className="mini"
          title={`Copy path: ${path}`}
          aria-label={`Copy path ${path}`}
          onClick={() => {
            void copyText(path);
            onPath?.(path);
          }}
        >
          <Icon name="link" size={12} />
        </button>
      )}
      <button
        type="button"
        className="mini"
        title="Copy value"
        aria-label="Copy value"
        onClick={() => void copyText(typeof value === 'string' ? value : JSON.stringify(value, null, 2))}
      >
        <Icon name="copy" size={12} />
      </button>
    </span>
  );
  return (
    <div className="tree">
      <div className="tree-row">
        {opens ? (
          <button
            type="button"
            className={`tree-toggle${shown ? ' open' : ''}`}
            aria-expanded={shown}
            aria-label={shown ? 'Close' : 'Open'}
            onClick={() => setShown(!shown)}
          >
            <Icon name="right" size={11} />
          </button>
        ) : (
          <span className="tree-toggle" />
        )}
        {name !== undefined && <span className="tree-key">{name}:</span>}
        <span className={`tree-value ${node.kind}`}>{node.summary}</span>
        {copies}
      </div>
      {shown && opens && (
        <div className="tree-children">
          {node.children?.map((child) => (
            <Tree key={child.key} name={child.key} path={child.path} value={child.value} onPath={onPath} />
          ))}
        </div>
      )}
    </div>
  );
}
