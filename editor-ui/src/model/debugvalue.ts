/** Node-RED's debug encoding, turned into a plain tree that a panel can show. */

export type Kind = 'string' | 'number' | 'boolean' | 'null' | 'undefined' | 'object' | 'array' | 'buffer' | 'error' | 'special';

export interface TreeNode {
  kind: Kind;
  /** One line that stands for the whole value. */
  summary: string;
  value: unknown;
  children?: { key: string; path: string; value: unknown }[];
}

interface Encoded {
  __enc__: true;
  type: string;
  data?: unknown;
  length?: number;
}

const isEncoded = (value: unknown): value is Encoded => typeof value === 'object' && value !== null && (value as Encoded).__enc__ === true;

/** What a debug message holds, from its text and its format. */
export function decodeDebug(msg: unknown, format: string | undefined): unknown {
  if (typeof msg !== 'string') return msg;
  const kind = (format ?? '').replace(/\[.*/, '').toLowerCase();
  if (kind === 'string' || kind === 'regexp' || kind === 'function') return msg;
  if (kind === 'number') return Number.isNaN(Number(msg)) ? msg : Number(msg);
  if (kind === 'boolean') return msg === 'true';
  if (kind === 'null') return null;
  if (kind === 'undefined') return undefined;
  if (kind === 'buffer') return { __enc__: true, type: 'hex', data: msg, length: Number(/\[(\d+)\]/.exec(format ?? '')?.[1] ?? 0) };
  try {
    return JSON.parse(msg);
  } catch {
    return msg;
  }
}

const MAX_CHILDREN = 200;

export function tree(value: unknown, path = ''): TreeNode {
  if (isEncoded(value)) return encoded(value, path);
  if (value === null) return { kind: 'null', summary: 'null', value };
  if (value === undefined || value === '(undefined)') return { kind: 'undefined', summary: 'undefined', value };
  if (typeof value === 'string') return { kind: 'string', summary: `"${short(value, 120)}"`, value };
  if (typeof value === 'number' || typeof value === 'boolean') return { kind: typeof value as Kind, summary: String(value), value };
  if (Array.isArray(value)) return list(value, value.length, path, 'array');
  if (isBuffer(value)) return list(value.data, value.data.length, path, 'buffer');
  const entries = Object.entries(value as object);
  return {
    kind: 'object',
    summary: `{ ${entries
      .slice(0, 4)
      .map(([key, inner]) => `${key}: ${brief(inner)}`)
      .join(', ')}${entries.length > 4 ? ', …' : ''} }`,
    value,
    children: entries.slice(0, MAX_CHILDREN).map(([key, inner]) => ({ key, path: join(path, key), value: inner })),
  };
}

function list(items: unknown[], length: number, path: string, kind: 'array' | 'buffer'): TreeNode {
  const head = items.slice(0, 6).map((item) => (kind === 'buffer' ? Number(item).toString(16).padStart(2, '0') : brief(item)));
  const summary =
    kind === 'buffer'
      ? `buffer[${length}] ${head.join(' ')}${length > 6 ? ' …' : ''}`
      : `[${head.join(', ')}${length > 6 ? `, … ${length}` : ''}]`;
  return {
    kind,
    summary,
    value: items,
    children: items.slice(0, MAX_CHILDREN).map((item, at) => ({ key: String(at), path: `${path}[${at}]`, value: item })),
  };
}

function encoded(value: Encoded, path: string): TreeNode {
  if (value.type === 'array' || value.type === 'set') {
    const items = Array.isArray(value.data) ? value.data : [];
    return list(items, value.length ?? items.length, path, 'array');
  }
  if (value.type === 'hex') {
    const hex = String(value.data ?? '');
    return {
      kind: 'buffer',
      summary: `buffer[${value.length ?? hex.length / 2}] ${hex.slice(0, 24).replace(/(..)/g, '$1 ').trim()}${hex.length > 24 ? ' …' : ''}`,
      value: hex,
    };
  }
  if (value.type === 'Buffer' && Array.isArray(value.data)) return list(value.data, value.length ?? value.data.length, path, 'buffer');
  if (value.type === 'error') {
    const data = (value.data ?? {}) as { name?: string; message?: string };
    return { ...tree(data, path), kind: 'error', summary: `${data.name ?? 'Error'}: ${data.message ?? ''}` };
  }
  if (value.type === 'map') return { ...tree(value.data ?? {}, path), summary: `map[${value.length ?? ''}]` };
  return { kind: 'special', summary: value.data === undefined ? value.type : String(value.data), value: value.data };
}

const isBuffer = (value: unknown): value is { type: 'Buffer'; data: number[] } =>
  typeof value === 'object' &&
  value !== null &&
  (value as { type?: unknown }).type === 'Buffer' &&
  Array.isArray((value as { data?: unknown }).data);

const short = (text: string, length: number): string => (text.length > length ? `${text.slice(0, length)}…` : text);

export function brief(value: unknown): string {
  if (isEncoded(value)) return encoded(value, '').summary;
  if (typeof value === 'string') return `"${short(value, 24)}"`;
  if (Array.isArray(value)) return `array[${value.length}]`;
  if (value && typeof value === 'object') return isBuffer(value) ? `buffer[${value.data.length}]` : '{…}';
  return String(value);
}

const join = (path: string, key: string): string => {
  if (/^[A-Za-z_$][\w$]*$/.test(key)) return path ? `${path}.${key}` : key;
  return `${path}["${key}"]`;
};

/** Short text of a last value, for cards and rows. */
export function preview(value: unknown, length = 24): string {
  if (typeof value === 'number') return number(value);
  if (typeof value === 'string') return short(value.replaceAll(/\s+/g, ' '), length);
  if (value === undefined || value === null) return '';
  return short(typeof value === 'object' ? JSON.stringify(value) : String(value), length);
}

/** An object as a few words: `moisture 20.2 · unit %`. Text that is JSON counts as what it says. */
export function gist(value: unknown, length = 24): string {
  let at = value;
  if (typeof at === 'string' && at.startsWith('{')) {
    try {
      at = JSON.parse(at);
    } catch {
      return preview(value, length);
    }
  }
  if (!at || typeof at !== 'object' || Array.isArray(at)) return preview(at, length);
  const words = Object.entries(at).map(
    ([key, inner]) => `${key} ${typeof inner === 'object' && inner ? brief(inner) : preview(inner, 12)}`,
  );
  return short(words.join(' · '), length);
}

export function number(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (Number.isInteger(value)) return Math.abs(value) >= 1e6 ? value.toExponential(3) : String(value);
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-3) return value.toPrecision(4);
  return String(Number(value.toFixed(size >= 100 ? 1 : size >= 10 ? 2 : 3)));
}

