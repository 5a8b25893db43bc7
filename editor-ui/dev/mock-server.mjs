// A stand-in for the runtime, for work on the editor alone: node dev/mock-server.mjs [PORT] [--auth] [--viewer] [--flow FILE]
// Serves ../dist and every route the editor uses, with made-up live data. A development tool: nothing of it ships.

import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { WebSocketServer } from 'ws';
import { flow } from './mock-flow.mjs';
import { nodeTypes } from './mock-types.mjs';

const args = process.argv.slice(2);
const port = Number(args.find((arg) => /^\d+$/.test(arg)) ?? 1880);
const auth = args.includes('--auth');
const role = args.includes('--viewer') ? 'viewer' : 'admin';
const file = args.includes('--flow') ? args[args.indexOf('--flow') + 1] : undefined;
const dist = fileURLToPath(new URL('../dist/', import.meta.url));

let flows = file ? JSON.parse(readFileSync(file, 'utf8')) : flow;
let rev = 1;
let user = args.includes('--viewer') ? { name: 'vera', role } : null;
let hasUser = args.includes('--viewer');
let position = 4200;
const started = Date.now();
const types = new Map(nodeTypes.map((type) => [type.type, type]));

const types2 = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };
const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

function problems() {
  const ids = new Set(flows.map((node) => node.id));
  return flows.flatMap((node) => {
    const type = types.get(node.type);
    if (!type)
      return ['tab', 'group', 'subflow', 'junction'].includes(node.type) || node.type.startsWith('subflow:')
        ? []
        : [{ node: node.id, path: '', text: `unknown type "${node.type}": kept as a placeholder`, severity: 'warning' }];
    return type.schema.required
      .filter((key) => !node[key] || (type.schema.properties[key]['x-widget'] === 'config-node' && !ids.has(node[key])))
      .map((key) => ({ node: node.id, path: `/${key}`, text: `${key} is not set`, severity: 'error' }));
  });
}

const things = () =>
  ['north', 'bed1', 'door', 'valve'].map((id, at) => ({
    id: `greenhouse/${id}`,
    name: ['Greenhouse north', 'Bed 1', 'Door', 'Valve'][at],
    lastSeen: Date.now() - [400, 900, 130_000, 61_000][at],
    events: 1200 * (at + 1),
    properties: [
      { temperature: { value: Number(temperature().toFixed(1)), unit: '°C' }, humidity: { value: 61, unit: '%' } },
      { soil: { value: Number(soil().toFixed(1)), unit: '%' }, battery: { value: 83, unit: '%' } },
      { open: { value: false } },
      { state: { value: 'closed' } },
    ][at],
  }));

const seconds = () => (Date.now() - started) / 1000;
const temperature = () => 21.4 + 4 * Math.sin(seconds() / 7) + Math.random() * 0.3;
const soil = () => 38 + 14 * Math.sin(seconds() / 19);
const event = () => ({
  specversion: '1.0',
  id: `e${++position}`,
  type: position % 9 ? 'reading-reported' : 'tidewire.command.sent',
  source: '/nodes/store',
  subject: 'greenhouse/north',
  stream: position % 3 ? 'thing-greenhouse/north' : 'thing-greenhouse/bed1',
  version: position - 4000,
  position,
  time: new Date().toISOString(),
  data: position % 3 ? { value: Number(temperature().toFixed(2)), unit: '°C' } : { value: Number(soil().toFixed(1)), unit: '%' },
});

const json = (res, status, body, headers = {}) => {
  res.writeHead(status, {
    'content-type': status >= 400 ? 'application/problem+json' : 'application/json',
    'content-security-policy': CSP,
    ...headers,
  });
  res.end(body === undefined ? '' : JSON.stringify(body));
};
const problem = (res, status, code, detail, more = {}) =>
  json(res, status, { type: 'about:blank', title: detail, status, code, detail, ...more });

const body = async (req) => {
  const parts = [];
  for await (const part of req) parts.push(part);
  const text = Buffer.concat(parts).toString();
  return text ? JSON.parse(text) : {};
};

