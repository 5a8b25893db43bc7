//! `projector` keeps a read model: one value per key, computed from events. Storing and building it is the engine's work.

mod backlog;
mod reduce;

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire_model::{Message, Problem};
use tidewire_node_api::handles::{Progress, ProjectionGuard, ProjectionSpec};
use tidewire_node_api::{
    BuildEnv, BuildError, Category, Ctx, Fill, Kind, Meta, Node, NodeError, NodeType, Role, Shape, Signal, State,
    Status, StopReason,
};
use tidewire_script::Script;

use super::background::Background;
use crate::shared::event_filter::{filter, list, list_schema};
use crate::shared::event_value::data_path;
use backlog::Backlog;
pub(crate) use reduce::ReducerKind;
use reduce::{KeyTemplate, Reduce};

/// The status is looked at so often, in milliseconds.
const STATUS_EVERY_MS: i64 = 1_000;
const STATUS_TIMER: u64 = 1;

/// Keeps a read model of events: the latest value of each thing, a count, a sum, an extreme or an average.
///
/// Events that pass the filter are sorted by a *key*, the stream they stand in by default, and the reducer keeps one value
/// for each key. With a property, events that lack it are left out. The read model survives restarts; when its definition
/// changes it is built anew from the first event, while the old one can still be read. It is read with
/// `projection-query` or at `/api/projections/{name}/{key}`, now or as it was at any time.
///
/// The output sends a message whenever a value has changed: `topic` is the key, `payload` the value, `projection` the name
/// and `position` the event's. History is not sent again. If the nodes behind it are too slow for a long time, they get the
/// latest value of each key only.
///
/// An event that cannot be used (text where a number is wanted) is parked with the reason, and the read model goes on.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct ProjectorConfig {
    /// Name of the read model; unique. Empty: the node's id.
    #[schemars(length(max = 48), extend("x-widget" = "text"))]
    projection: String,
    /// Only this stream; `*` stands for anything. Empty: all.
    #[schemars(extend("x-widget" = "text"))]
    stream: String,
    /// Only streams of this category: what stands before the first `-`, such as `thing`. Empty: all.
    #[schemars(extend("x-widget" = "text"))]
    category: String,
    /// Only events of these types. Empty: all.
    #[serde(deserialize_with = "list")]
    #[schemars(schema_with = "list_schema")]
    event_types: Vec<String>,
    /// What belongs together: `{{subject}}` (the stream), `{{thing}}`, `{{type}}`, `{{data.room}}`, or a fixed word.
    key: KeyText,
    /// What is kept for each key.
    #[schemars(extend("x-widget" = "select"))]
    reducer: ReducerKind,
    /// Property of the event's data, such as `celsius`. Empty: the whole data.
    #[schemars(extend("x-widget" = "text"))]
    property: String,
    /// With the reducer `script`: `fn apply(state, event)` in rhai. It gives the new state of the key; `state` is `()` at
    /// first, and `()` as the answer removes the key. `event` has the envelope, `data`, `time_ms`, and with a property
    /// `value`.
    #[schemars(extend("x-widget" = "code", "x-language" = "rhai"))]
    script: String,
}

/// A key template; `{{subject}}` by default.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("x-widget" = "text"))]
struct KeyText(String);

impl Default for KeyText {
    fn default() -> Self {
        KeyText("{{subject}}".to_owned())
    }
}

pub(crate) struct Projector {
    name: String,
    spec: ProjectionSpec,
    keeping: Option<Keeping>,
}

struct Keeping {
    guard: Box<dyn ProjectionGuard>,
    backlog: Arc<Backlog>,
    _pump: Background,
}

impl NodeType for Projector {
    type Config = ProjectorConfig;

    const META: Meta = Meta {
        icon: "projector",
        inputs: 0,
        outputs: &["changed"],
        keywords: &["read model", "view", "latest", "count", "sum", "average", "minimum", "maximum", "state", "twin"],
        ..Meta::new("projector", "Projector", Category::Events, Role::State, Kind::Source)
    };

