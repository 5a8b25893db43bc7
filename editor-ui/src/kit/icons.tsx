/** The editor's own icons: 16 × 16 strokes, one path each, in the colour of the text around them. */

const PATHS: Record<string, string> = {
  // interface
  menu: 'M2.5 4h11M2.5 8h11M2.5 12h11',
  search: 'M7 12a5 5 0 1 0 0-10 5 5 0 0 0 0 10zM10.8 10.8 14 14',
  plus: 'M8 3v10M3 8h10',
  minus: 'M3 8h10',
  close: 'M4 4l8 8M12 4l-8 8',
  check: 'M3 8.5 6.5 12 13 4.5',
  chevron: 'M4 6l4 4 4-4',
  right: 'M6 4l4 4-4 4',
  undo: 'M3 6h7a3.5 3.5 0 0 1 0 7H6M3 6l3-3M3 6l3 3',
  redo: 'M13 6H6a3.5 3.5 0 0 0 0 7h4M13 6l-3-3M13 6l-3 3',
  fit: 'M2.5 6V2.5H6M10 2.5h3.5V6M13.5 10v3.5H10M6 13.5H2.5V10',
  tidy: 'M2 3h4v3H2zM2 10h4v3H2zM10 6.5h4v3h-4zM6 4.5h2v7H6M8 8h2',
  import: 'M8 2v8M5 7l3 3 3-3M2.5 10.5v3h11v-3',
  export: 'M8 10V2M5 5l3-3 3 3M2.5 10.5v3h11v-3',
  deploy: 'M2.5 8.5c2.2 0 2.2-4 4.4-4s2.2 4 4.4 4M2.5 12.5h11M13.5 8.5l-2 .1',
  sun: 'M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM8 1.5V3M8 13v1.5M1.5 8H3M13 8h1.5M3.4 3.4l1 1M11.6 11.6l1 1M12.6 3.4l-1 1M4.4 11.6l-1 1',
  moon: 'M13 9.5A5.5 5.5 0 1 1 6.5 3a4.5 4.5 0 0 0 6.5 6.5z',
  auto: 'M8 2.5a5.5 5.5 0 1 0 0 11zM8 2.5a5.5 5.5 0 0 1 0 11M9.8 5v6M11.5 6v4',
  user: 'M8 8a2.8 2.8 0 1 0 0-5.6A2.8 2.8 0 0 0 8 8zM2.8 14c.4-3 2.4-4.5 5.2-4.5s4.800 1.500 5.200 4.500',
  trash: 'M3 4.500h10M6 4.500V2.500h4v2M4.500 4.500l.600 9h5.800l.600-9M6.800 7v4M9.200 7v4',
  copy: 'M5.500 5.500h8v8h-8zM10.500 5.500v-3h-8v8h3',
  pause: 'M5.500 3.500v9M10.500 3.500v9',
  play: 'M5 3.200v9.600l7.500-4.800z',
  clear: 'M8 13.500a5.500 5.500 0 1 0 0-11 5.500 5.500 0 0 0 0 11zM4.200 4.200l7.600 7.600',
  filter: 'M2.500 3.500h11L9.500 8.500v4l-3 1v-5z',
  warn: 'M8 2.500 14.500 13.500h-13zM8 6.500v3.500M8 11.600v.4',
  info: 'M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM8 7.500v3.500M8 5v.4',
  eye: 'M1.500 8C3.500 4.500 5.600 3.500 8 3.500s4.500 1 6.500 4.500c-2 3.500-4.100 4.500-6.500 4.500S3.500 11.500 1.500 8zM8 10a2 2 0 1 0 0-4 2 2 0 0 0 0 4z',
  off: 'M8 2v5M4.800 4a5.200 5.200 0 1 0 6.400 0',
  more: 'M3.500 8h.1M8 8h.1M12.500 8h.1',
  grip: 'M6 4h.1M10 4h.1M6 8h.1M10 8h.1M6 12h.1M10 12h.1',
  panelLeft: 'M2 3h12v10H2zM6 3v10',
  panelRight: 'M2 3h12v10H2zM10 3v10',
  panelBottom: 'M2 3h12v10H2zM2 9h12',
  keyboard: 'M1.500 4h13v8h-13zM4 6.500h.1M6.700 6.500h.1M9.300 6.500h.1M12 6.500h.1M5 9.500h6',
  lock: 'M3.500 7.500h9v6h-9zM5.500 7.500V5a2.500 2.500 0 0 1 5 0v2.500',
  link: 'M6.500 9.500l3-3M7 4.500l1.500-1.500a2.800 2.800 0 0 1 4 4L11 8.500M5 7.500 3.500 9a2.800 2.800 0 0 0 4 4L9 11.500',
  wire: 'M1.800 11.500h1.400c4 0 5-7 9.400-7h1.600M3 11.500a1.200 1.200 0 1 1-2.400 0 1.200 1.200 0 0 1 2.400 0zM15.400 4.500a1.200 1.200 0 1 1-2.400 0 1.200 1.200 0 0 1 2.400 0z',
  history: 'M2.500 8a5.500 5.500 0 1 0 1.600-3.900L2.500 5.700M2.500 2.500v3.200h3.200M8 5v3.200l2.200 1.500',
  again: 'M13.500 8a5.500 5.500 0 1 1-1.600-3.900l1.600 1.600M13.500 2.500v3.200h-3.200',
  letter: 'M2 3.500h12v9H2zM2 4l6 5 6-5',
  // node types
  inject: 'M2.500 8h7M7 5l3 3-3 3M13 3v10',
  debug:
    'M8 13a3.500 3.500 0 0 0 3.500-3.500V7.500a3.500 3.500 0 0 0-7 0v2A3.500 3.500 0 0 0 8 13zM8 7v6M4.500 8H2M14 8h-2.500M4.700 11 2.500 13M13.500 13l-2.200-2M5.200 5 3.500 3M12.500 3l-1.700 2',
  comment: 'M2.500 3h11v8H8l-3 2.500V11H2.500z',
  mqtt: 'M2.500 13.500V12M2.500 8.500a5 5 0 0 1 5 5M2.500 5a8.500 8.500 0 0 1 8.500 8.500M2.500 2.500h.1A11 11 0 0 1 13.500 13.500',
  broker: 'M2.500 3h11v4h-11zM2.500 9h11v4h-11zM5 5h.1M5 11h.1',
  append: 'M2.500 4c0-2 11-2 11 0s-11 2-11 0zM2.500 4v8c0 2 11 2 11 0V4M8 7.500v4M6 9.500h4',
  store: 'M2.500 4c0-2 11-2 11 0s-11 2-11 0zM2.500 4v8c0 2 11 2 11 0V4M2.500 8c0 2 11 2 11 0',
  projector: 'M2.500 13.500h11M4 11V8M7 11V4M10 11V6M13 11V2.500',
  query: 'M2.500 3h8v3h-8zM2.500 8h5M2.500 11.500h4M11 12.500a2.200 2.200 0 1 0 0-4.400 2.200 2.200 0 0 0 0 4.400zM12.600 12l1.600 1.800',
  rule: 'M8 2l6 6-6 6-6-6zM8 5.500V8.500M8 10.500v.2',
  actuator: 'M8 2v4M4.500 4.200a5.200 5.200 0 1 0 7 0M8 9.500h.1',
  notify: 'M4 11V7a4 4 0 0 1 8 0v4l1.500 1.500h-11zM6.800 14h2.400',
  simulator: 'M2 9c1.500 0 1.500-4 3-4s1.500 7 3 7 1.500-5 3-5 1.500 2 3 2',
  change: 'M2.500 5h9l-2.500-2.500M13.500 11h-9l2.500 2.500',
  switch: 'M2.500 8H6l4-4.500h3.500M6 8l4 4.500h3.500M12 2l1.500 1.500L12 5M12 11l1.500 1.500L12 14',
  function: 'M9.500 3C7 2.500 7.300 5 7 7.500S6.500 13.500 4 13M4.500 7h5M9.500 10l3.500 3.500M13 10l-3.500 3.500',
  template:
    'M5.500 2.500c-2 0-1.500 2-1.500 3.500S2.500 8 2.500 8 4 8 4 10s-.5 3.500 1.500 3.500M10.500 2.500c2 0 1.500 2 1.500 3.500s1.500 2 1.500 2S12 8 12 10s.5 3.500-1.500 3.500',
  json: 'M5 3H3v10h2M11 3h2v10h-2M6 6.500h4M6 9.500h2.500',
  delay: 'M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM8 4.500V8l2.500 2',
  filterNode: 'M2.500 4h11M4.500 8h7M6.500 12h3',
  http: 'M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM2 8h12M8 2c4 4 4 8 0 12M8 2c-4 4-4 8 0 12',
  subflow: 'M2 3h5v4H2zM9 9h5v4H9zM4.500 7v4H9',
  junction: 'M8 10a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM2 8h4M10 8h4',
  file: 'M4 2h5l3 3v9H4zM9 2v3h3',
  thing: 'M8 2l5.500 3v6L8 14l-5.500-3V5zM2.500 5 8 8l5.500-3M8 8v6',
  join: 'M2.500 3.500H6l4 4.500h3.500M2.500 12.500H6L10 8',
  split: 'M2.500 8H6l4-4.500h3.500M6 8l4 4.500h3.500',
  script: 'M5.500 4.500 2 8l3.500 3.500M10.500 4.500 14 8l-3.500 3.500M9 3 7 13',
  linkIn: 'M6 8h8M11 5l3 3-3 3M6 3.500H3.500a1.500 1.500 0 0 0-1.500 1.500v6a1.500 1.500 0 0 0 1.500 1.500H6',
  linkOut: 'M2 8h8M7 5l3 3-3 3M10 3.500h2.500a1.500 1.500 0 0 1 1.500 1.500v6a1.500 1.500 0 0 1-1.500 1.500H10',
  linkCall: 'M2 5.500h10M9.500 3l2.500 2.500L9.500 8M14 10.500H4M6.500 8 4 10.500 6.500 13',
  trigger: 'M1.500 11.500H4v-7h4.500v7H11v-7h3.500',
  globals:
    'M5.500 3c-2 0-1.500 2-1.500 3.200S2.500 8 2.500 8 4 8 4 9.800 3.500 13 5.500 13M10.500 3c2 0 1.500 2 1.500 3.200S13.500 8 13.500 8 12 8 12 9.800s.5 3.200-1.500 3.200M6.800 8h.1M9.200 8h.1',
  unknown: 'M5.500 6a2.500 2.500 0 1 1 3.600 2.200c-.800.400-1.100.900-1.100 1.800M8 12.500v.2',
  flow: 'M2 4.500h4v3H2zM10 8.500h4v3h-4zM6 6h2v4h2',
};

