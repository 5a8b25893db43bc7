//! Deploys as events: what the log says was deployed last is what runs after a restart.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tidewire_model::append::{AppendError, AppendRequest, ExpectedVersion};
use tidewire_model::event::{JSON, NewEvent, StreamName};
use tidewire_model::flow::{FlowDiff, FlowDocument};
use tidewire_model::query::{Filter, Query};
use tidewire_node_api::handles::Log;

use crate::deploy::DeployError;
use crate::engine::{EngineError, Flows};
use crate::shared::Shared;

/// Stream of all deploys.
pub const STREAM: &str = "flow-main";

/// Type of a deploy's event.
pub const DEPLOYED: &str = "tidewire.flows.deployed";

#[derive(Serialize)]
struct Written<'a> {
    rev: &'a str,
    kind: &'static str,
    author: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    restored: Option<&'a str>,
    diff: &'a FlowDiff,
    flows: &'a FlowDocument,
}

/// Who deploys what, as the history shows it.
pub struct Origin<'a> {
    pub kind: &'static str,
    pub author: &'a str,
    /// Revision of an earlier deploy whose flows these are.
    pub restored: Option<&'a str>,
}

#[derive(Deserialize)]
struct Read {
    rev: String,
    flows: serde_json::Value,
}

/// Records a deploy, durably, before anything is touched.
pub async fn append(
    shared: &Shared,
    current: &Flows,
    document: Arc<FlowDocument>,
    diff: &FlowDiff,
    origin: Origin<'_>,
) -> Result<Flows, DeployError> {
    let failed = |error: &dyn std::fmt::Display| DeployError::Log(error.to_string());
    let number = current.number + 1;
    let text = serde_json::to_vec(&*document).map_err(|error| failed(&error))?;
    let rev = format!("{number}-{:08x}", fingerprint(&text));
    let Origin { kind, author, restored } = origin;
    let written = Written { rev: &rev, kind, author, restored, diff, flows: &document };
    let data = serde_json::to_vec(&written).map_err(|error| failed(&error))?;
    let stream = StreamName::new(STREAM).map_err(|error| failed(&error))?;
    let mut event = NewEvent::new(DEPLOYED, JSON, Bytes::from(data));
    event.source = "/flows".into();
    event.actor = Some(author.into());
    event.flow_rev = Some(rev.as_str().into());
    let request = AppendRequest { stream, expected: ExpectedVersion::Exact(current.number), events: vec![event] };
    let mut results = shared.services.log.append(vec![request]).await;
    match results.pop() {
        Some(Ok(appended)) => Ok(Flows { document, rev, number, position: appended.last_position }),
        Some(Err(error)) => Err(failed(&error)),
        None => Err(failed(&AppendError::Closed)),
    }
}

/// The flows deployed last.
pub async fn last(log: &dyn Log) -> Result<Option<Flows>, EngineError> {
    let mut filter = Filter::stream(STREAM);
    filter.event_types = vec![DEPLOYED.into()];
    let page = log.read(Query::backwards(filter, 1)).await.map_err(|error| EngineError::Log(error.to_string()))?;
    let Some(event) = page.events.first() else { return Ok(None) };
    let position = event.position;
    let damaged = |source| EngineError::Damaged { position: position.get(), source };
    let read: Read = serde_json::from_slice(&event.data)
        .map_err(|error| damaged(tidewire_model::flow::DocumentError::NotJson(error.to_string())))?;
    let document = FlowDocument::from_json(read.flows).map_err(damaged)?;
    Ok(Some(Flows { document: Arc::new(document), rev: read.rev, number: event.version, position }))
}

/// FNV-1a, 32 bits: tells two documents of the same number apart. Not for security.
fn fingerprint(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}
