//! The second half of an append: the answer that comes when it is durable.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tidewire_model::append::{AppendError, Appended};

use crate::Bodies;
use crate::queue::{Answer, Outcome};

/// The answer to a commit that is queued: one [`Appended`] per request, or why nothing was stored. Awaited once; dropping
/// it does not take the commit back.
pub struct Ticket(State);

enum State {
    Ready(Option<Result<Vec<Appended>, AppendError>>),
    Queued(Answer),
    /// So many bytes lie in content files, which are of no use when the commit is refused.
    WithFiles(Answer, Arc<Bodies>, u64),
}

impl Ticket {
    /// An answer that is known.
    #[must_use]
    pub const fn ready(answer: Result<Vec<Appended>, AppendError>) -> Self {
        Self(State::Ready(Some(answer)))
    }

    pub(crate) const fn queued(answer: Answer) -> Self {
        Self(State::Queued(answer))
    }

    pub(crate) const fn with_files(answer: Answer, bodies: Arc<Bodies>, bytes: u64) -> Self {
        Self(State::WithFiles(answer, bodies, bytes))
    }
}

impl Future for Ticket {
    type Output = Result<Vec<Appended>, AppendError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Ready(answer) => Poll::Ready(answer.take().unwrap_or(Err(AppendError::Closed))),
            State::Queued(answer) => Pin::new(answer).poll(context).map(Outcome::all),
            State::WithFiles(answer, bodies, bytes) => {
                let answered = Pin::new(answer).poll(context).map(Outcome::all);
                if let Poll::Ready(Err(_)) = answered {
                    bodies.note_refused(*bytes);
                }
                answered
            }
        }
    }
}
