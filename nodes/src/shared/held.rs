//! Messages that a node holds back: kept through restarts, let go one by one.
//!
//! Invariant: a record stays until whatever the message was sent to is done with it, so that a crash on the way repeats
//! the message and never loses it. Who holds what, and for how long, is the node's business.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use compact_str::{CompactString, format_compact};
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use tidewire_model::Message;
use tidewire_node_api::{AckSink, Ctx, Keep, Outcome, State, Token};

/// When the source of a message that is held learns that it is in good hands.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Ack {
    /// As soon as it is kept here, through restarts.
    #[default]
    Accept,
    /// When it has left and was dealt with. Until then its source may stop sending.
    Through,
}

/// What is known of a held message.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Unique; the name of its record.
    pub(crate) id: u64,
    /// Place in the order of the messages.
    pub(crate) rank: i64,
    /// When something is due, in milliseconds since 1970; [`NEVER`] if nothing is.
    pub(crate) due: i64,
    /// What the node tells its messages apart by.
    pub(crate) label: CompactString,
    pub(crate) message: Message,
}

/// Nothing is due.
pub(crate) const NEVER: i64 = i64::MAX;

/// A message that is held. Invariant: it has a record, or else a token that its source waits for.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) entry: Entry,
    pub(crate) token: Option<Token>,
}

/// Form of a record.
const FORM: u8 = 1;

/// Form of [`State`]: the ids of records that were let go and not yet dealt with.
const STATE: u32 = 1;

/// See the module.
pub(crate) struct Holder {
    ack: Ack,
    keeper: Option<Arc<dyn Keep>>,
    under_way: Arc<Mutex<HashSet<u64>>>,
}

impl Entry {
    fn encode(&self) -> Bytes {
        let message = self.message.to_bytes();
        let mut out = BytesMut::with_capacity(24 + self.label.len() + message.len());
        out.put_u8(FORM);
        out.put_i64_le(self.rank);
        out.put_i64_le(self.due);
        out.put_u32_le(u32::try_from(self.label.len()).unwrap_or(u32::MAX));
        out.put_slice(self.label.as_bytes());
        out.put_slice(&message);
        out.freeze()
    }

    fn decode(id: u64, record: &Bytes) -> Option<Entry> {
        let mut rest = record.clone();
        if rest.try_get_u8().ok()? != FORM {
            return None;
        }
        let (rank, due) = (rest.try_get_i64_le().ok()?, rest.try_get_i64_le().ok()?);
        let length = usize::try_from(rest.try_get_u32_le().ok()?).ok()?;
        let label = (rest.len() >= length).then(|| rest.split_to(length))?;
        let label = CompactString::from_utf8(label).ok()?;
        Some(Entry { id, rank, due, label, message: Message::from_bytes(&rest).ok()? })
    }
}

fn key(id: u64) -> CompactString {
    format_compact!("{id:016x}")
}

impl Holder {
    pub(crate) fn new(ack: Ack) -> Self {
        Holder { ack, keeper: None, under_way: Arc::default() }
    }

    /// What was held when the node last ended, in order; but for what has left and is on its way still.
    pub(crate) fn start(&mut self, state: Option<&State>, ctx: &Ctx<'_>) -> Vec<Entry> {
        self.keeper = Some(ctx.keeper());
        let mut left = state.filter(|state| state.version == STATE).map(|state| state.data.clone()).unwrap_or_default();
        let mut left: HashSet<u64> = std::iter::from_fn(|| left.try_get_u64_le().ok()).collect();
        let mut entries = Vec::new();
        for (key, record) in ctx.kept() {
            let Some(id) = (key.len() == 16).then(|| u64::from_str_radix(&key, 16).ok()).flatten() else { continue };
            if left.remove(&id) {
                self.under_way.lock().insert(id);
                continue;
            }
            match Entry::decode(id, &record) {
                Some(entry) => entries.push(entry),
                None => ctx.warn(format!("a message that was held cannot be read any more (record {key})")),
            }
        }
        entries.sort_by_key(|entry| entry.rank);
        entries
    }

