//! How many messages wait, as status: at once if it was quiet, else twice a second.

use tidewire_node_api::{Ctx, Fill, Shape, Status};

use super::SHOW;

/// Time between two updates.
const EVERY_MS: i64 = 500;

#[derive(Default)]
pub(super) struct Depth {
    shown_ms: i64,
    /// A timer is set.
    pending: bool,
}

impl Depth {
    /// The number changed.
    pub(super) fn changed(&mut self, count: usize, ctx: &Ctx<'_>) {
        if self.pending {
            return;
        }
        if ctx.now_ms() - self.shown_ms >= EVERY_MS {
            self.show(count, ctx);
        } else {
            self.pending = true;
            ctx.set_timer(SHOW, self.shown_ms + EVERY_MS);
        }
    }

    /// Shows the number now.
    pub(super) fn show(&mut self, count: usize, ctx: &Ctx<'_>) {
        if self.pending {
            self.pending = false;
            ctx.cancel_timer(SHOW);
        }
        self.shown_ms = ctx.now_ms();
        ctx.status(Status::new(Fill::Blue, Shape::Dot, count.to_string()));
    }
}