async function api(req, res, path) {
  const put = req.method === 'POST' ? await body(req) : {};
  if (path === '/api/session') return json(res, 200, { auth: auth || user ? 'on' : 'off', setup: auth && !hasUser, user: user ?? null });
  if (path === '/api/setup') {
    if (put.token !== 'secret')
      return problem(res, 403, 'bad_token', 'This set-up link has been used or is not whole. Restart the server to get a new one.');
    user = { name: put.username, role };
    hasUser = true;
    return json(res, 200, {});
  }
  if (path === '/api/login') {
    if (put.password !== 'password1234') return problem(res, 401, 'wrong_password', 'User name or password is wrong.');
    user = { name: put.username, role };
    return json(res, 200, {});
  }
  if (path === '/api/logout') {
    user = null;
    return json(res, 200, {});
  }
  if (auth && !user) return problem(res, 401, 'not_signed_in', 'Sign in first.');
  if (path === '/api/node-types') return json(res, 200, { items: nodeTypes });
  if (path === '/api/check') {
    const old = flows;
    flows = put.flows;
    const found = problems();
    flows = old;
    return json(res, 200, { problems: found });
  }
  if (path === '/flows' && req.method === 'GET') return json(res, 200, { flows, rev: String(rev) });
  if (path === '/flows') {
    if (Array.isArray(put)) {
      flows = put;
      rev += 1;
      return json(res, 204);
    }
    if (put.rev && put.rev !== String(rev))
      return problem(res, 409, 'version_mismatch', 'Somebody deployed after you loaded the flows.', { rev: String(rev) });
    flows = put.flows;
    rev += 1;
    return json(res, 200, { rev: String(rev), problems: problems().filter((one) => one.severity === 'error') });
  }
  if (path === '/api/deploys') return json(res, 200, { items: [deployOf()], next: null });
  if (path.startsWith('/api/deploys/')) return json(res, 200, { ...deployOf(), flows });
  if (path === '/api/dead-letters') return json(res, 200, { items: letters(), next: null });
  if (path.startsWith('/context/'))
    return json(res, 200, { default: path === '/context/global' ? { house: { msg: '{"beds":3}', format: 'Object' } } : {} });
  if (path === '/api/things') return json(res, 200, { items: things(), next: null });
  if (path === '/api/events') return json(res, 200, { items: Array.from({ length: 40 }, event).reverse(), next: null });
  if (/^\/api\/events\/.+\/why$/.test(path)) return json(res, 200, { items: [event(), event()] });
  if (path.startsWith('/credentials/')) return json(res, 200, path.includes('broker') ? { user: 'tide', has_password: true } : {});
  if (path.startsWith('/inject/')) {
    injected.add(path.split('/')[2]);
    return flows.some((node) => node.id === path.split('/')[2])
      ? json(res, 200, {})
      : problem(res, 404, 'node_not_found', 'No such node runs.');
  }
  if (path.startsWith('/debug/')) {
    const [, , id, to] = path.split('/');
    flows = flows.map((node) => (node.id === id ? { ...node, active: to === 'enable' } : node));
    return json(res, 200, {});
  }
  return problem(res, 404, 'not_found', `No route ${path}.`);
}

function deployOf() {
  const changes = { added: flows.length, removed: 0, changed: 0, rewired: 0, moved: 0 };
  return { rev: String(rev), number: rev, kind: 'full', author: user?.name ?? 'anybody', time: started, position: rev, changes };
}

function letters() {
  const failing = flows.find((node) => node.wires && node.type !== 'inject');
  if (!failing) return [];
  const node = { id: failing.id, type: failing.type, name: failing.name ?? '', flow: failing.z };
  const message = { topic: 'greenhouse', payload: { temperature: 'warm' } };
  const rest = { reason: 'failed', error: 'not a number: warm', message, hops: 1, revision: 1, suppressed: 0, kept: true };
  return [{ id: 'letter1', position: 1, time: started, node, ...rest }];
}

const injected = new Set();
const routes = /^\/(api|flows|inject|debug|credentials|context)(\/|$)/;

const server = createServer((req, res) => {
  const path = decodeURIComponent(new URL(req.url, 'http://x').pathname);
  const work = routes.test(path) ? api(req, res, path) : asset(res, path);
  work.catch((error) => {
    console.error(error);
    if (!res.headersSent) problem(res, 500, 'mock_failed', String(error));
  });
});

async function asset(res, path) {
  const name = path === '/' || !extname(path) ? 'index.html' : normalize(path).replace(/^(\.\.[/\\])+/, '');
  try {
    const content = gzipSync(await readFile(join(dist, name)));
    res.writeHead(200, {
      'content-type': types2[extname(name)] ?? 'application/octet-stream',
      'content-encoding': 'gzip',
      'content-security-policy': CSP,
    });
    res.end(content);
  } catch {
    problem(res, 404, 'not_found', `${name} is not there: run npm run build first.`);
  }
}

const sockets = new WebSocketServer({ noServer: true });
server.on('upgrade', (req, socket, head) => {
  const { pathname, searchParams } = new URL(req.url, 'http://x');
  if (pathname === '/api/live') sockets.handleUpgrade(req, socket, head, liveSocket);
  else if (pathname === '/api/taps') sockets.handleUpgrade(req, socket, head, (ws) => tapSocket(ws, searchParams.get('nodes') ?? ''));
  else socket.destroy();
});

const counts = new Map();
const rings = new Map();
const busy = { sim: 2, pub: 2, sub: 2, store: 2, temp: 2, dry: 2, j1: 2, sw: 2, chg: 420, fn: 0.3, valve: 0.02, dbg2: 0.3 };

