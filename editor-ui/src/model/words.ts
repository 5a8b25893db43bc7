/** How people read Node-RED's short names of properties and choices, where a node type's schema does not say it itself. */

import type { Schema } from './types';

/** Property names, whatever the node. */
const WORDS: Record<string, string> = {
  props: 'Message',
  func: 'Code',
  checkall: 'Matching',
  qos: 'QoS',
  clientid: 'Client id',
  keepalive: 'Keep alive',
  cleansession: 'Clean session',
  crontab: 'Schedule',
  once: 'Once at the start',
  onceDelay: 'Delay at the start',
  complete: 'Output',
  tosidebar: 'In the debug panel',
  tostatus: 'As status',
  datatype: 'Payload becomes',
  ttl: 'Time to live',
  usetls: 'TLS',
  protocolVersion: 'MQTT version',
  autoConnect: 'Connect by itself',
  baseUrl: 'Address',
  url: 'Address',
  property: 'Property',
  ack: 'Source hears of it',
  wires: 'Wires',
  wirePolicies: 'When targets are behind',
  inbox: 'Queue limit',
  forget: 'Forgets its state',
  whenDown: 'While it cannot run',
  z: 'Flow',
  g: 'Group',
  d: 'Enabled',
  info: 'Description',
};

/** `clientId` → "Client id". */
export function humanise(key: string): string {
  const known = WORDS[key];
  if (known) return known;
  const words = key
    .replace(/([a-z\d])([A-Z])/g, '$1 $2')
    .replace(/[_-]+/g, ' ')
    .trim()
    .toLowerCase();
  return words ? words[0].toUpperCase() + words.slice(1) : '(none)';
}

export interface FieldWords {
  title?: string;
  /** Choices and how they read. */
  choices?: Record<string, string>;
  /** The property that holds the unit of this number: both stand in one line. */
  unit?: string;
  /** What the schema says differently for the form. */
  schema?: Schema;
}

const UNITS = {
  milliseconds: 'milliseconds',
  seconds: 'seconds',
  minutes: 'minutes',
  hours: 'hours',
  days: 'days',
  second: 'seconds',
  minute: 'minutes',
  hour: 'hours',
  day: 'days',
  ms: 'milliseconds',
  s: 'seconds',
  min: 'minutes',
  hr: 'hours',
};

const ACK = { accept: 'At once, when it is kept here', through: 'When it has left and was dealt with' };

/** Named values as rows. */
const VARIABLES: Schema = {
  description: 'Nodes of all flows can use them: as `${NAME}` in their settings, or as an environment variable.',
  'x-widget': 'rows',
  items: {
    type: 'object',
    properties: {
      name: { type: 'string', title: 'Name', default: '' },
      value: {
        title: 'Value',
        default: '',
        'x-widget': 'typed-input',
        'x-type-property': 'type',
        'x-types': ['str', 'num', 'bool', 'json', 'bin', 'env', 'jsonata'],
      },
      type: { type: 'string', default: 'str' },
    },
  },
};

/** Words for single properties, by the title of a node type's schema. */
const FORMS: Record<string, Record<string, FieldWords>> = {
  DelayConfig: {
    pauseType: {
      title: 'What it does',
      choices: {
        delay: 'Hold each message for a time',
        delayv: 'Hold each for msg.delay',
        random: 'Hold each for a random time',
        rate: 'Limit the rate of all messages',
        queue: 'Newest per topic, one at a time',
        timed: 'Newest per topic, all together',
      },
    },
    timeout: { title: 'For', unit: 'timeoutUnits' },
    timeoutUnits: { choices: UNITS },
    rate: { title: 'Messages' },
    nbRateUnits: { title: 'Per', unit: 'rateUnits' },
    rateUnits: { choices: UNITS },
    randomFirst: { title: 'From' },
    randomLast: { title: 'To', unit: 'randomUnits' },
    randomUnits: { choices: UNITS },
    drop: { title: 'Drop what comes too soon' },
    allowrate: { title: 'A message may set the rate' },
    ack: { choices: ACK },
  },
  TriggerConfig: {
    op1: { title: 'Send first' },
    op2: { title: 'Then send' },
    duration: { title: 'After', unit: 'units' },
    units: { choices: UNITS },
    extend: { title: 'Each message begins the wait anew' },
    overrideDelay: { title: 'A message may set the wait' },
    reset: { title: 'Reset when the payload is' },
    bytopic: { title: 'Waits', choices: { all: 'for all messages together', topic: 'for each topic by itself' } },
    topic: { title: 'Topics are told apart by' },
    ack: { choices: ACK },
  },
  SplitConfig: {
    splt: { title: 'Cut text at' },
    spltType: { title: 'How text is cut', choices: { str: 'At a text', bin: 'At bytes', len: 'Into pieces of a length' } },
    arraySplt: { title: 'Items of an array in each part' },
    stream: { title: 'Messages are one stream' },
    addname: { title: 'Name of an object’s property goes to' },
    property: { title: 'Split' },
    ack: { choices: ACK },
  },
  JoinConfig: {
    mode: { title: 'How', choices: { auto: 'Undo a split', custom: 'As chosen here', reduce: 'By a JSONata expression' } },
    build: {
      title: 'Into',
      choices: { object: 'an object', array: 'an array', string: 'a text', buffer: 'bytes', merged: 'one merged object' },
    },
    property: { title: 'Join' },
    key: { title: 'Names come from' },
    joiner: { title: 'In between' },
    joinerType: {
      title: 'What is in between is',
      choices: { str: 'text', bin: 'bytes' },
      schema: { 'x-show': { build: ['string', 'buffer'] } },
    },
    useparts: { title: 'Use msg.parts as it came' },
    count: { title: 'When there are' },
    timeout: { title: 'Or after' },
    accumulate: { title: 'Send with every further message' },
    ack: { choices: ACK },
  },
  SwitchConfig: { ack: { choices: ACK } },
  LinkCallConfig: {
    linkType: { title: 'Which link', choices: { static: 'The one chosen below', dynamic: 'The one msg.target names' } },
    links: { title: 'Link in node' },
  },
  LinkOutConfig: {
    mode: { title: 'Send messages', choices: { link: 'to link in nodes', return: 'back to the link call node' } },
    links: { title: 'Link in nodes' },
  },
  LinkInConfig: { links: { title: 'Link out nodes' } },
  CatchConfig: { scope: { title: 'Catch errors of' }, uncaught: { title: 'Only what no other catch node takes' } },
  StatusConfig: { scope: { title: 'Follow the status of' } },
  CompleteConfig: { scope: { title: 'Follow the work of' }, uncaught: { title: 'Only what no other complete node takes' } },
  GlobalConfigConfig: {
    env: { title: 'Variables of all flows', schema: VARIABLES },
    modules: { title: 'Modules of function nodes' },
  },
};

export const wordsOf = (form: string | undefined, key: string): FieldWords | undefined => FORMS[form ?? '']?.[key];
