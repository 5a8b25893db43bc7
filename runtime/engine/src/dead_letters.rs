//! Messages that failed and that nobody took care of: events from which they can be sent again.
//!
//! Reporting never waits: letters are queued and appended by a task of their own. A node that fails all the time fills
//! neither the queue nor the log: what is above its rate is counted, and the count goes with its next letter.
//!
//! A letter about personal data lies in a stream of its own, which belongs to the one that the data came from: it is
//! erased with it.

mod whose;

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use compact_str::format_compact;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use tidewire_model::append::AppendRequest;
use tidewire_model::event::{Event, EventId, NewEvent, StreamName};
use tidewire_model::{Message, NodeId};
use tidewire_node_api::handles::Log;
use tidewire_node_api::{NodeError, NodeFacts};
use tokio::sync::{mpsc, oneshot};

use crate::clock::Clock;
use whose::Whose;

/// Stream of dead letters.
pub const STREAM: &str = "dead-letters";

/// Before the name of a stream with personal data: the stream of dead letters about events of that one.
pub const LETTERS_OF: &str = "dead-letters-";

/// Type of a dead letter's event.
pub const FAILED: &str = "tidewire.message.failed";

/// Type of the event that says that a dead letter was sent again.
pub const RETRIED: &str = "tidewire.message.retried";

/// Letters a second that one node may write.
const RATE: u32 = 10;

/// Batches of letters that wait to be appended: with [`RATE`], a second of a hundred nodes that all fail.
const QUEUED: usize = 1_024;

/// Letters in one append.
const APPENDED: usize = 64;

/// Longest JSON text of a message that is shown whole, in bytes.
const SHOWN: usize = 4 * 1024;

/// Largest message that is kept so that it can be sent again, in bytes.
const KEPT: usize = 512 * 1024;

/// Nodes whose rate is remembered before quiet ones are forgotten.
const NODES: usize = 4_096;

/// What is said in place of an error whose message must not be kept.
const NOT_KEPT: &str = "what the message came from has been erased, so neither it nor its error is kept";

/// Milliseconds before letters are appended again that the log did not take.
const AGAIN_MS: i64 = 1_000;

/// Which node a message failed at, as it was then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LetterNode {
    pub id: NodeId,
    #[serde(rename = "type")]
    pub type_name: String,
    pub name: String,
    pub flow: NodeId,
}

/// Why a message is a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// Its node could not deal with it, and no catch node took the error.
    Failed,
    /// Its node was removed before it got to it.
    Removed,
}

/// A dead letter: data of an event of type [`FAILED`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeadLetter {
    pub node: LetterNode,
    pub reason: Reason,
    /// What went wrong, for a person.
    pub error: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The message; of one that is too large only the beginning of its JSON text.
    pub message: Json,
    /// Length of the JSON text that was cut, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<usize>,
    /// The message in full, as base64, unless it is too large to be kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<String>,
    pub hops: u32,
    /// Number of the flow revision in force.
    pub revision: u64,
    /// Further messages that failed at the node since its last letter and are not kept.
    #[serde(default)]
    pub suppressed: u64,
}

/// Why a dead letter cannot be sent again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LetterError {
    #[error("the message was not kept: it was too large, or what it came from had been erased")]
    NotKept,
    #[error("the message that was kept is damaged: {0}")]
    Damaged(String),
}

impl DeadLetter {
    /// The dead letter that an event holds, if it is one.
    pub fn of(event: &Event) -> Option<DeadLetter> {
        let stream = event.stream.as_str();
        if event.event_type != FAILED || (stream != STREAM && !stream.starts_with(LETTERS_OF)) {
            return None;
        }
        serde_json::from_slice(&event.data).ok()
    }

    /// The message as it was.
    ///
    /// # Errors
    /// It was not kept, or cannot be read.
    pub fn message(&self) -> Result<Message, LetterError> {
        let text = self.bytes.as_ref().ok_or(LetterError::NotKept)?;
        let damaged = |error: &dyn std::fmt::Display| LetterError::Damaged(error.to_string());
        let bytes = BASE64.decode(text).map_err(|error| damaged(&error))?;
        Message::from_bytes(&bytes).map_err(|error| damaged(&error))
    }