/** A count in a few characters: `987`, `12k`, `1.2M`. */
export function compact(count: number): string {
  if (count < 1000) return String(Math.round(count));
  const [size, unit] = count < 1e6 ? [count / 1000, 'k'] : [count / 1e6, 'M'];
  return `${size < 10 ? Math.floor(size * 10) / 10 : Math.floor(size)}${unit}`;
}

export function rate(perSecond: number): string {
  if (perSecond >= 10_000) return `${Math.round(perSecond / 1000)}k/s`;
  if (perSecond >= 1000) return `${(perSecond / 1000).toFixed(1)}k/s`;
  if (perSecond >= 10) return `${Math.round(perSecond)}/s`;
  if (perSecond >= 0.95) return `${Number(perSecond.toFixed(1))}/s`;
  if (perSecond <= 0) return '';
  return perSecond >= 0.1 ? `${perSecond.toFixed(1)}/s` : `${(perSecond * 60).toFixed(perSecond * 60 >= 1 ? 0 : 1)}/min`;
}

export function age(ms: number): string {
  const s = Math.max(0, ms) / 1000;
  if (s < 1.5) return 'now';
  if (s < 60) return `${Math.round(s)} s`;
  if (s < 3600) return `${Math.round(s / 60)} min`;
  if (s < 86_400) return `${Math.round(s / 3600)} h`;
  return `${Math.round(s / 86_400)} d`;
}