    /// Holds a message: kept, and then its source is told; or its token is held too.
    pub(crate) fn hold(&self, entry: Entry, token: Option<Token>, ctx: &Ctx<'_>) -> Held {
        if self.ack == Ack::Through && token.is_some() {
            return Held { entry, token };
        }
        self.keep(entry, token, ctx)
    }

    /// Keeps a message whatever its source wants to hear of.
    pub(crate) fn keep(&self, entry: Entry, token: Option<Token>, ctx: &Ctx<'_>) -> Held {
        ctx.keep(&key(entry.id), Some(entry.encode()), token);
        Held { entry, token: None }
    }

    /// A token for what becomes of a held message: the message is held no more once that was dealt with.
    pub(crate) fn token(&self, held: &mut Held) -> Token {
        held.token.take().unwrap_or_else(|| self.release([held.entry.id], None))
    }

    /// Sends a held message out of a port; now the work on it ends.
    pub(crate) fn send(&self, mut held: Held, port: usize, ctx: &mut Ctx<'_>) {
        let (token, entry) = (self.token(&mut held), held.entry);
        ctx.begin(Some(token), &entry.message);
        ctx.emit(port, entry.message);
        ctx.end(Ok(()));
    }

    /// A token for what is made of records and tokens that are held: they end with it.
    pub(crate) fn release(&self, ids: impl IntoIterator<Item = u64>, tokens: impl IntoIterator<Item = Token>) -> Token {
        let ids: SmallVec<[u64; 1]> = ids.into_iter().collect();
        self.under_way.lock().extend(ids.iter().copied());
        let tokens = Mutex::new(tokens.into_iter().collect());
        let (keeper, under_way) = (self.keeper.clone(), self.under_way.clone());
        Token::new(Arc::new(Release { ids, tokens, keeper, under_way }), 0)
    }

    /// Ends a held message that is not sent.
    pub(crate) fn discard(&self, held: Held, ctx: &mut Ctx<'_>) {
        let Held { entry, token } = held;
        if token.is_none() {
            self.remove(entry.id, ctx);
        }
        ctx.begin(token, &entry.message);
        ctx.drop_message();
        ctx.end(Ok(()));
    }

    /// Lets go of a held message whose work has ended already.
    pub(crate) fn drop_quietly(&self, held: Held, outcome: Outcome, ctx: &Ctx<'_>) {
        match held.token {
            Some(token) => token.finish(outcome),
            None => self.remove(held.entry.id, ctx),
        }
    }

    /// Removes a record.
    pub(crate) fn remove(&self, id: u64, ctx: &Ctx<'_>) {
        ctx.keep(&key(id), None, None);
    }

    /// Keeps what has no record yet, as the node ends.
    pub(crate) fn put_away(&self, held: Held, ctx: &Ctx<'_>) {
        if held.token.is_some() {
            ctx.keep(&key(held.entry.id), Some(held.entry.encode()), held.token);
        }
    }

    /// What the successor needs besides the records.
    pub(crate) fn stop(&self) -> Option<State> {
        let under_way = self.under_way.lock();
        let data: Vec<u8> = under_way.iter().flat_map(|id| id.to_le_bytes()).collect();
        (!data.is_empty()).then(|| State { version: STATE, data: Bytes::from(data) })
    }
}

/// Records and tokens behind something that was sent on.
struct Release {
    ids: SmallVec<[u64; 1]>,
    tokens: Mutex<SmallVec<[Token; 1]>>,
    keeper: Option<Arc<dyn Keep>>,
    under_way: Arc<Mutex<HashSet<u64>>>,
}

impl AckSink for Release {
    fn complete(&self, _id: u64, outcome: Outcome) {
        for id in &self.ids {
            // What got lost on the way comes again when the node starts next.
            if let Some(keeper) = self.keeper.as_ref().filter(|_| outcome != Outcome::Lost) {
                keeper.keep(&key(*id), None, None);
            }
        }
        let mut under_way = self.under_way.lock();
        for id in &self.ids {
            under_way.remove(id);
        }
        drop(under_way);
        for token in self.tokens.lock().drain(..) {
            token.finish(outcome);
        }
    }
}
