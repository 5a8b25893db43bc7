//! `link call` sends a message to a link in node and sends on what comes back.

use std::collections::HashMap;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire_model::{Message, NodeId};
use tidewire_node_api::{
    BuildEnv, BuildError, Category, Ctx, Deferred, Kind, Meta, Node, NodeError, NodeType, Outcome, Role, Signal, State,
    StopReason, lenient,
};

use super::{link_source, scope};

/// Longest wait in seconds where the flow says none.
const TIMEOUT_S: f64 = 30.0;

/// Sends a message to a link in node and sends on what comes back.
///
/// The nodes behind that link in node work on the message; a link out node that returns ends the call. Calls may be
/// nested, and many may be under way at once. A call that nobody answers in time is an error that a catch node can take;
/// an answer that comes later is still sent on.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct LinkCallConfig {
    /// How the link in node is chosen.
    link_type: LinkType,
    /// Link in node to call.
    #[serde(deserialize_with = "scope::ids")]
    #[schemars(
        schema_with = "scope::ids_schema",
        extend("x-node-types" = ["link in"], "x-node-one" = true, "x-show-if" = {"linkType": "static"})
    )]
    links: Vec<NodeId>,
    /// Seconds to wait for an answer.
    #[serde(deserialize_with = "lenient::optional_number")]
    #[schemars(schema_with = "lenient::number_schema", extend("x-widget" = "duration"))]
    timeout: Option<f64>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LinkType {
    /// Always the one below.
    #[default]
    Static,
    /// The one that `msg.target` names, by id or name.
    Dynamic,
}

impl Default for LinkCallConfig {
    fn default() -> Self {
        LinkCallConfig { link_type: LinkType::default(), links: Vec::new(), timeout: Some(TIMEOUT_S) }
    }
}

/// A call under way.
struct Waiting {
    /// The message as it came.
    message: Message,
    deferred: Deferred,
    /// When it has waited long enough, in milliseconds since 1970.
    due: i64,
}

/// Form of the calls under way that a successor takes over.
const FORM: u32 = 1;

pub(crate) struct LinkCall {
    /// None: `msg.target` says.
    target: Option<NodeId>,
    timeout_ms: i64,
    /// By number of the call, which is also the key of its timer.
    waiting: HashMap<u64, Waiting>,
}

impl NodeType for LinkCall {
    type Config = LinkCallConfig;

    const META: Meta = Meta {
        icon: "link",
        keywords: &["link", "call", "subroutine", "function", "request", "return"],
        ..Meta::new("link call", "Link call", Category::Common, Role::System, Kind::Stateful)
    };

    fn build(config: LinkCallConfig, _env: &BuildEnv) -> Result<Self, BuildError> {
        let first = config.links.into_iter().next().unwrap_or_else(|| NodeId::from(""));
        Ok(LinkCall {
            target: (config.link_type == LinkType::Static).then_some(first),
            timeout_ms: (config.timeout.unwrap_or(TIMEOUT_S) * 1000.0) as i64,
            waiting: HashMap::new(),
        })
    }
}

impl LinkCall {
    fn target(&self, message: &Message, ctx: &Ctx<'_>) -> Result<NodeId, NodeError> {
        let named = || message.get("target").and_then(|target| target.as_str()).unwrap_or_default();
        ctx.find_entry(self.target.as_ref().map_or_else(named, NodeId::as_str)).map_err(NodeError::new)
    }
}

/// Calls under way, as bytes.
fn encode(waiting: &HashMap<u64, Waiting>) -> Bytes {
    let mut data = BytesMut::new();
    for (call, Waiting { message, due, .. }) in waiting {
        let message = message.to_bytes();
        data.put_u64_le(*call);
        data.put_i64_le(*due);
        data.put_u64_le(message.len() as u64);
        data.put_slice(&message);
    }
    data.freeze()
}

/// The next call that [`encode`] wrote.
fn decode(data: &mut Bytes) -> Option<(u64, Waiting)> {
    let (call, due) = (data.try_get_u64_le().ok()?, data.try_get_i64_le().ok()?);
    let length = usize::try_from(data.try_get_u64_le().ok()?).ok().filter(|length| *length <= data.len())?;
    let message = Message::from_bytes(&data.split_to(length)).ok()?;
    Some((call, Waiting { message, deferred: Deferred::default(), due }))
}

impl Node for LinkCall {
    fn start(&mut self, state: Option<State>, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        let mut data = state.filter(|state| state.version == FORM).map(|state| state.data).unwrap_or_default();
        while let Some((call, waiting)) = decode(&mut data) {
            ctx.set_timer(call, waiting.due);
            self.waiting.insert(call, waiting);
        }
        Ok(())
    }

