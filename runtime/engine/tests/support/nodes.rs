//! Test nodes that listen, keep records, and fail.

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire_model::Message;
use tidewire_model::flow::{Listens, Scope, What};
use tidewire_node_api::{BuildEnv, BuildError, Ctx, Kind, Meta, Node, NodeError, NodeType, Status};

use super::{Config, meta};

/// What a `hears` node hears: `errors`, `statuses` or `completions`, of the nodes named, or of its flow.
#[derive(Debug, Default, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct HearsConfig {
    what: String,
    scope: Option<Vec<String>>,
    uncaught: bool,
}

/// Sends on what it hears; a status as the number that its text is.
pub struct Hears;

impl NodeType for Hears {
    type Config = HearsConfig;
    const META: Meta = Meta { inputs: 0, ..meta("hears", Kind::Source) };
    const CONNECTS: bool = true;

    fn listens(config: &HearsConfig) -> Option<Listens> {
        let what = match config.what.as_str() {
            "errors" => What::Errors,
            "statuses" => What::Statuses,
            _ => What::Completions,
        };
        let scope = config.scope.as_ref().map(|ids| Scope::Nodes(ids.iter().map(|id| id.as_str().into()).collect()));
        Some(Listens { what, scope: scope.unwrap_or(Scope::Flow), uncaught: config.uncaught })
    }

    fn build(_config: HearsConfig, _env: &BuildEnv) -> Result<Self, BuildError> {
        Ok(Hears)
    }
}

impl Node for Hears {
    fn process(&mut self, message: Message, _ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        panic!("no wire leads here: {message:?}")
    }

    fn receive(&mut self, mut message: Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        if let Some(text) = message.get("status").and_then(|status| status.get("text")?.as_str()) {
            let number: i64 = text.parse().unwrap_or(-1);
            message.set_payload(number);
        }
        ctx.emit(0, message);
        Ok(())
    }
}

/// Sends the sum of all numbers so far, and keeps it: one record.
pub struct Keeps(i64);

impl NodeType for Keeps {
    type Config = Config;
    const META: Meta = meta("keeps", Kind::Stateful);

    fn build(_config: Config, _env: &BuildEnv) -> Result<Self, BuildError> {
        Ok(Keeps(0))
    }
}

impl Node for Keeps {
    fn start(&mut self, _state: Option<tidewire_node_api::State>, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        if let Some((_, sum)) = ctx.kept().first() {
            self.0 = i64::from_le_bytes(sum[..].try_into().unwrap());
        }
        Ok(())
    }

    fn process(&mut self, mut message: Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        self.0 += message.payload().as_i64().unwrap();
        let token = ctx.take_token();
        ctx.keep("sum", Some(Bytes::copy_from_slice(&self.0.to_le_bytes())), token);
        message.set_payload(self.0);
        ctx.emit(0, message);
        Ok(())
    }
}

/// Fails on every number that `every` divides; shows each number as its status.
pub struct Fails(i64);

impl NodeType for Fails {
    type Config = Config;
    const META: Meta = meta("fails", Kind::Pure);

    fn build(config: Config, _env: &BuildEnv) -> Result<Self, BuildError> {
        Ok(Fails(config.every))
    }
}

impl Node for Fails {
    fn process(&mut self, message: Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        let number = message.payload().as_i64().unwrap();
        ctx.status(Status::text(number.to_string()));
        if number % self.0 == 0 {
            return Err(NodeError::new("divides").on(message));
        }
        ctx.emit(0, message);
        Ok(())
    }
}

/// Sends its own number, `count`, for whatever comes.
pub struct Named(i64);

impl NodeType for Named {
    type Config = Config;
    const META: Meta = meta("named", Kind::Pure);

    fn build(config: Config, _env: &BuildEnv) -> Result<Self, BuildError> {
        Ok(Named(config.count))
    }
}

impl Node for Named {
    fn process(&mut self, mut message: Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        message.set_payload(self.0);
        ctx.emit(0, message);
        Ok(())
    }
}
