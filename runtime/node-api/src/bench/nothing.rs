//! Handles of a bench that was given none.

use crate::handles::{
    At, BoxFuture, Changed, Entry, HandleError, Http, HttpRequest, HttpResponse, Log, ProjectionGuard, ProjectionSpec,
    Projections, Subscription,
};
use crate::selection::{Selected, Selection, SelectionError};

/// Handles of a bench that was given none: they refuse.
pub(super) struct Nothing;

fn refused<T: Send + 'static>() -> BoxFuture<Result<T, HandleError>> {
    Box::pin(std::future::ready(Err(HandleError::new("this bench has no such handle"))))
}

impl Log for Nothing {
    fn append(
        &self,
        requests: Vec<tidewire_model::append::AppendRequest>,
    ) -> BoxFuture<Vec<Result<tidewire_model::append::Appended, tidewire_model::append::AppendError>>> {
        let refused = requests.iter().map(|_| Err(tidewire_model::append::AppendError::Closed)).collect();
        Box::pin(std::future::ready(refused))
    }

    fn read(
        &self,
        _query: tidewire_model::query::Query,
    ) -> BoxFuture<Result<tidewire_model::query::Page, HandleError>> {
        refused()
    }

    fn subscribe(
        &self,
        _filter: tidewire_model::query::Filter,
        _start: tidewire_model::query::Start,
    ) -> Box<dyn Subscription> {
        Box::new(Nothing)
    }

    fn save_checkpoint(
        &self,
        _name: &str,
        _position: tidewire_model::position::Position,
    ) -> BoxFuture<Result<(), HandleError>> {
        refused()
    }

    fn head(&self) -> tidewire_model::position::Position {
        tidewire_model::position::Position::ZERO
    }
}

impl Subscription for Nothing {
    fn next(&mut self) -> crate::handles::NextEvents<'_> {
        Box::pin(std::future::pending())
    }
}

impl Projections for Nothing {
    fn keep(&self, _spec: ProjectionSpec, _changed: Changed) -> Result<Box<dyn ProjectionGuard>, HandleError> {
        Err(HandleError::new("this bench has no such handle"))
    }

    fn get(&self, _name: &str, _key: &str) -> BoxFuture<Result<Option<Entry>, HandleError>> {
        refused()
    }

    fn select(
        &self,
        _name: &str,
        _selection: Selection,
        _at: Option<At>,
    ) -> BoxFuture<Result<Selected, SelectionError>> {
        Box::pin(std::future::ready(Ok(Selected::default())))
    }

    fn get_at(&self, _name: &str, _key: &str, _at: At) -> BoxFuture<Result<Option<Entry>, HandleError>> {
        refused()
    }
}

impl Http for Nothing {
    fn send(&self, _request: HttpRequest) -> BoxFuture<Result<HttpResponse, HandleError>> {
        refused()
    }
}