/** Icons for types that name none of ours. */
const BY_TYPE: Record<string, string> = {
  'mqtt in': 'mqtt',
  'mqtt out': 'mqtt',
  'mqtt-broker': 'broker',
  'event-store-append': 'append',
  'event-store-in': 'store',
  projector: 'projector',
  'projection-query': 'query',
  rule: 'rule',
  'actuator-out': 'actuator',
  notifier: 'notify',
  rbe: 'filterNode',
  'http in': 'http',
  'http request': 'http',
  'http response': 'http',
  'file in': 'file',
  exec: 'script',
  catch: 'warn',
  status: 'info',
  complete: 'check',
  tab: 'flow',
  group: 'panelLeft',
};

/** Types that share a name for their icon and are told apart here. */
const OWN: Record<string, string> = {
  'link in': 'linkIn',
  'link out': 'linkOut',
  'link call': 'linkCall',
  'global-config': 'globals',
};

/** Other names that node types use for our icons. */
const ALIASES: Record<string, string> = {
  bell: 'notify',
  power: 'actuator',
  'event-append': 'append',
  'event-in': 'store',
  'projection-query': 'query',
  'mqtt-in': 'mqtt',
  'mqtt-out': 'mqtt',
  'mqtt-broker': 'broker',
  filter: 'filterNode',
  chart: 'projector',
  wave: 'simulator',
  flask: 'simulator',
  sensor: 'thing',
  command: 'actuator',
  clock: 'delay',
  timer: 'delay',
  cog: 'function',
  'link-in': 'linkIn',
  'link-out': 'linkOut',
  'link-call': 'linkCall',
  envelope: 'letter',
  alert: 'warn',
  batch: 'join',
  sort: 'filterNode',
  'white-globe': 'http',
  bridge: 'mqtt',
};

