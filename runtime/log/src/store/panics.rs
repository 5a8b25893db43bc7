//! sled panics where others answer with an error.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Lets go of what holds a database. It panics when the disk fails it meanwhile.
pub(super) fn close(held: impl Sized) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(held))) {
        tracing::warn!(error = panic_text(&*panic), "indexed store failed while it was closed");
    }
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("unknown").lines().next().unwrap_or_default().to_owned()
}
