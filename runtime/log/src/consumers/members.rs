//! What members do: fetch, answer, leave; and what becomes of events that were put aside.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tidewire_model::append::{AppendError, AppendRequest};
use tidewire_model::event::{Event, NewEvent, StreamName};
use tidewire_model::position::Position;
use tidewire_model::query::Query;
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

use super::{ConsumerError, Consumers, Handle, Leased, Parked, Settle, Shared, stored};
use crate::{Commit, LogError};

/// Most events that one call hands out.
const FETCH_MAX: usize = 1_000;
/// Most events that a group puts aside; beyond that they come back again and again.
const PARKED_MAX: usize = 10_000;
/// Pages that one look for more events reads.
const PAGES_MAX: usize = 8;
/// A group that looked at so many positions without an event for it keeps its place.
const MARK_EVERY: u64 = 10_000;

impl Consumers {
    /// Leases up to `max` events to a member; waits for them for a while when there are none.
    ///
    /// # Errors
    /// There is no such group, or the log cannot be read or refuses.
    pub async fn fetch(
        &self,
        name: &str,
        member: &str,
        max: usize,
        wait: Duration,
    ) -> Result<Vec<Leased>, ConsumerError> {
        if member.is_empty() || member.len() > 100 {
            return Err(ConsumerError::Invalid("the member needs a name of 1 to 100 bytes".to_owned()));
        }
        let handle = self.handle(name).await?;
        let deadline = Instant::now() + wait;
        let mut head = self.log.watch_head();
        loop {
            let changed = handle.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            head.borrow_and_update();
            let (leased, again) = self.try_fetch(&handle, member, max.clamp(1, FETCH_MAX)).await?;
            if !leased.is_empty() || Instant::now() >= deadline {
                return Ok(leased);
            }
            if self.log.is_closed() {
                return Err(LogError::Closed.into());
            }
            let until = again.map_or(deadline, |again| deadline.min(Instant::now() + again));
            tokio::select! {
                () = tokio::time::sleep_until(until) => {}
                () = &mut changed => {
                    // It may have been removed.
                    self.handle(name).await?;
                }
                changed = head.changed() => if changed.is_err() { return Err(LogError::Closed.into()) },
            }
        }
    }

    /// Leases what there is. Answers also after what time there may be more without anything happening.
    async fn try_fetch(
        &self,
        handle: &Arc<Handle>,
        member: &str,
        max: usize,
    ) -> Result<(Vec<Leased>, Option<Duration>), ConsumerError> {
        let turn = handle.turn().await;
        let now = (self.clock)();
        handle.shared.lock().group.hear(member, now);
        let mut shared = handle.now();
        shared.group.expire(&shared.config, now);
        let mut commit = Commit::default();
        for (position, deliveries, reason) in shared.group.worn(&shared.config, now) {
            self.park(handle, &mut shared, &mut commit, (position, deliveries), &reason, "tidewire")?;
        }
        let (events, more) = self.read_on(&mut shared, member, now, max).await?;
        let taken = shared.group.take(&shared.config, member, now, max);
        let moved = shared.group.state.read.saturating_sub(shared.saved) >= MARK_EVERY;
        let due = shared.group.next_due(now).map(|due| Duration::from_millis(u64::try_from(due - now).unwrap_or(1)));
        if !taken.is_empty() || !commit.state.is_empty() || moved {
            self.save(handle, turn, shared, commit).await?;
        } else {
            *handle.shared.lock() = shared;
            drop(turn);
        }
        let mut leased = Vec::with_capacity(taken.len());
        for (position, delivery) in taken {
            let event = match events.get(&position) {
                Some(event) => Some(Arc::clone(event)),
                None => self.log.event_at(Position::new(position)).await?,
            };
            match event {
                Some(event) => leased.push(Leased { event, delivery }),
                // Retention has dropped it meanwhile.
                None => drop(handle.shared.lock().group.state.pending.remove(&position)),
            }
        }
        Ok((leased, if more { Some(Duration::ZERO) } else { due }))
    }