export function iconFor(type: string, icon?: string): string {
  if (OWN[type]) return OWN[type];
  if (icon && ALIASES[icon]) return ALIASES[icon];
  if (icon && PATHS[icon]) return icon;
  if (BY_TYPE[type]) return BY_TYPE[type];
  if (PATHS[type]) return type;
  return type.startsWith('subflow') ? 'subflow' : 'unknown';
}

const sheet = new Map<string, { icon: string; role: string }>();

/**
 * An icon in the colour of a role, as a picture for the background of a chip. A card with an svg element of its own
 * costs the browser several paint layers; with hundreds of cards in sight that is most of the work of a frame.
 */
export function roleIcon(icon: string, role: string): string {
  const name = `--icon-${role}-${icon}`;
  if (!sheet.has(name)) {
    sheet.set(name, { icon, role });
    define(name, icon, role);
  }
  return `var(${name})`;
}

function define(name: string, icon: string, role: string): void {
  const root = document.documentElement;
  const colour = getComputedStyle(root).getPropertyValue(`--role-${role}`).trim();
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16" fill="none" stroke="${colour}" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round"><path d="${PATHS[icon] ?? PATHS.unknown}"/></svg>`;
  root.style.setProperty(name, `url("data:image/svg+xml,${encodeURIComponent(svg)}")`);
}

/** After a change of theme the roles have other colours. */
export function recolourIcons(): void {
  for (const [name, { icon, role }] of sheet) define(name, icon, role);
}

export function Icon({ name, size = 16 }: { name: string; size?: number }) {
  return (
    <svg
      className="icon"
      width={size}
      height={size}
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      strokeWidth={1.5}
      strokeLinecap="round"
      strokeLinejoin="round"
      overflow="visible"
      aria-hidden="true"
    >
      <path d={PATHS[name] ?? PATHS.unknown} />
    </svg>
  );
}

export function Mark({ size = 22 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="7" fill="#10323a" />
      <path
        d="M5 20c3.700 0 3.700-8 7.300-8s3.700 8 7.400 8 3.600-8 7.300-8"
        fill="none"
        stroke="#2dd4bf"
        strokeWidth="3"
        strokeLinecap="round"
      />
      <circle cx="27" cy="12" r="2.600" fill="#fff" />
    </svg>
  );
}
