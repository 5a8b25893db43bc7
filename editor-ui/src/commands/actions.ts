/** One registry of everything a user can do by key, menu or name, with Node-RED's action names and key map. */

export interface Action {
  id: string;
  label: string;
  /** Strokes such as `ctrl-d`; a chord is two strokes with a space between. */
  keys: string[];
  /** `canvas` keys act only while no text field has the focus. */
  scope: 'any' | 'canvas';
  run: () => void;
  /** Left out of the list of actions. */
  quiet?: boolean;
}

const actions = new Map<string, Action>();
const byKey = new Map<string, Action[]>();

export function register(list: readonly Action[]): void {
  for (const action of list) {
    actions.set(action.id, action);
    for (const key of action.keys) {
      const known = (byKey.get(key) ?? []).filter((other) => other.id !== action.id);
      byKey.set(key, [...known, action]);
    }
  }
}

export const allActions = (): Action[] => [...actions.values()];

export function invoke(id: string): void {
  actions.get(id)?.run();
}

export const keyOf = (id: string): string | undefined => actions.get(id)?.keys[0];

const isMac = navigator.platform.startsWith('Mac');

/** A key event as a stroke: `ctrl-shift-p`. On a Mac the command key counts as ctrl. */
export function strokeOf(event: Pick<KeyboardEvent, 'key' | 'code' | 'ctrlKey' | 'metaKey' | 'altKey' | 'shiftKey'>): string {
  let key = event.key.toLowerCase();
  if (key === 'control' || key === 'shift' || key === 'alt' || key === 'meta') return '';
  // With alt or shift held the character depends on the keyboard; letters and digits are taken from the key itself.
  const plain = /^(?:Key|Digit)([A-Z0-9])$/.exec(event.code)?.[1]?.toLowerCase();
  if (plain && (event.altKey || event.shiftKey || event.ctrlKey || event.metaKey) && key !== '+') key = plain;
  if (key === ' ') key = 'space';
  const sign = key.length === 1 && !/[a-z0-9]/.test(key);
  const parts = [
    event.ctrlKey || (isMac && event.metaKey) ? 'ctrl' : '',
    event.altKey ? 'alt' : '',
    event.shiftKey && !sign ? 'shift' : '',
    key,
  ];
  return parts.filter(Boolean).join('-');
}

let pendingStroke = '';
let pendingTimer = 0;

/** Finds and runs the action of a key event. True when it was taken. */
export function handleKey(event: KeyboardEvent, inText: boolean): boolean {
  const stroke = strokeOf(event);
  if (!stroke) return false;
  const chord = pendingStroke ? `${pendingStroke} ${stroke}` : '';
  pendingStroke = '';
  window.clearTimeout(pendingTimer);
  const action = pick(chord, inText) ?? pick(stroke, inText);
  if (action) {
    action.run();
    return true;
  }
  if ([...byKey.keys()].some((key) => key.startsWith(`${stroke} `)) && !inText) {
    pendingStroke = stroke;
    pendingTimer = window.setTimeout(() => {
      pendingStroke = '';
    }, 1500);
    return true;
  }
  return false;
}

function pick(keys: string, inText: boolean): Action | undefined {
  if (!keys) return undefined;
  return byKey.get(keys)?.find((action) => action.scope === 'any' || !inText);
}

const SIGNS: Record<string, string> = {
  ctrl: isMac ? '⌘' : 'Ctrl',
  shift: isMac ? '⇧' : 'Shift',
  alt: isMac ? '⌥' : 'Alt',
  arrowleft: '←',
  arrowright: '→',
  arrowup: '↑',
  arrowdown: '↓',
  delete: 'Del',
  backspace: '⌫',
  enter: '↵',
  escape: 'Esc',
  space: 'Space',
};

/** A stroke as people read it: `Ctrl+Shift+P`. */
export function showKey(keys: string | undefined): string {
  if (!keys) return '';
  return keys
    .split(' ')
    .map((stroke) => {
      // The key itself may be the minus sign.
      const parts = stroke.endsWith('--') ? [...stroke.slice(0, -2).split('-'), '-'] : stroke.split('-');
      return parts.map((part) => SIGNS[part] ?? (part.length === 1 ? part.toUpperCase() : part)).join('+');
    })
    .join(' ');
}
