/** Context values as the runtime lists them, turned into rows. */

import { decodeDebug } from './debugvalue';

export type ContextScope = 'node' | 'flow' | 'global';

/** By store, then by key: the value in the encoding of debug messages. */
export type ContextAnswer = Record<string, Record<string, { msg: unknown; format: string }>>;

export interface ContextRow {
  store: string;
  key: string;
  /** The key as it is written in a node: with brackets where it is no plain word. */
  path: string;
  value: unknown;
}

export function contextRows(answer: ContextAnswer): ContextRow[] {
  return Object.entries(answer).flatMap(([store, values]) =>
    Object.entries(values)
      .map(([key, { msg, format }]) => ({ store, key, path: keyPath(key), value: decodeDebug(msg, format) }))
      .sort((a, b) => a.key.localeCompare(b.key)),
  );
}

export const keyPath = (key: string): string => (/^[A-Za-z_$][\w$]*$/.test(key) ? key : `["${key.replaceAll('"', '\\"')}"]`);
