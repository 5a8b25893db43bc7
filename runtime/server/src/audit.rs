//! Who did what, as events in the log.

use serde_json::Value;
use tidewire_log::EventLog;
use tidewire_model::append::AppendRequest;
use tidewire_model::event::{NewEvent, StreamName};

use crate::app::Core;

/// Records a fact about people. What cannot be recorded is told in the server's own log, and the request goes on.
pub async fn record(core: &Core, stream: &str, event_type: &'static str, actor: &str, data: Value) {
    let Ok(stream) = StreamName::new(stream) else { return };
    let mut event = NewEvent::json(event_type, &data).with_source("/auth");
    event.actor = Some(actor.into());
    if let Err(error) = core.log.append(vec![AppendRequest::one(stream, event)]).await {
        tracing::warn!(error = %error, event_type, "audit event not recorded");
    }
}
