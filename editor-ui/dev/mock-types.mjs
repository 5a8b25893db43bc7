// Node types for the mock server: the shapes that the runtime derives from its nodes' configs, a realistic selection.

const s = (description, extra = {}) => ({ type: 'string', description, default: '', ...extra });
const n = (description, extra = {}) => ({ type: 'number', description, ...extra });
const b = (description, extra = {}) => ({ type: 'boolean', description, default: false, ...extra });
const typed = (description, types, partner, extra = {}) => ({ type: 'string', description, 'x-widget': 'typed-input', 'x-types': types, 'x-type-property': partner, ...extra });
const choice = (description, pairs, extra = {}) => ({ description, oneOf: pairs.map(([value, hint]) => ({ const: value, description: hint })), default: pairs[0][0], 'x-widget': 'select', ...extra });

function type(name, label, category, role, kind, icon, inputs, outputs, properties, more = {}) {
  const defaults = Object.fromEntries(Object.entries(properties).map(([key, schema]) => [key, more.defaults?.[key] ?? schema.default ?? '']));
  for (const schema of Object.values(properties)) if (schema['x-type-property'] && !(schema['x-type-property'] in defaults)) defaults[schema['x-type-property']] = schema['x-types'][0];
  for (const [key, schema] of Object.entries(properties)) if (schema['x-widget'] === 'secret') delete defaults[key];
  return { type: name, label, category, role, kind, icon, inputs, outputs, button: more.button ?? false, keywords: more.keywords ?? [], summary: more.summary ?? `${label}.`, help: more.help ?? `${more.summary ?? label}\n\n#### Output\n- \`payload\`: the result`, defaults, schema: { type: 'object', properties, required: more.required ?? [] } };
}

const filter = {
  stream: s('Only this stream; empty means all.', { examples: ['thing-greenhouse'] }),
  category: s('Only streams of this category.', { examples: ['thing'] }),
  eventTypes: { type: 'array', items: { type: 'string' }, description: 'Only these event types; none means all.', default: [] },
};