    /// The event that says that a letter was sent again.
    pub fn retried(event: &Event, actor: &str) -> Option<AppendRequest> {
        let data = serde_json::json!({"letter": event.id.to_compact(), "node": event.node_id});
        let mut retried = NewEvent::json(RETRIED, &data).with_id(retried_id(&event.id)).caused_by(event);
        retried.source = "/api/dead-letters".into();
        retried.actor = Some(actor.into());
        retried.node_id.clone_from(&event.node_id);
        Some(AppendRequest::one(StreamName::new(STREAM).ok()?, retried))
    }
}

/// Id of the event that says that the letter with this id was sent again: so it can be looked up, and stands there once.
pub fn retried_id(letter: &EventId) -> EventId {
    EventId::derived(letter, RETRIED, 0, 0)
}

/// A letter on its way to the log.
struct Letter {
    facts: NodeFacts,
    reason: Reason,
    error: String,
    code: Option<&'static str>,
    message: Message,
    revision: u64,
    suppressed: u64,
    time: i64,
}

enum Job {
    Write(Vec<Letter>),
    /// Answered when everything before it is in the log, or was refused.
    Flush(oneshot::Sender<()>),
}

/// What one node may still write.
struct Allowance {
    /// Beginning of the second that is counted, in milliseconds since 1970.
    since: i64,
    written: u32,
    suppressed: u64,
}

/// Takes dead letters. Cheap to call; the task ends with the last handle.
pub struct DeadLetters {
    jobs: mpsc::Sender<Job>,
    clock: Arc<dyn Clock>,
    allowances: Mutex<HashMap<NodeId, Allowance>>,
}

impl DeadLetters {
    pub fn new(log: Arc<dyn Log>, clock: Arc<dyn Clock>, runtime: &tokio::runtime::Handle) -> Self {
        let (jobs, queue) = mpsc::channel(QUEUED);
        runtime.spawn(write_all(log, clock.clone(), queue));
        DeadLetters { jobs, clock, allowances: Mutex::default() }
    }

    /// Keeps the message of an error that nobody took. An error that is about no message is none of ours.
    pub fn report(&self, facts: &NodeFacts, error: &NodeError, revision: u64) {
        let Some(message) = error.message.clone() else { return };
        let time = self.clock.now_ms();
        let Some(suppressed) = self.allow(&facts.id, time) else { return };
        let (facts, text) = (facts.clone(), error.text.clone());
        let (reason, code) = (Reason::Failed, error.code);
        let letter = Letter { facts, reason, error: text, code, message, revision, suppressed, time };
        self.write(vec![letter]);
    }

    /// Keeps what was in the inbox of a node that is gone. All of it: there is no next letter to count the rest in.
    pub fn removed(&self, facts: &NodeFacts, messages: impl IntoIterator<Item = Message>, revision: u64) {
        let time = self.clock.now_ms();
        let letter = |message| Letter {
            facts: facts.clone(),
            reason: Reason::Removed,
            error: "the node was removed before it got to the message".to_owned(),
            code: None,
            message,
            revision,
            suppressed: 0,
            time,
        };
        let letters: Vec<Letter> = messages.into_iter().map(letter).collect();
        if !letters.is_empty() {
            self.write(letters);
        }
    }

    /// Resolves when everything reported so far is in the log, or was refused.
    pub async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        if self.jobs.send(Job::Flush(done)).await.is_ok() {
            // A task that is gone has nothing left to write.
            let _ = flushed.await;
        }
    }

    fn write(&self, letters: Vec<Letter>) {
        let Err(error) = self.jobs.try_send(Job::Write(letters)) else { return };
        let (mpsc::error::TrySendError::Full(Job::Write(letters))
        | mpsc::error::TrySendError::Closed(Job::Write(letters))) = error
        else {
            return;
        };
        // The log is far behind: what fails now is counted as if the node were above its rate.
        let mut allowances = self.allowances.lock();
        for letter in letters {
            tracing::warn!(node_id = %letter.facts.id, "too many dead letters wait for the log, one is not kept");
            if let Some(allowance) = allowances.get_mut(&letter.facts.id) {
                allowance.suppressed += letter.suppressed + 1;
            }
        }
    }

    /// Whether the node may write a letter now, and how many it could not since the last one.
    fn allow(&self, node: &NodeId, now: i64) -> Option<u64> {
        let mut allowances = self.allowances.lock();
        if allowances.len() >= NODES && !allowances.contains_key(node) {
            allowances.retain(|_, allowance| allowance.suppressed > 0 || now - allowance.since < 1_000);
        }
        let allowance = allowances.entry(node.clone()).or_insert(Allowance { since: now, written: 0, suppressed: 0 });
        if !(0..1_000).contains(&(now - allowance.since)) {
            (allowance.since, allowance.written) = (now, 0);
        }
        if allowance.written >= RATE {
            allowance.suppressed += 1;
            return None;
        }
        allowance.written += 1;
        Some(std::mem::take(&mut allowance.suppressed))
    }
}