    fn process(&mut self, message: Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        let target = match self.target(&message, ctx) {
            Ok(target) => target,
            Err(error) => return Err(error.on(message)),
        };
        let call = ctx.random();
        let mut sent = message.clone();
        link_source::push(&mut sent, call, &ctx.facts().id);
        if let Err(error) = ctx.deliver(&target, sent) {
            return Err(error.on(message));
        }
        // The message has taken its branch along; what remains here is to tell the complete nodes.
        let mut deferred = ctx.defer();
        if let Some(token) = deferred.token.take() {
            token.finish(Outcome::Done);
        }
        let due = ctx.now_ms().saturating_add(self.timeout_ms);
        self.waiting.insert(call, Waiting { message, deferred, due });
        ctx.set_timer(call, due);
        Ok(())
    }

    fn receive(&mut self, mut message: Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        ctx.never_completes();
        let call = link_source::pop(&mut message, &ctx.facts().id);
        ctx.emit(0, message);
        if let Some((call, waiting)) = call.and_then(|call| self.waiting.remove_entry(&call)) {
            ctx.cancel_timer(call);
            ctx.finish(waiting.deferred, Outcome::Done);
        }
        Ok(())
    }

    fn signal(&mut self, signal: Signal, _ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        let Signal::Timer(call) = signal else { return Ok(()) };
        match self.waiting.remove(&call) {
            Some(waiting) => Err(NodeError::new("timeout").on(waiting.message)),
            None => Ok(()),
        }
    }

    fn stop(&mut self, _reason: StopReason, _ctx: &mut Ctx<'_>) -> Option<State> {
        (!self.waiting.is_empty()).then(|| State { version: FORM, data: encode(&self.waiting) })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use serde_json::json;
    use tidewire_node_api::bench::Bench;

    fn call() -> Bench {
        Bench::of::<LinkCall>(json!({"links": ["in"], "timeout": "2"})).with_entry("in", "in").with_completions()
    }

    #[test]
    fn the_answer_is_sent_on_and_ends_the_call() {
        let bench = call().send(1);
        let mut seen = bench.seen();
        let (to, sent) = seen.delivered.remove(0);
        assert_eq!(to, NodeId::from("in"));
        assert!(seen.completed.is_empty(), "not before the answer");
        let mut bench = bench.receive(sent);
        let (port, answer) = bench.take().remove(0);
        assert_eq!((port, answer.payload().as_i64()), (0, Some(1)));
        assert!(answer.get("_linkSource").is_none());
        assert_eq!(bench.seen().completed.len(), 1);
        assert!(bench.after_ms(3000).seen().errors.is_empty());
    }

    #[test]
    fn without_an_answer_in_time_the_message_as_it_came_is_an_error() {
        let bench = call().send_json(json!({"payload": 1, "_linkSource": [{"id": "0a", "node": "outer"}]}));
        let sent = bench.seen().delivered.remove(0).1;
        let bench = bench.after_ms(1999);
        assert!(bench.seen().errors.is_empty());
        let bench = bench.after_ms(1);
        let error = bench.seen().errors.remove(0);
        assert_eq!(error.text, "timeout");
        assert_eq!(error.message.unwrap().get("_linkSource").unwrap().as_array().unwrap().len(), 1);
        let mut late = bench.receive(sent);
        assert_eq!(late.take().len(), 1, "a late answer is sent on");
        assert!(late.seen().completed.is_empty());
    }

    #[test]
    fn a_successor_waits_on() {
        let state = call().send(1).send(2).after_ms(1500).stop(StopReason::Replaced);
        let bench = call().started_with(state).after_ms(1500);
        assert!(bench.seen().errors.is_empty(), "the bench's clock starts anew");
        let errors = bench.after_ms(500).seen().errors;
        let payloads: Vec<_> = errors.into_iter().map(|error| error.message.unwrap().payload().as_i64()).collect();
        assert!(payloads.len() == 2 && payloads.contains(&Some(1)) && payloads.contains(&Some(2)), "{payloads:?}");
    }

    #[test]
    fn the_message_may_name_whom_it_calls() {
        let dynamic = || Bench::of::<LinkCall>(json!({"linkType": "dynamic"})).with_entry("double", "in");
        let bench = dynamic().send_json(json!({"payload": 1, "target": "double"}));
        assert_eq!(bench.seen().delivered[0].0, NodeId::from("in"));
        let bench = dynamic().send_json(json!({"payload": 1, "target": "treble"}));
        let error = bench.seen().errors.remove(0);
        assert!(error.text.contains("treble") && error.message.is_some(), "{error}");
    }
}
