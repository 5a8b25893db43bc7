//! The answers to what the writer takes together.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use tidewire_model::append::{AppendError, Appended};

/// How the requests of an append are to be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// All or nothing.
    All,
    /// Each on its own.
    Each,
}

/// What came of an append, by its [`Kind`].
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outcome {
    All(Result<Vec<Appended>, AppendError>),
    Each(Vec<Result<Appended, AppendError>>),
}

impl Outcome {
    /// So many requests are refused.
    pub(crate) fn refused(kind: Kind, count: usize, error: &AppendError) -> Self {
        match kind {
            Kind::All => Self::All(Err(error.clone())),
            Kind::Each => Self::Each(vec![Err(error.clone()); count]),
        }
    }

    /// The same, now that nothing was stored. What was refused before keeps its reason.
    pub(crate) fn failed(self, error: &AppendError) -> Self {
        match self {
            Self::All(result) => Self::All(result.and(Err(error.clone()))),
            Self::Each(results) => {
                Self::Each(results.into_iter().map(|result| result.and(Err(error.clone()))).collect())
            }
        }
    }

    /// As the answer to a [`Kind::All`]; there is none when the log was closed.
    pub(crate) fn all(answer: Option<Self>) -> Result<Vec<Appended>, AppendError> {
        match answer {
            Some(Self::All(result)) => result,
            Some(Self::Each(results)) => results.into_iter().collect(),
            None => Err(AppendError::Closed),
        }
    }

    /// As the answer to a [`Kind::Each`]; empty when the log was closed.
    pub(crate) fn each(answer: Option<Self>) -> Vec<Result<Appended, AppendError>> {
        match answer {
            Some(Self::Each(results)) => results,
            Some(Self::All(result)) => {
                result.map_or_else(|error| vec![Err(error)], |all| all.into_iter().map(Ok).collect())
            }
            None => Vec::new(),
        }
    }
}

enum Place {
    Open,
    /// Somebody waits.
    Awaited(Waker),
    Answered(Outcome),
    /// Nobody will answer, or the answer was handed out.
    Done,
}

/// Places for the answers to what is taken together.
#[derive(Default)]
pub(crate) struct Batch {
    places: Mutex<Vec<Place>>,
}

impl Batch {
    /// A place for one more answer.
    pub(super) fn add(&self) -> usize {
        let mut places = self.places.lock();
        places.push(Place::Open);
        places.len() - 1
    }

    /// Answers some places, then wakes those who wait for them.
    pub(crate) fn answer(&self, answers: impl Iterator<Item = (usize, Outcome)>) {
        let mut places = self.places.lock();
        let answered = answers.filter_map(|(index, outcome)| {
            let place = places.get_mut(index)?;
            awaited(std::mem::replace(place, Place::Answered(outcome)))
        });
        let wakers: Vec<_> = answered.collect();
        drop(places);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Nobody will answer the rest.
    pub(super) fn abandon(&self) {
        let mut places = self.places.lock();
        let open = places.iter_mut().filter(|place| matches!(place, Place::Open | Place::Awaited(_)));
        let wakers: Vec<_> = open.filter_map(|place| awaited(std::mem::replace(place, Place::Done))).collect();
        drop(places);
        wakers.into_iter().for_each(Waker::wake);
    }
}

fn awaited(place: Place) -> Option<Waker> {
    match place {
        Place::Awaited(waker) => Some(waker),
        _ => None,
    }
}

/// The answer to an append; `None` when the log was closed before. Dropping it does not take the append back.
pub(crate) struct Answer {
    pub(super) batch: Arc<Batch>,
    pub(super) index: usize,
}

impl Future for Answer {
    type Output = Option<Outcome>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut places = self.batch.places.lock();
        let Some(place) = places.get_mut(self.index) else { return Poll::Ready(None) };
        match std::mem::replace(place, Place::Done) {
            Place::Answered(outcome) => return Poll::Ready(Some(outcome)),
            Place::Done => return Poll::Ready(None),
            Place::Awaited(waker) if waker.will_wake(context.waker()) => *place = Place::Awaited(waker),
            Place::Open | Place::Awaited(_) => *place = Place::Awaited(context.waker().clone()),
        }
        Poll::Pending
    }
}
