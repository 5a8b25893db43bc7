/** Loading, deploying and checking: where the editor's state meets the runtime. */

import { canEdit, canOperate, get, pending, set, setTypes, toast, useEditor } from '../commands/store';
import { applyCommand, docFrom, docList, indexOf } from '../model/document';
import { diffCount, merge } from '../model/diff';
import type { FlowNode, Problem } from '../model/types';
import { ApiError, api, type DeployKind } from '../net/api';
import { letters } from '../net/letters';
import { live } from '../net/live';

export async function start(): Promise<void> {
  try {
    const session = await api.session();
    set({ session });
    if (location.pathname === '/setup' && !session.user && session.auth === 'on') return set({ page: 'setup' });
    if (session.auth === 'on' && !session.user) return set({ page: 'login' });
    await enter();
  } catch (error) {
    set({ page: 'failed', failure: words(error) });
  }
}

/** Opens the editor for a signed-in user. */
export async function enter(): Promise<void> {
  const [session, types, flows] = await Promise.all([api.session(), api.nodeTypes(), api.flows()]);
  setTypes(types);
  set({ session });
  show(flows);
  set({ page: 'editor' });
  live.start();
  if (canOperate()) letters.start();
  if (canEdit()) scheduleCheck();
}

function show({ flows, rev }: { flows: FlowNode[]; rev: string }): void {
  const doc = docFrom(flows);
  const wanted = /^#flow\/(.+)$/.exec(location.hash)?.[1];
  const index = indexOf(doc);
  const now = get().activeFlow;
  const activeFlow =
    [now, wanted].find((id) => id && doc.nodes.has(id)) ?? index.flows.find((flow) => flow.type === 'tab')?.id ?? index.flows[0]?.id ?? '';
  set({
    doc,
    deployed: doc,
    rev,
    past: [],
    future: [],
    secrets: {},
    activeFlow,
    selection: new Set(),
    wireSelection: new Set(),
    inspected: null,
    foreignRev: null,
  });
}

/** An error as a sentence. */
export function words(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Takes what runs now and drops the own draft. */
export async function reload(): Promise<void> {
  await follow();
  set({ dialog: null });
}

/** The same under a dialog that stays open. */
async function follow(): Promise<void> {
  try {
    show(await api.flows());
    scheduleCheck();
  } catch (error) {
    toast(words(error), 'error');
  }
}

const body = (rev: string): Parameters<typeof api.deploy>[0] => ({ flows: docList(get().doc), rev, credentials: get().secrets });

export async function deploy(kind: DeployKind = 'nodes', rev = get().rev): Promise<void> {
  const { deploying, doc, secrets } = get();
  if (deploying || !canEdit()) return;
  const count = diffCount(pending(get()));
  set({ deploying: true });
  try {
    const answer = await api.deploy(body(rev), kind);
    // Edits made while the server worked stay a draft: what was sent is what runs.
    const left = get().secrets === secrets ? {} : get().secrets;
    set({ deployed: doc, rev: answer.rev, secrets: left, dialog: null, foreignRev: null });
    if (answer.problems) set({ problems: answer.problems.map(problemOf) });
    const failed = new Set(answer.problems?.filter((one) => one.severity !== 'warning').map((one) => one.node)).size;
    if (failed)
      toast(`Deployed. ${failed} ${failed === 1 ? 'node has a problem and does' : 'nodes have problems and do'} not run.`, 'error');
    else toast(count ? `Deployed ${count} ${count === 1 ? 'change' : 'changes'}` : 'Deployed', 'ok');
  } catch (error) {
    if (error instanceof ApiError && error.status === 409) set({ dialog: { kind: 'conflict', rev: String(error.body.rev ?? '') } });
    else toast(words(error), 'error');
  } finally {
    set({ deploying: false });
  }
}

/** Makes the flows of an earlier deploy run again; what was edited and not deployed is dropped. */
export async function restore(position: number, rev: string): Promise<void> {
  set({ deploying: true });
  try {
    const answer = await api.restore(position, rev);
    show(await api.flows());
    if (answer.problems) set({ problems: answer.problems.map(problemOf) });
  } finally {
    set({ deploying: false });
  }
}

const problemOf = (problem: Problem): Problem => ({ ...problem, path: problem.path ?? '', severity: problem.severity ?? 'error' });

/** Sends the draft although somebody else deployed meanwhile. */
export async function overwrite(): Promise<void> {
  try {
    const { rev } = await api.flows();
    await deploy('nodes', rev);
  } catch (error) {
    toast(words(error), 'error');
  }
}

/** Puts the own edits on top of what runs now; nodes that both sides changed keep the own version. */
export async function mergeTheirs(): Promise<number> {
  const { deployed, doc } = get();
  const answer = await api.flows();
  const theirs = docFrom(answer.flows);
  const { changes, conflicts } = merge(deployed, doc, theirs);
  const command = { label: 'merge', changes, time: Date.now() };
  set({
    deployed: theirs,
    rev: answer.rev,
    doc: applyCommand(theirs, command),
    past: [command],
    future: [],
    dialog: null,
    foreignRev: null,
  });
  return conflicts.length;
}

let timer = 0;

/** Asks the runtime for its findings a moment after the last edit. */
function scheduleCheck(): void {
  window.clearTimeout(timer);
  timer = window.setTimeout(() => {
    const { doc, page } = get();
    if (page !== 'editor') return;
    api.check(docList(doc)).then(
      (problems) => {
        if (get().doc === doc) set({ problems: problems.map(problemOf) });
      },
      () => undefined,
    );
  }, 700);
}

useEditor.subscribe((now, old) => {
  if (now.doc !== old.doc && now.page === 'editor' && canEdit(now)) scheduleCheck();
});

window.addEventListener('beforeunload', (event) => {
  if (get().page === 'editor' && diffCount(pending(get()))) event.preventDefault();
});

live.on('rev', () => {
  const { rev, deploying, page } = get();
  if (page !== 'editor' || live.rev === rev || deploying) return;
  // Nothing of one's own is lost when there is no draft: follow at once.
  if (diffCount(pending(get())) === 0) void follow();
  else set({ foreignRev: live.rev });
});

live.on('online', () => set({ online: live.online }));

export async function act(node: FlowNode): Promise<void> {
  if (!canOperate()) return toast('Your role may look, but not press buttons.');
  try {
    if (node.type === 'debug') {
      const on = node.active === false;
      await api.debug(node.id, on);
      // The runtime switches at once, so the draft and what runs both carry the new state.
      const patch = (doc: ReturnType<typeof docFrom>): ReturnType<typeof docFrom> => {
        const here = doc.nodes.get(node.id);
        return here ? { ...doc, nodes: new Map(doc.nodes).set(node.id, { ...here, active: on }) } : doc;
      };
      const { doc, deployed } = get();
      const next = patch(doc);
      set({ doc: next, deployed: doc === deployed ? next : patch(deployed) });
    } else {
      await api.inject(node.id);
      toast(`Sent from ${node.name || node.type}`, 'ok');
    }
  } catch (error) {
    const draft = error instanceof ApiError && error.status === 404;
    toast(draft ? 'This node does not run yet: deploy first.' : words(error), 'error');
  }
}

export async function signOut(): Promise<void> {
  await api.logout().catch(() => undefined);
  live.stop();
  letters.stop();
  location.assign('/');
}