async fn write_all(log: Arc<dyn Log>, clock: Arc<dyn Clock>, mut queue: mpsc::Receiver<Job>) {
    let mut jobs = Vec::new();
    while queue.recv_many(&mut jobs, APPENDED).await > 0 {
        let (mut letters, mut flushes) = (Vec::new(), Vec::new());
        for job in jobs.drain(..) {
            match job {
                Job::Write(more) => letters.extend(more),
                Job::Flush(done) => flushes.push(done),
            }
        }
        for letters in letters.chunks(APPENDED) {
            let mut requests = Vec::with_capacity(letters.len());
            for letter in letters {
                let whose = Whose::is(log.as_ref(), clock.as_ref(), &letter.message).await;
                requests.extend(request(letter, whose));
            }
            append(log.as_ref(), clock.as_ref(), requests).await;
        }
        for done in flushes {
            // Whoever asked may have gone.
            let _ = done.send(());
        }
    }
}

async fn append(log: &dyn Log, clock: &dyn Clock, mut requests: Vec<AppendRequest>) {
    loop {
        let results = log.append(requests.clone()).await;
        let mut rest = results.into_iter();
        let mut again = false;
        requests.retain(|_| match rest.next() {
            Some(Err(error)) if error.is_retryable() && error != tidewire_model::append::AppendError::Closed => {
                again = true;
                true
            }
            Some(Err(error)) => {
                tracing::error!(error = %error, "a dead letter could not be kept");
                false
            }
            _ => false,
        });
        if !again {
            return;
        }
        tracing::warn!(letters = requests.len(), "log does not take dead letters now, trying again");
        clock.until(clock.now_ms() + AGAIN_MS).await;
    }
}

fn request(letter: &Letter, whose: Whose) -> Option<AppendRequest> {
    let facts = &letter.facts;
    let stream = whose.stream();
    let keeps = stream.is_some();
    let stream = stream.or_else(|| StreamName::new(STREAM).ok())?;
    let (message, cut) = if keeps { shown(&letter.message) } else { (Json::Null, None) };
    let bytes = letter.message.to_bytes();
    let data = DeadLetter {
        node: LetterNode {
            id: facts.id.clone(),
            type_name: facts.type_name.to_string(),
            name: facts.name.to_string(),
            flow: facts.flow.clone(),
        },
        reason: letter.reason,
        error: if keeps { letter.error.clone() } else { NOT_KEPT.to_owned() },
        code: letter.code.map(str::to_owned),
        message,
        cut,
        bytes: (keeps && bytes.len() <= KEPT).then(|| BASE64.encode(&bytes)),
        hops: letter.message.hops(),
        revision: letter.revision,
        suppressed: letter.suppressed,
    };
    let data = serde_json::to_vec(&data).ok()?;
    let mut event = NewEvent::new(FAILED, tidewire_model::event::JSON, Bytes::from(data));
    event.source = format_compact!("/flow/{}/node/{}", facts.flow, facts.id);
    event.node_id = Some(facts.id.as_str().into());
    event.time = Some(letter.time);
    if let Some(provenance) = letter.message.provenance() {
        event.causation_id = provenance.causes.first().map(|id| EventId::from(id.as_str()));
        event.correlation_id = provenance.correlation.as_deref().map(EventId::from);
    }
    Some(AppendRequest::one(stream, event))
}

/// A message as JSON; of a large one the beginning of its text, and how long that is.
fn shown(message: &Message) -> (Json, Option<usize>) {
    let text = message.to_value().to_json();
    if text.len() <= SHOWN {
        return (serde_json::from_str(&text).unwrap_or(Json::Null), None);
    }
    let end = text.floor_char_boundary(SHOWN);
    (Json::String(format!("{}…", text.get(..end).unwrap_or_default())), Some(text.len()))
}

#[cfg(test)]
#[path = "dead_letters/tests.rs"]
mod tests;
