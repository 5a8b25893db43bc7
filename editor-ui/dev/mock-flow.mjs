// The flow that the mock server starts with: a greenhouse on one tab, some imported odds and ends on another.

const tab = 'greenhouse';
const node = (id, type, name, x, y, wires, rest = {}) => ({ id, type, z: rest.z ?? tab, name, x, y, wires, ...rest });

export const flow = [
  { id: tab, type: 'tab', label: 'Greenhouse', disabled: false, info: 'Readings of the greenhouse become events; **dry soil** opens the valve.', env: [] },
  { id: 'house', type: 'tab', label: 'House (imported)', disabled: false, info: '', env: [] },
  { id: 'spare', type: 'tab', label: 'Spare', disabled: true, info: '', env: [] },
  { id: 'broker1', type: 'mqtt-broker', name: 'Built-in broker', broker: '127.0.0.1', port: 1883, clientid: '', keepalive: 60, cleansession: false },
  { id: 'grp1', type: 'group', z: tab, name: 'Watering', style: { label: true, fill: '#8b5cf6', stroke: '#8b5cf6' }, nodes: ['dry', 'valve', 'tell', 'dbgvalve'], x: 714, y: 179, w: 492, h: 228 },
  node('c1', 'comment', 'Readings in, decisions out. Everything is recorded.', 200, 40, []),
  node('sim', 'simulator', 'Demo greenhouse', 160, 100, [['pub']], { things: [{ id: 'north', kind: 'temperature', every: 1 }, { id: 'bed1', kind: 'soil', every: 1 }], seed: 1 }),
  node('pub', 'mqtt out', 'Publish', 380, 100, [], { broker: 'broker1', topic: '', qos: '1' }),
  node('sub', 'mqtt in', 'Greenhouse readings', 160, 240, [['store']], { broker: 'broker1', topic: 'greenhouse/#', qos: '1', datatype: 'auto-detect' }),
  node('store', 'event-store-append', 'Record', 380, 240, [['temp', 'dry', 'j1'], ['dbg']], { stream: 'thing-{{topic}}', eventType: 'reading-reported', data: 'payload', dataType: 'msg' }),
  node('temp', 'projector', 'Average temperature', 600, 160, [[]], { projection: 'temperature', key: '{{subject}}', reducer: 'average', property: 'value' }),
  node('dry', 'rule', 'Soil too dry', 820, 240, [['valve', 'tell'], ['tell']], { g: 'grp1', conditions: { all: [{ property: 'payload.soil', op: 'lt', value: 30, valueType: 'num' }] }, for: 10, clear: { all: [{ property: 'payload.soil', op: 'gt', value: 45, valueType: 'num' }] }, cooldown: 600 }),
  node('valve', 'actuator-out', 'Open valve', 1040, 240, [['dbgvalve'], []], { g: 'grp1', broker: 'broker1', topic: 'greenhouse/valve/set', confirmTopic: 'greenhouse/valve/state', timeout: 10, ttl: 60, retries: 2 }),
  node('tell', 'notifier', 'Tell me', 1040, 340, [[], []], { g: 'grp1', channel: 'ntfy', title: 'Greenhouse', message: 'Soil is dry: {{payload.soil}} %', baseUrl: 'https://ntfy.sh' }),
  node('dbgvalve', 'debug', 'confirmed', 820, 340, [], { g: 'grp1', active: true, complete: 'payload', targetType: 'msg' }),
  node('dbg', 'debug', 'rejected', 600, 300, [], { active: true, complete: 'true', targetType: 'full' }),
  { id: 'j1', type: 'junction', z: tab, x: 520, y: 420, wires: [['sw']] },
  node('sw', 'switch', '', 640, 420, [['chg'], ['fn'], []], { property: 'payload', propertyType: 'msg', rules: [{ t: 'gt', v: '30', vt: 'num' }, { t: 'btwn', v: '10', vt: 'num', v2: '30', v2t: 'num' }, { t: 'else' }], checkall: 'true' }),
  node('chg', 'change', 'Mark as hot', 860, 440, [['sw']], { rules: [{ t: 'set', p: 'hot', pt: 'msg', to: 'true', tot: 'bool' }] }),
  node('fn', 'function', 'Fahrenheit', 860, 500, [['dbg2']], { func: 'msg.payload = msg.payload * 9 / 5 + 32;\nreturn msg;', outputs: 1 }),
  node('dbg2', 'debug', '', 1060, 500, [], { active: false, complete: 'payload', targetType: 'msg' }),
  node('inj', 'inject', 'Ask for soil', 160, 360, [['q']], { props: [{ p: 'payload' }, { p: 'topic', vt: 'str' }], payload: 'bed1', payloadType: 'str', topic: 'ask', repeat: '' }),
  node('q', 'projection-query', 'Soil now', 380, 360, [['dbg']], { projection: 'soil', key: '{{payload}}' }),
  node('off', 'template', 'Not used now', 160, 420, [[]], { d: true, field: 'payload', template: 'Hello {{payload}}' }),
  node('bad', 'mqtt in', '', 160, 480, [[]], { broker: '', topic: '', qos: '1' }),
  node('hi', 'inject', '', 160, 80, [['g1']], { z: 'house', props: [{ p: 'payload' }], payload: '', payloadType: 'date' }),
  node('g1', 'ui_gauge', 'Living room', 400, 80, [], { z: 'house', group: 'x', order: 1, width: 0, height: 0, gtype: 'gage', title: 'gauge', label: '°C', format: '{{value}}', min: 0, max: '40', colors: ['#00b500', '#e6e600', '#ca3838'] }),
  node('pi', 'rpi-gpio out', 'Relay', 400, 160, [], { z: 'house', pin: '12', set: '', level: '0', freq: '', out: 'out' }),
  node('pbt', 'pushbullet', '', 400, 240, [], { z: 'house', config: 'y', pushtype: 'note', title: '', chan: '' }),
];