function liveNode(id, now) {
  const rate = busy[id] ?? 0;
  const old = counts.get(id) ?? 1000;
  const total = old + (Math.random() < (rate % 1) / 4 ? 1 : 0) + Math.round(Math.floor(rate) / 4 + Math.random() * 0.5);
  counts.set(id, total);
  const value = id === 'dry' || id === 'q' ? soil() : id === 'valve' ? 'open' : id === 'sub' ? temperature() : temperature();
  const ring = rings.get(id) ?? [];
  if (typeof value === 'number') ring.push(Number(value.toFixed(2)));
  rings.set(id, ring.slice(-32));
  return {
    in: total,
    out: [total, Math.floor(total / 40)],
    rate,
    errors: id === 'valve' ? 2 : 0,
    queue: id === 'chg' ? 620 : 0,
    last: {
      value: id === 'store' ? { value: 22.4, unit: '°C' } : typeof value === 'number' ? Number(value.toFixed(1)) : value,
      topic: 'greenhouse/north/temperature',
      time: now,
    },
    ring: typeof value === 'number' ? rings.get(id) : undefined,
  };
}

function liveSocket(ws) {
  let watch = [];
  let tail = false;
  ws.on('message', (text) => {
    const wish = JSON.parse(text);
    watch = wish.watch ?? [];
    tail = wish.tail === true;
  });
  const timer = setInterval(() => {
    const now = Date.now();
    const frame = {
      time: now,
      position,
      rev: String(rev),
      eventsPerSecond: 3.8 + Math.random(),
      nodes: {},
      wires: {},
      status: {},
      debug: [],
      events: [],
    };
    for (const id of watch) if (busy[id] && (busy[id] > 1 || Math.random() < busy[id])) frame.nodes[id] = liveNode(id, now);
    for (const node of flows) {
      if (!watch.includes(node.id)) continue;
      (node.wires ?? []).forEach((targets, out) =>
        targets.forEach((to) => {
          const rate = out === 0 ? (busy[node.id] ?? 0) : 0;
          if (rate)
            frame.wires[`${node.id}:${out}:${to}`] = {
              total: counts.get(node.id) ?? 0,
              rate,
              dropped: 0,
              blocked: node.id === 'chg' ? 0.72 : 0,
            };
        }),
      );
      if (node.type === 'mqtt in' || node.type === 'mqtt out')
        frame.status[node.id] = node.broker
          ? { fill: 'green', shape: 'dot', text: 'connected' }
          : { fill: 'red', shape: 'ring', text: 'no broker' };
      if (node.id === 'dry')
        frame.status.dry =
          soil() < 30 ? { fill: 'red', shape: 'dot', text: 'fired: soil 28 %' } : { fill: 'green', shape: 'ring', text: 'clear' };
    }
    if (Math.random() < 0.2)
      frame.debug.push({
        id: 'dbgvalve',
        name: 'confirmed',
        z: 'greenhouse',
        topic: 'greenhouse/valve/state',
        property: 'payload',
        msg: JSON.stringify({ state: 'open', by: 'rule', soil: Number(soil().toFixed(1)), history: [1, 2, 3] }),
        format: 'Object',
        time: now,
      });
    if (Math.random() < 0.05)
      frame.debug.push({
        id: 'store',
        name: 'Record',
        z: 'greenhouse',
        topic: '',
        msg: 'append event: stream is at version 12, expected 11',
        format: 'string[48]',
        time: now,
        level: 20,
      });
    for (let i = 0; i < injected.size; i++)
      frame.debug.push({
        id: 'dbg',
        name: 'rejected',
        z: 'greenhouse',
        topic: 'ask',
        property: 'payload',
        msg: String(now),
        format: 'number',
        time: now,
      });
    injected.clear();
    if (tail && Math.random() < 0.5) frame.events.push(event());
    ws.send(JSON.stringify(frame));
  }, 250);
  ws.on('close', () => clearInterval(timer));
}

function tapSocket(ws, nodes) {
  ws.send(JSON.stringify({ ready: true }));
  const timer = setInterval(() => {
    for (const node of nodes.split(','))
      for (const dir of ['in', 'out'])
        ws.send(
          JSON.stringify({
            node,
            dir,
            port: 0,
            msg: {
              _msgid: 'a1b2c3',
              topic: 'greenhouse/north/temperature',
              payload: { value: Number(temperature().toFixed(2)), unit: '°C' },
              qos: 1,
              retain: false,
            },
          }),
        );
  }, 700);
  ws.on('close', () => clearInterval(timer));
}

server.listen(port, '127.0.0.1', () => console.log(`mock runtime: http://127.0.0.1:${port}/${auth ? 'setup?token=secret' : ''}`));
