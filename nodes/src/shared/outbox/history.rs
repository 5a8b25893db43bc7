//! Reading the outbox back: which entries have no outcome yet.

use std::collections::BTreeMap;
use std::sync::Arc;

use compact_str::{CompactString, format_compact};
use serde_json::Value as Json;
use tidewire_model::event::Event;
use tidewire_model::position::Position;
use tidewire_model::query::{Filter, Query};
use tidewire_node_api::handles::{HandleError, Log};

use super::entry::kind_of;

/// Events read at a time.
const PAGE: usize = 1_000;

/// Kinds of events after which nothing more happens to an entry. `delivered` is one when its data says `"final":true`.
const FINAL: [&str; 4] = ["failed", "confirmed", "expired", "sent"];

/// What was read back.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// Entries without an outcome, oldest first. Those of other nodes are among them.
    pub(crate) open: Vec<Life>,
    /// Wishes recorded of late, settled or not, as far back as was asked for.
    pub(crate) recent: Vec<Arc<Event>>,
    /// Everything up to here was looked at.
    pub(crate) head: Position,
}

/// The events of one entry so far.
#[derive(Debug, Clone)]
pub(crate) struct Life {
    /// The entry's id.
    pub(crate) id: CompactString,
    events: Vec<Arc<Event>>,
    category: &'static str,
}

impl Life {
    pub(crate) fn new(category: &'static str, id: &str, event: Arc<Event>) -> Self {
        Life { id: CompactString::new(id), events: vec![event], category }
    }

    /// The event that asked for it, and its data.
    pub(crate) fn requested(&self) -> Option<(&Arc<Event>, Json)> {
        let event = self.events.iter().find(|event| kind_of(event, self.category) == Some("requested"))?;
        Some((event, event.data_json().ok()?))
    }

    /// The last event of a kind, and its data.
    pub(crate) fn last(&self, kind: &str) -> Option<(&Arc<Event>, Json)> {
        let event = self.events.iter().rfind(|event| kind_of(event, self.category) == Some(kind))?;
        Some((event, event.data_json().unwrap_or(Json::Null)))
    }

    /// Whether the node `id` recorded any of it.
    pub(crate) fn concerns(&self, id: &str) -> bool {
        self.events.iter().any(|event| event.node_id.as_deref() == Some(id))
    }

    /// Whether any node recorded any of it.
    pub(crate) fn is_taken(&self) -> bool {
        self.events.iter().any(|event| event.node_id.is_some())
    }
}

/// Reads the entries of a category that have no outcome, from a checkpoint on, and the wishes since a time.
pub(super) async fn read_back(
    log: &dyn Log,
    category: &'static str,
    checkpoint: &str,
    since: Option<i64>,
) -> Result<History, HandleError> {
    let from = log.checkpoint(checkpoint).await?.unwrap_or(Position::ZERO).next();
    let types = |kind: &str| vec![format_compact!("tidewire.{category}.{kind}")];
    let filter = Filter { event_types: types("*"), ..Filter::category(category) };
    let mut lives: BTreeMap<CompactString, Life> = BTreeMap::new();
    let head = walk(log, filter, from, |event| fold(&mut lives, category, event)).await?;
    let mut open: Vec<Life> = lives.into_values().collect();
    open.sort_by_key(|life| life.events.first().map(|event| event.position));
    let mut recent = Vec::new();
    if since.is_some() {
        let filter = Filter { event_types: types("requested"), from_time: since, ..Filter::category(category) };
        walk(log, filter, Position::FIRST, |event| recent.push(event)).await?;
    }
    Ok(History { open, recent, head })
}

/// Reads all events that a filter takes, from a position on; gives the end of the log as it was then.
pub(crate) async fn walk(
    log: &dyn Log,
    filter: Filter,
    from: Position,
    mut each: impl FnMut(Arc<Event>),
) -> Result<Position, HandleError> {
    let mut query = Query::forwards(filter, from, PAGE);
    loop {
        let page = log.read(query.clone()).await?;
        page.events.into_iter().for_each(&mut each);
        match page.next {
            Some(next) => query.from = next,
            None => return Ok(page.head),
        }
    }
}

fn fold(lives: &mut BTreeMap<CompactString, Life>, category: &'static str, event: Arc<Event>) {
    let Some(id) = event.stream.as_str().strip_prefix(category).and_then(|rest| rest.strip_prefix('-')) else { return };
    let Some(kind) = kind_of(&event, category) else { return };
    if ends(category, kind, &event) {
        lives.remove(id);
    } else if let Some(life) = lives.get_mut(id) {
        life.events.push(event);
    } else if kind == "requested" {
        lives.insert(CompactString::new(id), Life::new(category, id, Arc::clone(&event)));
    }
}

/// Whether an event is the last one of a command.
pub(crate) fn ends_command(event: &Event) -> bool {
    kind_of(event, "command").is_some_and(|kind| ends("command", kind, event))
}

fn ends(category: &str, kind: &str, event: &Event) -> bool {
    match kind {
        // A command that was sent still waits for its evidence.
        "sent" => category != "command",
        "delivered" => event.data_json().is_ok_and(|data| data.get("final") == Some(&Json::Bool(true))),
        _ => FINAL.contains(&kind),
    }
}
