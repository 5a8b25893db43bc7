//! `projector` keeps a read model: one value per key, computed from events. Storing and building it is the engine's work.

mod backlog;
mod cells;
mod config;
mod plan;
mod reduce;

use std::sync::Arc;

use tidewire_model::position::Position;
use tidewire_model::query::Filter;
use tidewire_model::{Message, Problem};
use tidewire_node_api::handles::{Progress, ProjectionGuard, ProjectionSpec};
use tidewire_node_api::{
    BuildEnv, BuildError, Category, Ctx, Fill, Kind, Meta, Node, NodeError, NodeType, Role, Shape, Signal, State,
    Status, StopReason,
};
use tidewire_script::Script;

use super::background::Background;
use crate::shared::event_filter::{condition, failures, filter};
use crate::shared::event_value::data_path;
use backlog::Backlog;
pub(crate) use config::{ProjectorConfig, ReducerKind};
use reduce::{KeyTemplate, Reduce};

/// The status is looked at so often, in milliseconds.
const STATUS_EVERY_MS: i64 = 1_000;
const STATUS_TIMER: u64 = 1;

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
        keywords: &[
            "read model",
            "view",
            "latest",
            "count",
            "sum",
            "average",
            "minimum",
            "maximum",
            "state",
            "twin",
            "window",
            "rate",
            "derivative",
            "integral",
            "duty cycle",
            "histogram",
            "percentile",
            "distinct",
            "state machine",
        ],
        ..Meta::new("projector", "Projector", Category::Events, Role::State, Kind::Source)
    };

    fn build(config: ProjectorConfig, env: &BuildEnv) -> Result<Self, BuildError> {
        let spec = spec(&config, env.id.as_str()).map_err(BuildError)?;
        Ok(Projector { name: spec.name.clone(), spec, keeping: None })
    }
}

/// The read model that a configuration asks for; `id` names it when it has no name.
pub(crate) fn spec(config: &ProjectorConfig, id: &str) -> Result<ProjectionSpec, Vec<Problem>> {
    let mut problems: Vec<Problem> = Vec::new();
    let key = KeyTemplate::parse(&config.key).map_err(|problem| problems.push(problem)).ok();
    let property = config.property.trim();
    let path = match property {
        "" | "data" => None,
        text => data_path(text, "/property").map_err(|problem| problems.push(problem)).ok(),
    };
    let script = match config.reducer {
        ReducerKind::Script => compile(&config.script).map_err(|problem| problems.push(problem)).ok(),
        _ => None,
    };
    let matching = condition(&config.filter).unwrap_or_else(|problem| {
        problems.push(problem);
        None
    });
    let plan = config.plan().map_err(|problem| problems.push(problem)).ok();
    let (Some(key), Some(plan), true) = (key, plan, problems.is_empty()) else { return Err(problems) };
    let name = match config.projection.trim() {
        "" => id.to_owned(),
        name => name.to_owned(),
    };
    let filter = Filter { matching, ..filter(&config.stream, &config.category, &config.event_types) };
    let source = script.as_ref().map(|_| config.script.as_str());
    let definition = serde_json::json!([2, filter, config.key, plan, property, source]).to_string();
    let Some(reduce) = Reduce::new(filter.clone(), key, plan, path, script) else { return Err(problems) };
    Ok(ProjectionSpec { name, filter, definition, reducer: Arc::new(reduce) })
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
            let failed = failures(&self.spec.filter).map(|(_, text)| text);
            ctx.status(status(&progress, keeping.backlog.skipped(), failed.as_deref()));
        }
        ctx.set_timer(STATUS_TIMER, ctx.now_ms() + STATUS_EVERY_MS);
    }
}

fn status(progress: &Progress, skipped: u64, filter_failed: Option<&str>) -> Status {
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
    if progress.lacks > Position::ZERO {
        text.push_str(&format!(", lacks events up to {} that retention removed", progress.lacks));
    }
    if let Some(failed) = filter_failed {
        text.push_str(&format!(", {failed}"));
    }
    let warns = progress.parked > 0 || progress.lacks > Position::ZERO || filter_failed.is_some();
    let fill = if warns { Fill::Yellow } else { Fill::Green };
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
mod naive_tests;
#[cfg(test)]
mod tests;
