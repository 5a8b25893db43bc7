/** What goes in and out of single nodes, message by message, while somebody looks. */

export interface Tapped {
  key: number;
  node: string;
  dir: 'in' | 'out' | 'status' | 'error' | 'log';
  port?: number;
  msg: unknown;
  time: number;
}

let nextKey = 1;

/** Opens a tap on a node; the answer closes it. */
export function tap(node: string, onMessage: (entry: Tapped) => void, onState: (open: boolean) => void): () => void {
  const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
  const socket = new WebSocket(`${scheme}://${location.host}/api/taps?nodes=${encodeURIComponent(node)}`);
  socket.onmessage = (event) => {
    const frame = JSON.parse(String(event.data)) as { ready?: boolean } & Omit<Tapped, 'key' | 'time'>;
    if (frame.ready) onState(true);
    else onMessage({ ...frame, key: nextKey++, time: Date.now() });
  };
  socket.onclose = () => onState(false);
  return () => {
    socket.onmessage = null;
    socket.onclose = null;
    socket.close();
  };
}
