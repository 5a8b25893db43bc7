//! The status line under a debug node.

use tidewire_model::value::Path;
use tidewire_model::{Message, Value};
use tidewire_node_api::{Ctx, Fill, Shape, Status};

/// Longest text under a node.
const TEXT_MAX: usize = 32;
/// Counts are shown at most this often.
const HOLD_MS: i64 = 100;
const TIMER: u64 = 1;

/// Where the text comes from.
pub(super) enum StatusSource {
    Shown,
    Counter,
    Property(Path),
}

/// What is shown and what waits to be.
pub(super) struct StatusLine {
    source: StatusSource,
    last: Option<Status>,
    count: u64,
    shown_ms: Option<i64>,
    waiting: bool,
}

impl StatusLine {
    pub(super) fn new(source: StatusSource) -> StatusLine {
        StatusLine { source, last: None, count: 0, shown_ms: None, waiting: false }
    }

    /// Clears what a predecessor showed; a counter begins at 0.
    pub(super) fn start(&mut self, ctx: &Ctx<'_>) {
        if matches!(self.source, StatusSource::Counter) {
            self.show(counter(0), ctx);
        }
    }

    /// Takes one message and the value that is debugged.
    pub(super) fn message(&mut self, message: &Message, shown: &Value, ctx: &Ctx<'_>) {
        let status = match &self.source {
            StatusSource::Counter => {
                self.count += 1;
                return self.counted(ctx);
            }
            StatusSource::Property(path) => of_value(message.get_path(path).unwrap_or(&Value::Undefined)),
            StatusSource::Shown => match (message.get("error"), message.get("status")) {
                (Some(error), _) if !error.is_nullish() => {
                    let text = error.get("message").unwrap_or(error);
                    Status::new(Fill::Red, Shape::Ring, cut(&text.to_text()))
                }
                (_, Some(status)) if !status.is_nullish() => of_value(status),
                _ => of_value(shown),
            },
        };
        self.show(status, ctx);
    }

    fn counted(&mut self, ctx: &Ctx<'_>) {
        let now = ctx.now_ms();
        match self.shown_ms {
            Some(shown) if now - shown < HOLD_MS => {
                if !self.waiting {
                    self.waiting = true;
                    ctx.set_timer(TIMER, shown + HOLD_MS);
                }
            }
            _ => self.flush(ctx),
        }
    }

    /// Shows the count as it is now.
    pub(super) fn flush(&mut self, ctx: &Ctx<'_>) {
        self.waiting = false;
        self.shown_ms = Some(ctx.now_ms());
        self.show(counter(self.count), ctx);
    }

    fn show(&mut self, status: Status, ctx: &Ctx<'_>) {
        if self.last.as_ref() != Some(&status) {
            ctx.status(status.clone());
            self.last = Some(status);
        }
    }
}

fn counter(count: u64) -> Status {
    Status::new(Fill::Blue, Shape::Ring, count.to_string())
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(TEXT_MAX) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or("")),
        None => text.to_owned(),
    }
}

/// An object with fill, shape and text is a status itself; anything else is shown as text.
fn of_value(value: &Value) -> Status {
    let word = |key| value.get(key).and_then(Value::as_str);
    if let (Some(fill), Some(shape), Some(text)) = (word("fill"), word("shape"), value.get("text")) {
        let fill = match fill {
            "red" => Fill::Red,
            "green" => Fill::Green,
            "yellow" => Fill::Yellow,
            "blue" => Fill::Blue,
            _ => Fill::Grey,
        };
        let shape = if shape == "dot" { Shape::Dot } else { Shape::Ring };
        return Status::new(fill, shape, cut(&text.to_text()));
    }
    let text = match value.resolved() {
        Value::Undefined => "undefined".into(),
        Value::Null => "null".into(),
        other => other.to_text(),
    };
    Status::new(Fill::Grey, Shape::Dot, cut(&text))
}
