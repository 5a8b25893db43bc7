//! Background work of a node: ends when the node does.

use std::future::Future;

use tidewire_node_api::NodeError;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// A task that is stopped when this is dropped.
pub(super) struct Background(JoinHandle<()>);

impl Background {
    /// Starts work on the runtime that the node runs on.
    ///
    /// # Errors
    /// When there is no runtime.
    pub(super) fn spawn(work: impl Future<Output = ()> + Send + 'static) -> Result<Self, NodeError> {
        let runtime = Handle::try_current().map_err(|error| NodeError::new(format!("no background work: {error}")))?;
        Ok(Background(runtime.spawn(work)))
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.0.abort();
    }
}