    /// Reads on until a member can get what it asks for. Answers the new events and whether there is more to look at.
    async fn read_on(
        &self,
        shared: &mut Shared,
        member: &str,
        now: i64,
        max: usize,
    ) -> Result<(HashMap<u64, Arc<Event>>, bool), ConsumerError> {
        let mut events = HashMap::new();
        let own = shared.config.filter.stream.as_ref().is_some_and(|stream| stream.starts_with('$'));
        for _ in 0..PAGES_MAX {
            let state = &shared.group.state;
            if state.read >= self.log.head().get() || !shared.group.wants(&shared.config, member, now, max) {
                return Ok((events, false));
            }
            let from = Position::new(state.read).next();
            let page = self.log.read(Query::forwards(shared.config.filter.clone(), from, max)).await?;
            for event in page.events {
                let position = event.position.get();
                if own || !event.stream.as_str().starts_with('$') {
                    shared.group.add(position, event.stream.as_str());
                    events.insert(position, event);
                }
            }
            let through = page.next.map_or(page.head, Position::previous);
            shared.group.state.read = through.get().max(shared.group.state.read);
        }
        Ok((events, true))
    }

    /// Stores where a group stands, together with what else a commit holds, and then lets others see it.
    async fn save(
        &self,
        handle: &Arc<Handle>,
        turn: OwnedMutexGuard<()>,
        mut next: Shared,
        mut commit: Commit,
    ) -> Result<(), ConsumerError> {
        commit.state.push(stored::state_change(&handle.name, &next.group.state)?);
        next.saved = next.group.state.read;
        self.apply(handle, turn, next, commit).await
    }

    /// Makes a change durable, and only then the one that counts. It goes on when nobody waits for it any more: what is on
    /// the disk and what counts must not differ.
    pub(super) async fn apply(
        &self,
        handle: &Arc<Handle>,
        turn: OwnedMutexGuard<()>,
        next: Shared,
        commit: Commit,
    ) -> Result<(), ConsumerError> {
        let (log, handle) = (Arc::clone(&self.log), Arc::clone(handle));
        let work = tokio::spawn(async move {
            let done = log.commit(commit).await;
            if done.is_ok() {
                *handle.shared.lock() = next;
            }
            drop(turn);
            done
        });
        work.await.unwrap_or(Err(AppendError::Closed))?;
        Ok(())
    }

    /// Puts an event aside, as part of a commit.
    fn park(
        &self,
        handle: &Handle,
        shared: &mut Shared,
        commit: &mut Commit,
        (position, deliveries): (u64, u32),
        reason: &str,
        by: &str,
    ) -> Result<(), ConsumerError> {
        if shared.parked.len() >= PARKED_MAX {
            tracing::warn!(group = %handle.name, position, "a consumer group has put aside too much, events come back");
            return Ok(());
        }
        let reason: String = reason.chars().take(500).collect();
        let parked = Parked { deliveries, reason, time: (self.clock)(), by: by.to_owned() };
        commit.requests.push(record(&handle.name, "parked", position, &parked.reason, by)?);
        commit.state.push(stored::parked_change(&handle.name, position, Some(&parked))?);
        shared.group.state.pending.remove(&position);
        Arc::make_mut(&mut shared.parked).insert(position, parked);
        Ok(())
    }

    /// Settles events that a member holds. Answers for each whether it did hold it: what was not held any more may have
    /// been handed to another one.
    ///
    /// # Errors
    /// There is no such group, or the log refuses; then the events come back.
    pub async fn settle(
        &self,
        name: &str,
        member: &str,
        answers: Vec<(Position, Settle)>,
    ) -> Result<Vec<bool>, ConsumerError> {
        let handle = self.handle(name).await?;
        let turn = handle.turn().await;
        let now = (self.clock)();
        handle.shared.lock().group.hear(member, now);
        let mut shared = handle.now();
        let mut commit = Commit::default();
        let mut held = Vec::with_capacity(answers.len());
        for (position, how) in answers {
            let settled = shared.group.settle(&shared.config, member, position.get(), &how, now);
            if let (Some(deliveries), Settle::Park { reason }) = (settled, &how) {
                self.park(&handle, &mut shared, &mut commit, (position.get(), deliveries), reason, member)?;
            }
            held.push(settled.is_some());
        }
        if held.contains(&true) {
            self.save(&handle, turn, shared, commit).await?;
            handle.changed.notify_waiters();
        }
        Ok(held)
    }

