/** What the log keeps of deploys and of failed messages, and how people read it. */

import type { DeadLetter } from '../gen/DeadLetter';
import type { Deploy as DeployRecord } from '../gen/Deploy';
import type { Diff } from './diff';
import type { FlowNode } from './types';

export type { DeadLetter };

/** A deploy with its flows, when it was asked for by itself. */
export interface Deploy extends Omit<DeployRecord, 'flows'> {
  flows?: FlowNode[];
}

const ORDER: (keyof Diff)[] = ['added', 'changed', 'rewired', 'moved', 'removed'];

/** `2 added, 1 rewired`. */
export function changeWords(changes: Record<keyof Diff, number>): string {
  const words = ORDER.filter((kind) => changes[kind]).map((kind) => `${changes[kind]} ${kind}`);
  return words.join(', ') || 'nothing changed';
}

/** What a deploy did beside its changes, if anything. */
export function kindWords(deploy: Deploy, earlier: readonly Deploy[]): string {
  if (deploy.restored) {
    const from = earlier.find((one) => one.rev === deploy.restored && one.position < deploy.position);
    return from ? `brought back no. ${from.number}` : 'brought back an earlier one';
  }
  if (deploy.kind === 'full' || deploy.kind === 'reload') return deploy.number === 1 ? 'the first' : 'restarted everything';
  return deploy.kind === 'flows' ? 'restarted changed flows' : '';
}

/** `14:03:27` today, with the date before that. */
export function when(time: number, now: number): string {
  const at = new Date(time);
  const clock = at.toLocaleTimeString(undefined, { hour12: false });
  return at.toDateString() === new Date(now).toDateString() ? clock : `${at.toLocaleDateString()} ${clock}`;
}

export interface LetterGroup {
  node: DeadLetter['node'];
  letters: DeadLetter[];
  /** Those that can be sent again and were not yet. */
  open: number;
  /** Further ones that failed and were not kept one by one. */
  suppressed: number;
}

/** Failed messages by node; the node with the latest one first. */
export function byNode(letters: readonly DeadLetter[]): LetterGroup[] {
  const groups = new Map<string, LetterGroup>();
  for (const letter of [...letters].sort((a, b) => b.position - a.position)) {
    const group = groups.get(letter.node.id) ?? { node: letter.node, letters: [], open: 0, suppressed: 0 };
    group.letters.push(letter);
    group.suppressed += letter.suppressed;
    if (letter.kept && !letter.retried) group.open += 1;
    groups.set(letter.node.id, group);
  }
  return [...groups.values()];
}

/** How many failed after `seen` and wait to be looked at. */
export const freshLetters = (letters: readonly DeadLetter[], seen: number): number =>
  letters.filter((letter) => letter.position > seen && !letter.retried).length;
