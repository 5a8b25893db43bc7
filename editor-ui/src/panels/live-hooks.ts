/** React's view of the live store: calm, few times a second, only where a panel asks. */

import { useEffect, useRef, useSyncExternalStore, type RefObject } from 'react';
import { when } from '../model/records';
import { live } from '../net/live';

/** A time as people read it today. */
export const moment = (time: number): string => when(time, Date.now());

/** A value of the live store; the component is drawn again only when it differs. */
export function useLive<T extends string | number | boolean>(topic: Parameters<typeof live.on>[0], read: () => T): T {
  return useSyncExternalStore((listener) => live.on(topic, listener), read);
}

/** Writes a text into an element with each frame, around React. */
export function useLiveText(read: () => string): RefObject<HTMLSpanElement | null> {
  const element = useRef<HTMLSpanElement>(null);
  const reader = useRef(read);
  useEffect(() => {
    reader.current = read;
  });
  useEffect(() => {
    const write = (): void => {
      const text = reader.current();
      if (element.current && element.current.textContent !== text) element.current.textContent = text;
    };
    write();
    return live.on('frame', write);
  }, []);
  return element;
}
