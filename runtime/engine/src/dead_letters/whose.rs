//! Whose data the message of a dead letter holds.

use tidewire_model::Message;
use tidewire_model::event::{EventId, StreamName};
use tidewire_node_api::handles::Log;

use super::{AGAIN_MS, LETTERS_OF, STREAM};
use crate::clock::Clock;

/// See the module.
#[derive(Debug, PartialEq)]
pub(super) enum Whose {
    /// As far as is known, of nobody.
    Nobodys,
    /// What came from the personal stream of this name.
    Of(StreamName),
    /// What is erased by now, or what may be: it must not be kept.
    Gone,
}

impl Whose {
    /// Looks at the events that a message came from, and at the one that the chain began with.
    pub(super) async fn is(log: &dyn Log, clock: &dyn Clock, message: &Message) -> Whose {
        let Some(provenance) = message.provenance() else { return Whose::Nobodys };
        let mut whose = Whose::Nobodys;
        for id in provenance.causes.iter().chain(&provenance.correlation) {
            let event = loop {
                match log.event(EventId::from(id.as_str())).await {
                    Ok(event) => break event,
                    Err(error) if error.retryable => clock.until(clock.now_ms() + AGAIN_MS).await,
                    Err(error) => {
                        tracing::error!(id, error = error.text, "a dead letter is kept without its message");
                        return Whose::Gone;
                    }
                }
            };
            match event {
                Some(event) if event.is_erased() => return Whose::Gone,
                Some(event) if event.key_id.is_some() && whose == Whose::Nobodys => {
                    whose = Whose::Of(event.stream.clone());
                }
                _ => {}
            }
        }
        whose
    }

    /// The stream that a letter belongs into with its message, if it may be kept.
    pub(super) fn stream(&self) -> Option<StreamName> {
        let name = match self {
            Whose::Nobodys => STREAM.to_owned(),
            // What came from a letter came from where that came from.
            Whose::Of(stream) => format!("{LETTERS_OF}{}", stream.as_str().trim_start_matches(LETTERS_OF)),
            Whose::Gone => return None,
        };
        StreamName::new(name).ok()
    }
}
