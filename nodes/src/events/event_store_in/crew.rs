//! The background work of an `event-store-in` that is a member of a group: what it fetches is its own until it answers.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;

use tidewire_model::event::Event;
use tidewire_model::position::Position;
use tidewire_node_api::handles::{Answer, FetchedEvents, HandleError, Join, Log, Member};
use tidewire_node_api::{Batch, Delivery, Feed, Outcome, Signal, Token};
use tokio::sync::Notify;

use super::pump::{News, Outcomes, message};

/// Events under way at a time.
const UNDER_WAY_MAX: usize = 64;
/// How long an event that failed rests before it is handed out again, in milliseconds.
const REST_MS: u64 = 1_000;

/// What a fetch brings; without one, nothing ever.
async fn outcome(fetching: &mut Option<FetchedEvents>) -> Result<Vec<(Arc<Event>, u32)>, HandleError> {
    match fetching {
        Some(fetching) => fetching.await,
        None => std::future::pending().await,
    }
}

pub(super) struct Crew {
    pub(super) log: Arc<dyn Log>,
    pub(super) feed: Arc<dyn Feed>,
    pub(super) join: Join,
    pub(super) resume: Arc<Notify>,
}

impl Crew {
    /// Runs until it is dropped.
    pub(super) async fn run(self) {
        let outcomes = Arc::new(Outcomes::default());
        let mut under_way = BTreeSet::new();
        loop {
            let Err(error) = self.work(&outcomes, &mut under_way).await;
            self.tell(News::Broken(error.text));
            self.resume.notified().await;
            self.tell(News::Listening);
        }
    }

    fn tell(&self, news: News) {
        self.feed.signal(Signal::Own(Box::new(news)));
    }

    async fn work(&self, outcomes: &Arc<Outcomes>, under_way: &mut BTreeSet<u64>) -> Result<Infallible, HandleError> {
        let member = self.log.join(self.join.clone()).await?;
        // Not dropped halfway: what it has leased would be lost until the lease ends.
        let mut fetching: Option<FetchedEvents> = None;
        loop {
            self.answer(&*member, outcomes, under_way).await?;
            let room = UNDER_WAY_MAX.saturating_sub(under_way.len());
            if fetching.is_none() && room > 0 {
                fetching = Some(member.fetch(room));
            }
            tokio::select! {
                biased;
                () = outcomes.wake.notified() => {}
                fetched = outcome(&mut fetching) => {
                    fetching = None;
                    self.send(fetched?, &*member, outcomes, under_way).await?;
                }
            }
        }
    }

    async fn send(
        &self,
        fetched: Vec<(Arc<Event>, u32)>,
        member: &dyn Member,
        outcomes: &Arc<Outcomes>,
        under_way: &mut BTreeSet<u64>,
    ) -> Result<(), HandleError> {
        if fetched.is_empty() && !under_way.is_empty() {
            let working = under_way.iter().map(|at| (Position::new(*at), Answer::Working)).collect();
            member.answer(working).await?;
        }
        let deliver = |(event, delivery): (Arc<Event>, u32)| {
            under_way.insert(event.position.get());
            let token = Token::new(Arc::clone(outcomes) as _, event.position.get());
            Delivery::from_source(message(&event, false, Some(delivery)), Some(token))
        };
        let mut batch: Batch = fetched.into_iter().map(deliver).collect();
        while !batch.is_empty() {
            if self.feed.feed(&mut batch) == 0 {
                self.feed.wait_room().await;
            }
        }
        Ok(())
    }

    /// Answers for what has ended.
    async fn answer(
        &self,
        member: &dyn Member,
        outcomes: &Outcomes,
        under_way: &mut BTreeSet<u64>,
    ) -> Result<(), HandleError> {
        let ended = outcomes.take();
        if ended.is_empty() {
            return Ok(());
        }
        let answers = ended.into_iter().map(|(at, outcome)| {
            under_way.remove(&at);
            let reason = "the flow failed on it".to_owned();
            let failed = Answer::Again { delay_ms: REST_MS, reason };
            (Position::new(at), if outcome < Outcome::Failed { Answer::Done } else { failed })
        });
        member.answer(answers.collect()).await
    }
}