export const nodeTypes = [
  type('inject', 'inject', 'common', 'in', 'source', 'inject', 0, ['message'], {
    props: { type: 'array', description: 'What the message holds.', 'x-widget': 'props', default: [{ p: 'payload' }, { p: 'topic', vt: 'str' }] },
    payload: s('', { 'x-widget': 'hidden' }), payloadType: s('', { 'x-widget': 'hidden', default: 'date' }), topic: s('', { 'x-widget': 'hidden' }),
    repeat: s('Sends again every so often; empty means never.', { 'x-widget': 'duration' }),
    once: b('Sends once after the start.'),
    onceDelay: n('Waits this long after the start.', { 'x-widget': 'duration', default: 0.1, minimum: 0, 'x-show': { once: true } }),
  }, { button: true, keywords: ['button', 'timer'], summary: 'Sends a message by hand, at the start, or again and again.' }),
  type('debug', 'debug', 'common', 'system', 'effect', 'debug', 1, [], {
    complete: typed('What is shown.', ['msg', 'full', 'jsonata'], 'targetType', { default: 'payload' }),
    active: b('Shows messages in the debug panel.', { default: true }),
    tostatus: b('Shows the value under the node too.'),
  }, { button: true, keywords: ['print', 'log'], summary: 'Shows messages in the debug panel.' }),
  type('comment', 'comment', 'common', 'system', 'pure', 'comment', 0, [], { name: s('Title.'), info: s('Text, as markdown.', { 'x-widget': 'markdown' }) }, { summary: 'A note on the canvas.' }),
  type('junction', 'junction', 'common', 'logic', 'pure', 'junction', 1, ['output'], {}, { summary: 'A routing dot.' }),
  type('switch', 'switch', 'function', 'logic', 'pure', 'switch', 1, ['1'], {
    property: typed('Property that is compared.', ['msg', 'flow', 'global', 'env', 'jsonata'], 'propertyType', { default: 'payload' }),
    rules: { type: 'array', description: 'One output per rule.', 'x-widget': 'rules', default: [{ t: 'eq', v: '', vt: 'str' }] },
    checkall: choice('How many rules may match.', [['true', 'Every rule that matches sends'], ['false', 'Only the first rule that matches sends']]),
  }, { keywords: ['if', 'route'], summary: 'Sends a message to the outputs whose rules it fulfils.' }),
  type('change', 'change', 'function', 'logic', 'pure', 'change', 1, ['output'], {
    rules: { type: 'array', description: 'Done one after the other.', 'x-widget': 'change-rules', default: [{ t: 'set', p: 'payload', pt: 'msg', to: '', tot: 'str' }] },
  }, { keywords: ['set', 'remember'], summary: 'Sets, replaces, deletes or moves properties of a message.' }),
  type('function', 'function', 'function', 'logic', 'stateful', 'function', 1, ['output'], {
    func: s('JavaScript.', { 'x-widget': 'code', 'x-language': 'javascript', default: 'return msg;' }),
    outputs: n('Number of outputs.', { type: 'integer', minimum: 0, maximum: 32, default: 1 }),
  }, { summary: 'Runs a script on each message.' }),
  type('template', 'template', 'function', 'logic', 'pure', 'template', 1, ['output'], {
    field: s('Property that is set.', { 'x-widget': 'msg-path', default: 'payload' }),
    template: s('Mustache over the message.', { 'x-widget': 'code', 'x-language': 'mustache', default: 'This is {{payload}}' }),
  }, { summary: 'Fills a text with values of the message.' }),
  type('json', 'json', 'function', 'logic', 'pure', 'json', 1, ['output'], { property: s('Property.', { 'x-widget': 'msg-path', default: 'payload' }), action: choice('Direction.', [['', 'Text to object or back, as it comes'], ['obj', 'Always to an object'], ['str', 'Always to text']]) }, { summary: 'Turns JSON text into objects and back.' }),
  type('rbe', 'filter', 'function', 'state', 'stateful', 'filterNode', 1, ['output'], { property: s('Property.', { 'x-widget': 'msg-path', default: 'payload' }), func: choice('When a message passes.', [['rbe', 'When the value is another one'], ['deadband', 'When it differs by more than the gap']]) }, { summary: 'Passes only values that have changed.' }),
  type('mqtt in', 'mqtt in', 'network', 'in', 'source', 'mqtt', 0, ['message'], {
    broker: s('Broker.', { 'x-widget': 'config-node', 'x-config-type': 'mqtt-broker' }),
    topic: s('Topic; + and # are wildcards.', { 'x-widget': 'topic', minLength: 1, examples: ['greenhouse/+/temperature'] }),
    qos: choice('Quality of service.', [['2', 'Exactly once'], ['1', 'At least once'], ['0', 'At most once']]),
    datatype: choice('What the payload becomes.', [['auto-detect', 'JSON or text, as it looks'], ['utf8', 'Text'], ['buffer', 'Bytes'], ['json', 'Object']]),
  }, { required: ['broker', 'topic'], keywords: ['subscribe'], summary: 'Receives messages from an MQTT broker.', help: 'Receives messages from an MQTT broker.\n\n#### Output\n- `payload`: what was published\n- `topic`: where\n- `qos`, `retain`: as sent\n\n#### Good to know\nA message is acknowledged to the broker **only after** the nodes behind have stored it, so nothing is lost when the machine stops.' }),
  type('mqtt out', 'mqtt out', 'network', 'out', 'effect', 'mqtt', 1, [], {
    broker: s('Broker.', { 'x-widget': 'config-node', 'x-config-type': 'mqtt-broker' }), topic: s('Topic; empty takes msg.topic.', { 'x-widget': 'topic' }),
    qos: choice('Quality of service.', [['0', 'At most once'], ['1', 'At least once'], ['2', 'Exactly once']]), retain: b('The broker keeps the last message.'),
  }, { required: ['broker'], keywords: ['publish'], summary: 'Publishes messages to an MQTT broker.' }),
  type('mqtt-broker', 'MQTT broker', 'config', 'system', 'config', 'broker', 0, [], {
    broker: s('Host name or address.', { default: '127.0.0.1', minLength: 1 }), port: n('Port.', { type: 'integer', minimum: 1, maximum: 65535, default: 1883 }),
    clientid: s('Client id; empty makes one.'), keepalive: n('Keep alive.', { 'x-widget': 'duration', default: 60, minimum: 5 }), cleansession: b('Forget the session at each start.', { default: true }),
    user: s('User name.', { 'x-widget': 'secret' }), password: s('Password.', { 'x-widget': 'secret' }),
  }, { summary: 'A connection to an MQTT broker.' }),
  type('event-store-append', 'append event', 'events', 'state', 'effect', 'append', 1, ['stored', 'rejected'], {
    stream: s('Stream, as a template over the message.', { default: 'thing-{{topic}}' }), eventType: s('Type of the event, as a template.', { default: 'reading-reported' }),
    data: typed('What is stored.', ['msg', 'json', 'str', 'num', 'bool'], 'dataType', { default: 'payload' }),
    expectedVersion: typed('Version the stream must have.', ['str', 'num', 'msg'], 'expectedVersionType', { default: 'any' }),
  }, { keywords: ['record', 'store'], summary: 'Stores a message as an event, on disk before it goes on.' }),
  type('event-store-in', 'read events', 'events', 'in', 'source', 'store', 0, ['event'], {
    ...filter, start: choice('Where reading begins.', [['now', 'With the next event'], ['beginning', 'With the very first event'], ['checkpoint', 'Where it stopped last time']]), durable: b('Remembers how far it has read.'),
  }, { keywords: ['replay'], summary: 'Sends each event of the log, old ones first if wanted.' }),
  type('projector', 'projector', 'events', 'state', 'stateful', 'projector', 1, ['changed'], {
    projection: s('Name of the read model.', { minLength: 1 }), ...filter, key: s('One row per key, a template over the event.', { default: '{{subject}}' }),
    reducer: choice('How values are put together.', [['latest', 'The newest value'], ['count', 'How many'], ['sum', 'Their sum'], ['min', 'The smallest'], ['max', 'The largest'], ['average', 'The mean'], ['script', 'A rhai function']]),
    property: s('Path in the event data.', { 'x-show': { reducer: ['latest', 'sum', 'min', 'max', 'average'] } }),
    script: s('fn apply(state, event)', { 'x-widget': 'code', 'x-language': 'rhai', 'x-show': { reducer: 'script' } }),
  }, { required: ['projection'], keywords: ['read model', 'aggregate'], summary: 'Builds a read model from events and keeps it up to date.' }),
  type('projection-query', 'query', 'events', 'logic', 'pure', 'query', 1, ['result'], { projection: s('Read model.', { minLength: 1 }), key: s('Key, as a template.') }, { summary: 'Looks a value up in a read model.' }),
  type('rule', 'rule', 'events', 'state', 'stateful', 'rule', 1, ['fired', 'cleared'], {
    conditions: { type: 'object', description: 'When the rule fires.', 'x-widget': 'conditions', default: { all: [{ property: 'payload', op: 'gt', value: 30, valueType: 'num' }] } },
    for: n('The condition must hold this long.', { 'x-widget': 'duration', default: 0, minimum: 0 }), clear: { type: 'object', description: 'When it clears again.', 'x-widget': 'conditions', default: {} },
    cooldown: n('Fires at most once in this time.', { 'x-widget': 'duration', default: 0, minimum: 0 }), expression: s('A rhai expression instead of the table.', { 'x-widget': 'code', 'x-language': 'rhai' }),
  }, { keywords: ['alert', 'hysteresis', 'threshold'], summary: 'Fires once when a condition holds, and clears once when it no longer does.' }),
  type('actuator-out', 'actuator', 'actions', 'out', 'effect', 'actuator', 1, ['confirmed', 'failed'], {
    broker: s('Broker.', { 'x-widget': 'config-node', 'x-config-type': 'mqtt-broker' }), topic: s('Topic of the command.', { 'x-widget': 'topic', minLength: 1 }), confirmTopic: s('Topic on which the device confirms.', { 'x-widget': 'topic' }),
    timeout: n('Waits this long for the confirmation.', { 'x-widget': 'duration', default: 10, minimum: 0.1 }), ttl: n('A command older than this is not sent.', { 'x-widget': 'duration', default: 60 }), retries: n('Sends again this often.', { type: 'integer', minimum: 0, maximum: 10, default: 2 }),
  }, { required: ['broker', 'topic'], keywords: ['command', 'valve'], summary: 'Sends a command to a device and waits until the device confirms it.' }),
  type('notifier', 'notifier', 'actions', 'out', 'effect', 'notify', 1, ['sent', 'failed'], {
    channel: choice('How the message reaches you.', [['ntfy', 'Push by ntfy, free and open'], ['pushbullet', 'Push by Pushbullet'], ['webhook', 'HTTP POST to your own server']]),
    title: s('Title, as a template.', { default: '{{topic}}' }), message: s('Message, as a template.', { 'x-widget': 'code', 'x-language': 'mustache', default: '{{payload}}' }), baseUrl: s('Address of the service.', { 'x-show': { channel: ['ntfy', 'webhook'] }, examples: ['https://ntfy.sh'] }), token: s('Access token of the service.', { 'x-widget': 'secret' }),
  }, { keywords: ['push', 'alert', 'phone'], summary: 'Sends a notification, and keeps it until it is delivered.' }),
  type('simulator', 'simulator', 'common', 'in', 'source', 'simulator', 0, ['reading'], {
    things: { type: 'array', description: 'Simulated things.', 'x-widget': 'things', default: [], items: { type: 'object', properties: { id: { type: 'string', description: 'Id.', default: 'demo' }, kind: { enum: ['temperature', 'humidity', 'soil', 'door', 'valve'], description: 'What it measures.', default: 'temperature' }, every: { type: 'number', description: 'Reports this often.', 'x-widget': 'duration', default: 1 } } } },
    seed: n('Same seed, same values.', { type: 'integer', default: 1 }), convention: choice('Topic layout.', [['tidewire', 'greenhouse/north/temperature'], ['homie', 'Homie 4'], ['zigbee2mqtt', 'zigbee2mqtt/<name>']]),
  }, { keywords: ['demo'], summary: 'Plays things that report values, as real ones would.' }),
];