    fn build(config: ProjectorConfig, env: &BuildEnv) -> Result<Self, BuildError> {
        let mut problems: Vec<Problem> = Vec::new();
        let key = KeyTemplate::parse(&config.key.0).map_err(|problem| problems.push(problem)).ok();
        let property = config.property.trim();
        let path = match property {
            "" | "data" => None,
            text => data_path(text, "/property").map_err(|problem| problems.push(problem)).ok(),
        };
        let script = match config.reducer {
            ReducerKind::Script => compile(&config.script).map_err(|problem| problems.push(problem)).ok(),
            _ => None,
        };
        let (Some(key), true) = (key, problems.is_empty()) else { return Err(BuildError(problems)) };
        let name = match config.projection.trim() {
            "" => env.id.as_str().to_owned(),
            name => name.to_owned(),
        };
        let filter = filter(&config.stream, &config.category, &config.event_types);
        let source = script.as_ref().map(|_| config.script.as_str());
        let definition = serde_json::json!([1, filter, config.key, config.reducer, property, source]).to_string();
        let reducer = Arc::new(Reduce::new(filter.clone(), key, config.reducer, path).with_script(script));
        let spec = ProjectionSpec { name: name.clone(), filter, definition, reducer };
        Ok(Projector { name, spec, keeping: None })
    }
}

fn compile(text: &str) -> Result<Script, Problem> {
    Script::compile_function(text, "apply", 2).map_err(|error| {
        let text = format!("{error}; write it as fn apply(state, event) {{ … }}");
        Problem::error("/script", text)
    })
}

impl Projector {
    fn show(&self, ctx: &Ctx<'_>) {
        let Some(keeping) = &self.keeping else { return };
        if let Some(progress) = keeping.guard.progress() {
            ctx.status(status(&progress, keeping.backlog.skipped()));
        }
        ctx.set_timer(STATUS_TIMER, ctx.now_ms() + STATUS_EVERY_MS);
    }
}

fn status(progress: &Progress, skipped: u64) -> Status {
    if let Some(reason) = &progress.failed {
        return Status::error(reason);
    }
    if let Some(part) = progress.building {
        return Status::waiting(format!("building, {:.0} %", part * 100.0));
    }
    let mut text = if progress.keys == 1 { "1 key".to_owned() } else { format!("{} keys", progress.keys) };
    for (count, what) in [(progress.lag, "behind"), (progress.parked, "parked"), (skipped, "changes skipped")] {
        if count > 0 {
            text.push_str(&format!(", {count} {what}"));
        }
    }
    let fill = if progress.parked > 0 { Fill::Yellow } else { Fill::Green };
    Status::new(fill, Shape::Dot, text)
}

impl Node for Projector {
    fn start(&mut self, _state: Option<State>, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        let backlog = Arc::new(Backlog::new(self.name.clone()));
        let pump = Background::spawn(Arc::clone(&backlog).run(ctx.feed()))?;
        let told = Arc::clone(&backlog);
        let kept = ctx.services().projections.keep(self.spec.clone(), Box::new(move |entries| told.push(entries)));
        let guard = kept.map_err(|error| NodeError::new(error.text))?;
        self.keeping = Some(Keeping { guard, backlog, _pump: pump });
        self.show(ctx);
        Ok(())
    }

    fn process(&mut self, _message: Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        ctx.drop_message();
        Ok(())
    }

    fn receive(&mut self, mut message: Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        message.set_id(ctx.next_id());
        ctx.emit(0, message);
        Ok(())
    }

    fn signal(&mut self, signal: Signal, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        if let Signal::Timer(STATUS_TIMER) = signal {
            self.show(ctx);
        }
        Ok(())
    }

    fn stop(&mut self, _reason: StopReason, ctx: &mut Ctx<'_>) -> Option<State> {
        ctx.cancel_timer(STATUS_TIMER);
        self.keeping = None;
        None
    }
}

#[cfg(test)]
mod tests;
