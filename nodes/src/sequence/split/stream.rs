//! What a split stream has left over, and what it sent that nobody has dealt with yet.
//!
//! There are two records of a message: the whole of it until its parts were dealt with, and what is left over until the
//! next message takes it up. A crash in between repeats parts.

use compact_str::{CompactString, format_compact};
use tidewire_model::value::Path;
use tidewire_model::{Message, Value};
use tidewire_node_api::{Ctx, Deferred, Outcome, State, Token};

use super::pieces::{Run, Separator};
use crate::shared::held::{Ack, Entry, Held, Holder, NEVER};

/// First letter of the label of a record, before the index of its first part.
const WHOLE: char = 'w';
const REST: char = 'r';

pub(super) struct Stream {
    ack: Ack,
    holder: Holder,
    rest: Option<Rest>,
    /// Index of the next part.
    next: usize,
    rank: i64,
    /// Messages of which something is left over.
    open: Vec<Deferred>,
}

struct Rest {
    run: Run,
    held: Held,
}

/// Pieces that are complete, to be sent as parts.
pub(super) struct Cut {
    pub(super) message: Message,
    pub(super) run: Run,
    /// Index of the first.
    pub(super) index: usize,
    pub(super) pieces: Vec<Value>,
    /// Ends when all of them were dealt with.
    pub(super) token: Option<Token>,
}

fn label(kind: char, index: usize) -> CompactString {
    format_compact!("{kind}{index}")
}

impl Stream {
    pub(super) fn new(ack: Ack) -> Self {
        Stream { ack, holder: Holder::new(ack), rest: None, next: 0, rank: 0, open: Vec::new() }
    }

    /// Reads what was kept, and gives what has to be sent again.
    pub(super) fn start(
        &mut self,
        state: Option<&State>,
        property: &Path,
        separator: &Separator,
        ctx: &Ctx<'_>,
    ) -> Vec<Cut> {
        let (mut again, mut left) = (Vec::new(), None);
        for entry in self.holder.start(state, ctx) {
            self.rank = self.rank.max(entry.rank);
            let Some(run) = entry.message.get_path(property).and_then(Run::of) else { continue };
            let index = entry.label.get(1..).and_then(|text| text.parse().ok()).unwrap_or(0);
            if entry.label.starts_with(REST) {
                (self.next, left) = (index, None);
                self.rest = Some(Rest { run, held: Held { entry, token: None } });
                continue;
            }
            let (pieces, rest) = run.cut_stream(separator);
            self.next = index + pieces.len();
            // What comes later has taken it up; unless this one is the last, cut off before its rest was kept.
            left = (!rest.is_empty()).then(|| (rest, entry.message.clone()));
            let token = Some(self.holder.release([entry.id], None));
            again.push(Cut { message: entry.message, run, index, pieces, token });
        }
        if let Some((run, message)) = left {
            let entry = self.entry(REST, self.next, with(&message, property, &run), ctx);
            self.rest = Some(Rest { run, held: self.holder.keep(entry, None, ctx) });
        }
        again
    }

    /// Takes a message up. Gives what can be sent.
    pub(super) fn take(
        &mut self,
        message: &Message,
        value: Run,
        property: &Path,
        separator: &Separator,
        ctx: &mut Ctx<'_>,
    ) -> Cut {
        let before = self.rest.take();
        let run = before.as_ref().and_then(|rest| rest.run.joined(&value)).unwrap_or(value);
        let (pieces, rest) = run.cut_stream(separator);
        let index = self.next;
        self.next += pieces.len();
        let mut deferred = ctx.defer();
        let message = with(message, property, &run);
        let left = (!rest.is_empty()).then(|| with(&message, property, &rest));
        let whole = (!pieces.is_empty()).then(|| message.clone());
        let before = before.map(|rest| rest.held);
        let (token, held) = self.secure(before, deferred.token.take(), (whole, index), left, ctx);
        if !pieces.is_empty() {
            self.close(ctx);
        }
        // Node-RED says at once that a text is done that was cut at separators.
        if rest.is_empty() || (rest.is_text() && !separator.is_length()) {
            ctx.finish(deferred, Outcome::Done);
        } else {
            self.open.push(deferred);
        }
        self.rest = held.map(|held| Rest { run: rest, held });
        Cut { message, run, index, pieces, token }
    }

    /// Sees to it that neither the whole message, if parts of it are sent, nor what is left over gets lost.
    fn secure(
        &mut self,
        before: Option<Held>,
        token: Option<Token>,
        (whole, index): (Option<Message>, usize),
        left: Option<Message>,
        ctx: &Ctx<'_>,
    ) -> (Option<Token>, Option<Held>) {
        let recorded = before.as_ref().filter(|held| held.token.is_none()).map(|held| held.entry.id);
        let earlier = before.and_then(|held| held.token);
        let rest = left.map(|message| self.entry(REST, self.next, message, ctx));
        if self.ack == Ack::Through && token.is_some() {
            let token = self.holder.release(recorded, earlier.into_iter().chain(token));
            let held = rest.map(|entry| Held { entry, token: Some(token.split()) });
            if whole.is_some() {
                return (Some(token), held);
            }
            token.finish(Outcome::Done);
            return (None, held);
        }
        let mut token = match earlier {
            None => token,
            Some(earlier) => Some(self.holder.release(None, token.into_iter().chain([earlier]))),
        };
        let whole = whole.map(|message| {
            let entry = self.entry(WHOLE, index, message, ctx);
            let last = if rest.is_none() { token.take() } else { None };
            self.holder.keep(entry, last, ctx)
        });
        let held = rest.map(|entry| self.holder.keep(entry, token.take(), ctx));
        if let Some(token) = token {
            token.finish(Outcome::Done);
        }
        if let Some(id) = recorded {
            self.holder.remove(id, ctx);
        }
        (whole.map(|mut held| self.holder.token(&mut held)), held)
    }

    fn entry(&mut self, kind: char, index: usize, message: Message, ctx: &Ctx<'_>) -> Entry {
        self.rank += 1;
        Entry { id: ctx.next_id(), rank: self.rank, due: NEVER, label: label(kind, index), message }
    }

    /// Ends what only waited for its rest to be sent.
    fn close(&mut self, ctx: &mut Ctx<'_>) {
        for deferred in self.open.drain(..) {
            ctx.finish(deferred, Outcome::Done);
        }
    }

    pub(super) fn stop(&mut self, ctx: &mut Ctx<'_>) -> Option<State> {
        if let Some(rest) = self.rest.take() {
            self.holder.put_away(rest.held, ctx);
        }
        self.close(ctx);
        self.holder.stop()
    }
}

fn with(message: &Message, property: &Path, run: &Run) -> Message {
    let mut message = message.clone();
    message.set_path(property, run.clone().value(), true);
    message
}
