/** HTTP with the runtime: JSON in and out, RFC 9457 problems as errors. */

import type { RetryAnswer } from '../gen/RetryAnswer';
import type { Diff } from '../model/diff';
import type { ContextAnswer, ContextScope } from '../model/context';
import type { Deploy, DeadLetter } from '../model/records';
import { parseExact } from '../model/transfer';
import type { FlowNode, NodeType, Problem } from '../model/types';

export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly body: Record<string, unknown> = {},
  ) {
    super(message);
  }
}

async function request<T>(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<T> {
  const init: RequestInit = { method, headers: { Accept: 'application/json', ...headers }, credentials: 'same-origin' };
  if (method !== 'GET') init.headers = { ...init.headers, 'Content-Type': 'application/json', 'X-Requested-By': 'tidewire' };
  if (body !== undefined) init.body = typeof body === 'string' ? body : JSON.stringify(body);
  let answer: Response;
  try {
    answer = await fetch(path, init);
  } catch {
    throw new ApiError(0, 'offline', 'The server cannot be reached.');
  }
  const text = await answer.text();
  if (!answer.ok) throw problem(answer.status, text);
  const json = (answer.headers.get('content-type') ?? '').includes('json');
  return (text && json ? parseExact(text) : undefined) as T;
}

function problem(status: number, text: string): ApiError {
  let body: Record<string, unknown> = {};
  try {
    body = JSON.parse(text) as Record<string, unknown>;
  } catch {
    // Not every server in between answers in JSON.
  }
  const words = body.detail ?? body.title ?? body.message ?? `The server answered ${status}.`;
  return new ApiError(status, String(body.code ?? ''), String(words), body);
}

export interface SessionAnswer {
  auth: 'on' | 'off';
  setup: boolean;
  user: { name: string; role: string } | null;
}

export interface Thing {
  id: string;
  name: string;
  properties: Record<string, { value: unknown; time: number | string; unit?: string }>;
  lastSeen: number;
  events: number;
}

export interface LogEvent {
  id: string;
  type: string;
  stream?: string;
  subject?: string;
  source?: string;
  time?: string | number;
  position?: number;
  data?: unknown;
  [key: string]: unknown;
}

const V2 = { 'Node-RED-API-Version': 'v2' };

export type DeployKind = 'nodes' | 'flows' | 'full' | 'reload';

export interface DeployAnswer {
  rev: string;
  problems?: Problem[];
}

export interface DeployBody {
  flows: readonly FlowNode[];
  rev?: string;
  credentials?: Record<string, Record<string, string>>;
}

const contextPath = (scope: ContextScope, id: string): string =>
  scope === 'global' ? '/context/global' : `/context/${scope}/${encodeURIComponent(id)}`;

export const api = {
  session: () => request<SessionAnswer>('GET', '/api/session'),
  login: (username: string, password: string) => request<void>('POST', '/api/login', { username, password }),
  logout: () => request<void>('POST', '/api/logout', {}),
  setup: (token: string, username: string, password: string) => request<void>('POST', '/api/setup', { token, username, password }),
  nodeTypes: () => request<{ items: NodeType[] }>('GET', '/api/node-types').then((answer) => answer.items),
  flows: () => request<{ flows: FlowNode[]; rev: string }>('GET', '/flows', undefined, V2),
  deploy: (body: DeployBody, kind: DeployKind) =>
    request<DeployAnswer>('POST', '/flows', body, { ...V2, 'Node-RED-Deployment-Type': kind }),
  check: (flows: readonly FlowNode[]) =>
    request<{ problems: Problem[] }>('POST', '/api/check', { flows }).then((answer) => answer.problems),
  inject: (id: string) => request<void>('POST', `/inject/${encodeURIComponent(id)}`, {}),
  debug: (id: string, on: boolean) => request<void>('POST', `/debug/${encodeURIComponent(id)}/${on ? 'enable' : 'disable'}`, {}),
  things: () => request<{ items: Thing[] }>('GET', '/api/things?limit=200').then((answer) => answer.items),
  events: (query: string) => request<{ items: LogEvent[]; next: string | number | null }>('GET', `/api/events?${query}`),
  why: (id: string) =>
    request<{ items?: LogEvent[] } | LogEvent[]>('GET', `/api/events/${encodeURIComponent(id)}/why`).then((answer) =>
      Array.isArray(answer) ? answer : (answer.items ?? []),
    ),
  deploys: (cursor?: string) =>
    request<{ items: Deploy[]; next: string | null }>(
      'GET',
      `/api/deploys?limit=30${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ''}`,
    ),
  deployAt: (position: number) => request<Deploy>('GET', `/api/deploys/${position}`),
  restore: (position: number, rev: string) => request<DeployAnswer>('POST', `/api/deploys/${position}/restore`, { rev }),
  deadLetters: (cursor?: string) =>
    request<{ items: DeadLetter[]; next: string | null }>(
      'GET',
      `/api/dead-letters?limit=50${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ''}`,
    ),
  retry: (id: string, again: boolean) =>
    request<void>('POST', `/api/dead-letters/${encodeURIComponent(id)}/retry${again ? '?again=true' : ''}`),
  retryAll: (node: string) => request<RetryAnswer>('POST', '/api/dead-letters/retry', { node }),
  context: (scope: ContextScope, id: string) => request<ContextAnswer>('GET', contextPath(scope, id)),
  deleteContext: (scope: ContextScope, id: string, store: string, key: string) =>
    request<void>('DELETE', `${contextPath(scope, id)}/${encodeURIComponent(key)}?store=${encodeURIComponent(store)}`),
  credentials: (type: string, id: string) =>
    request<Record<string, unknown>>('GET', `/credentials/${encodeURIComponent(type)}/${encodeURIComponent(id)}`),
};

/** The difference a 409 reports, if it does. */
export const conflictDiff = (error: ApiError): Partial<Diff> | undefined =>
  error.body.diff && typeof error.body.diff === 'object' ? (error.body.diff as Partial<Diff>) : undefined;
