//! The log as nodes see it. Adapts, decides nothing.

use std::sync::Arc;
use std::time::Duration;

use tidewire_log::consumers::{ConsumerError, Consumers, GroupConfig, Settle, Strategy};
use tidewire_log::{Commit, EventLog, LogError, StoreHealth, Subscription as Following};
use tidewire_model::append::{AppendError, AppendRequest, Appended, StateChange};
use tidewire_model::event::{Event, EventId};
use tidewire_model::position::Position;
use tidewire_model::query::{Filter, Page, Query, Start};
use tidewire_node_api::handles::{
    Answer, BoxFuture, Durable, FetchedEvents, HandleError, Join, Log, Member, Records, Subscription,
};

use tokio::task::JoinSet;

use crate::clock::{Clock as _, SystemClock};

/// Most events that a subscription hands over at a time: enough to make batches pay, little enough to hold in memory.
const DELIVERY_MAX: usize = 1_024;

/// How long a member of a group may hold an event before it shows that it still works on it, in milliseconds.
const LEASE_MS: u64 = 60_000;
/// How long a member waits for events before it looks up.
const FETCH_WAIT: Duration = Duration::from_secs(10);

/// Gives nodes an event log.
#[derive(Clone)]
pub struct LogHandle {
    log: Arc<dyn EventLog>,
    consumers: Arc<Consumers>,
}

impl LogHandle {
    pub fn new(log: Arc<dyn EventLog>) -> Self {
        let compile =
            Arc::new(|text: &str| tidewire_script::compile_condition(text).map_err(|error| error.to_string()));
        let clock = Arc::new(|| SystemClock.now_ms());
        let consumers = Arc::new(Consumers::new(Arc::clone(&log), compile, clock));
        LogHandle { log, consumers }
    }

    /// The groups of consumers of this log.
    pub fn consumers(&self) -> Arc<Consumers> {
        Arc::clone(&self.consumers)
    }
}

/// What a log error means to a node.
pub(crate) fn handle_error(error: &LogError) -> HandleError {
    HandleError { text: error.full_text(), retryable: !matches!(error, LogError::Closed | LogError::Name(_)) }
}

impl Log for LogHandle {
    fn append(&self, requests: Vec<AppendRequest>) -> BoxFuture<Vec<Result<Appended, AppendError>>> {
        let log = Arc::clone(&self.log);
        // Its place in the log is the one of its first turn. A turn that ends because others are due, not because the log
        // is full, would let later appends of the same task pass.
        Box::pin(tokio::task::unconstrained(async move { log.append_each(requests).await }))
    }

    fn read(&self, query: Query) -> BoxFuture<Result<Page, HandleError>> {
        let log = Arc::clone(&self.log);
        Box::pin(async move { log.read(query).await.map_err(|error| handle_error(&error)) })
    }

    fn event(&self, id: EventId) -> BoxFuture<Result<Option<Arc<Event>>, HandleError>> {
        let log = Arc::clone(&self.log);
        Box::pin(async move { log.event_by_id(id).await.map_err(|error| handle_error(&error)) })
    }

    fn subscribe(&self, filter: Filter, start: Start) -> Box<dyn Subscription> {
        // "Now" is the moment of the call, not that of the first wait.
        let opening = matches!(self.log.health().store, StoreHealth::Opening);
        let start = match start {
            Start::Now if !opening => Start::Position(self.log.head().next()),
            other => other,
        };
        Box::new(LogSubscription { log: Arc::clone(&self.log), filter, start, following: None })
    }

    fn save_checkpoint(&self, name: &str, position: Position) -> BoxFuture<Result<(), HandleError>> {
        let (log, name) = (Arc::clone(&self.log), name.into());
        Box::pin(async move {
            let saved = log.set_checkpoint(name, position).await;
            saved.map_err(|error| HandleError { text: error.to_string(), retryable: error.is_retryable() })
        })
    }

    fn checkpoint(&self, name: &str) -> BoxFuture<Result<Option<Position>, HandleError>> {
        let (log, name) = (Arc::clone(&self.log), name.into());
        Box::pin(async move { log.checkpoint(name).await.map_err(|error| handle_error(&error)) })
    }

    fn put(&self, changes: Vec<StateChange>) -> BoxFuture<Result<Durable, HandleError>> {
        let log = Arc::clone(&self.log);
        let refused = |error: AppendError| HandleError { text: error.to_string(), retryable: error.is_retryable() };
        Box::pin(async move {
            let ticket = log.queue(Commit { requests: Vec::new(), state: changes }).await.map_err(refused)?;
            let durable: Durable = Box::pin(async move { ticket.await.map(drop).map_err(refused) });
            Ok(durable)
        })
    }

    fn records(&self, prefix: &str) -> BoxFuture<Result<Records, HandleError>> {
        let (log, prefix) = (Arc::clone(&self.log), prefix.into());
        Box::pin(async move { log.states(prefix).await.map_err(|error| handle_error(&error)) })
    }