    /// Takes everything back that a member holds: it has begun anew and knows nothing of it.
    ///
    /// # Errors
    /// There is no such group, or the log refuses.
    pub async fn leave(&self, name: &str, member: &str) -> Result<(), ConsumerError> {
        let handle = self.handle(name).await?;
        let turn = handle.turn().await;
        let now = (self.clock)();
        let mut shared = handle.now();
        if shared.group.leave(&shared.config, member, now) {
            self.save(&handle, turn, shared, Commit::default()).await?;
            handle.changed.notify_waiters();
        }
        Ok(())
    }

    /// What a group has put aside, after a position.
    ///
    /// # Errors
    /// There is no such group.
    pub async fn parked(
        &self,
        name: &str,
        after: Position,
        limit: usize,
    ) -> Result<Vec<(Position, Parked)>, ConsumerError> {
        let handle = self.handle(name).await?;
        let shared = handle.shared.lock();
        let range = shared.parked.range(after.get() + 1..).take(limit);
        Ok(range.map(|(position, parked)| (Position::new(*position), parked.clone())).collect())
    }

    /// Takes events that were put aside up again, or with a reason drops them for good; all when `positions` is `None`.
    /// Answers which.
    ///
    /// # Errors
    /// There is no such group, or the log refuses.
    pub async fn unpark(
        &self,
        name: &str,
        positions: Option<Vec<Position>>,
        dropped: Option<&str>,
        by: &str,
    ) -> Result<Vec<Position>, ConsumerError> {
        let handle = self.handle(name).await?;
        let wanted: Vec<u64> = match positions {
            Some(positions) => positions.into_iter().map(Position::get).collect(),
            None => handle.shared.lock().parked.keys().copied().collect(),
        };
        let mut done = Vec::new();
        // A commit holds a few thousand changes at most.
        for chunk in wanted.chunks(1_000) {
            let turn = handle.turn().await;
            let mut shared = handle.now();
            let (mut commit, mut taken) = (Commit::default(), Vec::new());
            for position in chunk {
                let Some(parked) = Arc::make_mut(&mut shared.parked).remove(position) else { continue };
                commit.state.push(stored::parked_change(name, *position, None)?);
                let what = if dropped.is_some() { "dropped" } else { "replayed" };
                commit.requests.push(record(name, what, *position, dropped.unwrap_or(&parked.reason), by)?);
                if dropped.is_none() {
                    let event = self.log.event_at(Position::new(*position)).await?;
                    if let Some(event) = event {
                        shared.group.add(*position, event.stream.as_str());
                    }
                }
                taken.push(Position::new(*position));
            }
            if !commit.state.is_empty() {
                self.save(&handle, turn, shared, commit).await?;
            }
            done.append(&mut taken);
        }
        handle.changed.notify_waiters();
        Ok(done)
    }
}

/// The event that tells what became of an event in a group.
fn record(group: &str, what: &str, position: u64, reason: &str, by: &str) -> Result<AppendRequest, ConsumerError> {
    let stream = StreamName::reserved(format!("$sub-{group}")).map_err(AppendError::from)?;
    let data = serde_json::json!({ "group": group, "position": position, "reason": reason });
    let mut event =
        NewEvent::json(format!("tidewire.consumer.{what}"), &data).with_source(format!("/consumers/{group}"));
    event.actor = Some(by.into());
    Ok(AppendRequest::one(stream, event))
}