    fn head(&self) -> Position {
        self.log.head()
    }

    fn join(&self, join: Join) -> BoxFuture<Result<Box<dyn Member>, HandleError>> {
        let consumers = Arc::clone(&self.consumers);
        Box::pin(async move {
            let Join { group, member, filter, start, by_stream, deliveries_max } = join;
            let strategy = if by_stream { Strategy::ByStream } else { Strategy::RoundRobin };
            let config = GroupConfig { filter, strategy, deliveries_max, lease_ms: LEASE_MS, ..GroupConfig::default() };
            let known = consumers.status(&group).await.is_ok_and(|status| status.config == config);
            if !known {
                consumers.set(&group, config, start).await.map_err(consumer_error)?;
            }
            // What an earlier run of the same member held is nobody's now.
            consumers.leave(&group, &member).await.map_err(consumer_error)?;
            Ok(Box::new(GroupMember { consumers, group: group.into(), name: member.into() }) as Box<dyn Member>)
        })
    }
}

fn consumer_error(error: ConsumerError) -> HandleError {
    match error {
        ConsumerError::Log(error) => handle_error(&error),
        ConsumerError::Append(error) => HandleError { text: error.to_string(), retryable: error.is_retryable() },
        other => HandleError::new(other.to_string()),
    }
}

struct GroupMember {
    consumers: Arc<Consumers>,
    group: Arc<str>,
    name: Arc<str>,
}

impl Member for GroupMember {
    fn fetch(&self, max: usize) -> FetchedEvents {
        let (consumers, group, name) = (Arc::clone(&self.consumers), Arc::clone(&self.group), Arc::clone(&self.name));
        Box::pin(async move {
            // A task of its own: whoever does something else between two looks at this future must not keep the group
            // waiting. It ends when this is dropped.
            let mut task = JoinSet::new();
            task.spawn(async move { consumers.fetch(&group, &name, max, FETCH_WAIT).await });
            let leased = match task.join_next().await {
                Some(Ok(leased)) => leased.map_err(consumer_error)?,
                Some(Err(error)) => return Err(HandleError::retryable(format!("the fetch broke off: {error}"))),
                None => Vec::new(),
            };
            Ok(leased.into_iter().map(|leased| (leased.event, leased.delivery)).collect())
        })
    }

    fn answer(&self, answers: Vec<(Position, Answer)>) -> BoxFuture<Result<(), HandleError>> {
        let (consumers, group, name) = (Arc::clone(&self.consumers), Arc::clone(&self.group), Arc::clone(&self.name));
        let settle = |answer| match answer {
            Answer::Done => Settle::Ack,
            Answer::Again { delay_ms, reason } => Settle::Nak { delay_ms, reason: Some(reason) },
            Answer::Working => Settle::Extend,
        };
        let answers = answers.into_iter().map(|(position, answer)| (position, settle(answer))).collect();
        Box::pin(async move { consumers.settle(&group, &name, answers).await.map(drop).map_err(consumer_error) })
    }
}

struct LogSubscription {
    log: Arc<dyn EventLog>,
    filter: Filter,
    start: Start,
    following: Option<Following>,
}

impl LogSubscription {
    async fn next_events(&mut self) -> Result<Vec<Arc<Event>>, LogError> {
        let following = match &mut self.following {
            Some(following) => following,
            none => none.insert(self.log.subscribe(self.filter.clone(), self.start.clone()).await?),
        };
        loop {
            let delivery = following.next_batch(DELIVERY_MAX).await?;
            if !delivery.events.is_empty() {
                return Ok(delivery.events);
            }
        }
    }
}

impl Subscription for LogSubscription {
    fn next(&mut self) -> tidewire_node_api::handles::NextEvents<'_> {
        Box::pin(async move { self.next_events().await.map_err(|error| handle_error(&error)) })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use futures_util::StreamExt;
    use futures_util::stream::FuturesOrdered;
    use tidewire_log::JournalLog;
    use tidewire_model::event::{NewEvent, StreamName};

    use super::*;

    #[tokio::test]
    async fn appends_of_one_task_are_stored_in_the_order_they_were_started_in() {
        const APPENDS: u64 = 2_000;
        let folder = tempfile::tempdir().unwrap();
        let log = LogHandle::new(Arc::new(JournalLog::open(folder.path()).unwrap()));
        let append = |n: u64| {
            let event = NewEvent::json("counted", &serde_json::json!(n));
            log.append(vec![AppendRequest::one(StreamName::new("thing-a").unwrap(), event)])
        };
        let appends: FuturesOrdered<_> = (0..APPENDS).map(append).collect();
        let positions: Vec<u64> =
            appends.map(|result| result.first().unwrap().as_ref().unwrap().first_position.get()).collect().await;
        assert!(positions.into_iter().eq(1..=APPENDS), "one behind the other");
    }
}
