//! `projection-query` reads a read model, now or as it was.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire_model::{Map, Message, Problem, Value};
use tidewire_node_api::handles::{At, Entry, HandleError, Projections};
use tidewire_node_api::{
    BuildEnv, BuildError, Category, Ctx, Deferred, Emission, Kind, Meta, Node, NodeError, NodeType, Outcome, Role,
    lenient,
};

use crate::shared::event_filter::parse_at;
use crate::shared::template::Template;

/// Most entries that are read together.
const ENTRIES_MAX: usize = 10_000;

/// Reads a value from a read model that a projector keeps.
///
/// The value goes into `msg.payload`, and `msg.found` says whether there is one; without one the payload is null.
/// `msg.entry` has the key, the position of the event that changed it last, and its time. With an empty key, the payload is
/// the list of all entries.
///
/// With *at*, the answer is the value as it was at that time (`2026-03-14T15:09:00Z`, or milliseconds since 1970) or after
/// the event at that position (a smaller number).
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct ProjectionQueryConfig {
    /// Name of the read model; may contain `{{…}}`. Empty: `msg.projection`.
    #[schemars(extend("x-widget" = "text"))]
    projection: String,
    /// Which entry, such as `{{topic}}`. Empty: all.
    #[schemars(extend("x-widget" = "text"))]
    key: String,
    /// A time or a position in the past; may contain `{{…}}`. Empty: now.
    #[serde(deserialize_with = "lenient::text")]
    #[schemars(schema_with = "lenient::text_schema")]
    at: String,
}

impl Default for ProjectionQueryConfig {
    fn default() -> Self {
        ProjectionQueryConfig { projection: String::new(), key: "{{topic}}".to_owned(), at: String::new() }
    }
}

pub(crate) struct ProjectionQuery {
    projection: Template,
    key: Template,
    at: Template,
}

impl NodeType for ProjectionQuery {
    type Config = ProjectionQueryConfig;

    const META: Meta = Meta {
        icon: "projection-query",
        outputs: &["answer"],
        keywords: &["read", "get", "look up", "history", "as of", "time travel", "read model"],
        ..Meta::new("projection-query", "Query projection", Category::Events, Role::State, Kind::Pure)
    };

    fn build(config: ProjectionQueryConfig, _env: &BuildEnv) -> Result<Self, BuildError> {
        let mut problems: Vec<Problem> = Vec::new();
        let projection = match config.projection.trim() {
            "" => "{{projection}}",
            name => name,
        };
        let mut parse = |text: &str, at| Template::parse(text, at).map_err(|problem| problems.push(problem)).ok();
        let parsed = (parse(projection, "/projection"), parse(&config.key, "/key"), parse(config.at.trim(), "/at"));
        let (Some(projection), Some(key), Some(at)) = parsed else { return Err(BuildError(problems)) };
        if let Some(text) = at.constant().filter(|text| !text.is_empty() && parse_at(text).is_none()) {
            return Err(BuildError::at("/at", wrong_at(text)));
        }
        Ok(ProjectionQuery { projection, key, at })
    }
}

fn wrong_at(text: &str) -> String {
    format!("\"{text}\" is neither a time nor a position; use 2026-03-14T15:09:00Z, milliseconds since 1970, or 120")
}

/// What is asked for.
struct Question {
    projection: String,
    /// `None`: all entries.
    key: Option<String>,
    at: Option<At>,
}

impl ProjectionQuery {
    fn question(&self, message: &Message) -> Result<Question, NodeError> {
        let projection = self.projection.render(message)?;
        if projection.is_empty() {
            return Err(NodeError::new("the message does not say which projection; set one in the node"));
        }
        let key = match self.key.constant() {
            Some("") => None,
            _ => Some(self.key.render(message)?),
        };
        let at = self.at.render(message)?;
        let at = match at.trim() {
            "" => None,
            text => Some(parse_at(text).ok_or_else(|| NodeError::new(wrong_at(text)))?),
        };
        if key.is_none() && at.is_some() {
            return Err(NodeError::new("all entries can be read as they are now only; give a key to look back"));
        }
        Ok(Question { projection, key, at })
    }
}

fn facts(entry: &Entry) -> Map {
    let mut map = Map::with_capacity(4);
    map.insert("key", entry.key.as_str());
    map.insert("position", entry.position.get());
    map.insert("time", entry.time);
    map
}

async fn answer(read: &dyn Projections, question: Question, message: &mut Message) -> Result<(), HandleError> {
    let Some(key) = &question.key else {
        let entries = read.list(&question.projection, ENTRIES_MAX).await?;
        message.set("found", !entries.is_empty());
        let items = entries.into_iter().map(|entry| {
            let mut map = facts(&entry);
            map.insert("value", entry.value);
            Value::object(map)
        });
        message.set_payload(Value::array(items.collect()));
        return Ok(());
    };
    let entry = match question.at {
        None => read.get(&question.projection, key).await?,
        Some(at) => read.get_at(&question.projection, key, at).await?,
    };
    message.set("found", entry.is_some());
    match entry {
        Some(entry) => {
            message.set("entry", facts(&entry));
            message.set_payload(entry.value);
        }
        None => {
            message.body_mut().remove("entry");
            message.set_payload(Value::Null);
        }
    }
    Ok(())
}

impl Node for ProjectionQuery {
    fn process(&mut self, mut message: Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        let question = match self.question(&message) {
            Ok(question) => question,
            Err(error) => return Err(error.on(message)),
        };
        let Deferred { token, completion } = ctx.defer();
        let read = Arc::clone(&ctx.services().projections);
        ctx.spawn_ordered(async move {
            match answer(&*read, question, &mut message).await {
                Ok(()) => {
                    let ended = Deferred { token: None, completion };
                    let ended = Emission::Finish { deferred: ended, outcome: Outcome::Done };
                    vec![Emission::Emit { port: 0, message, token }, ended]
                }
                Err(error) => vec![Emission::Error { error: NodeError::new(error.text).on(message), token }],
            }
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use crate::events::projector::Projector;
    use crate::events::test_log::TestLog;
    use serde_json::json;
    use tidewire_node_api::bench::Bench;

    fn projector(log: &TestLog) -> Bench {
        let _entered = log.runtime.enter();
        let config = json!({"projection": "latest", "property": "n"});
        Bench::of::<Projector>(config).with_services(log.services()).started_with(None)
    }

    fn ask(log: &TestLog, config: serde_json::Value, message: serde_json::Value) -> Message {
        log.caught_up("latest");
        let mut bench = Bench::of::<ProjectionQuery>(config).with_services(log.services()).send_json(message);
        let errors = bench.seen().errors;
        assert!(errors.is_empty(), "{errors:?}");
        bench.take().remove(0).1
    }

    #[test]
    fn it_answers_with_the_value_now_and_in_the_past() {
        let log = TestLog::new();
        let _projector = projector(&log);
        let first = log.append("thing-a", "reading-reported", json!({"n": 1}));
        log.append("thing-a", "reading-reported", json!({"n": 2}));
        let answer = ask(&log, json!({"projection": "latest"}), json!({"topic": "thing-a"}));
        assert_eq!((answer.payload(), answer.get("found")), (&Value::Int(2), Some(&Value::Bool(true))));
        assert_eq!(answer.get("entry").unwrap().get("position"), Some(&Value::Int(2)));
        let config = json!({"projection": "latest", "key": "thing-{{payload}}", "at": "{{when}}"});
        let answer = ask(&log, config.clone(), json!({"payload": "a", "when": first.get()}));
        assert_eq!(answer.payload(), &Value::Int(1));
        let answer = ask(&log, config, json!({"payload": "a", "when": "2020-01-01T00:00:00Z"}));
        assert_eq!((answer.payload(), answer.get("found")), (&Value::Null, Some(&Value::Bool(false))));
    }

    #[test]
    fn without_a_key_it_lists_all_and_what_is_missing_is_not_found() {
        let log = TestLog::new();
        let _projector = projector(&log);
        for thing in ["thing-b", "thing-a"] {
            log.append(thing, "reading-reported", json!({"n": 7}));
        }
        let answer = ask(&log, json!({"projection": "latest", "key": ""}), json!({}));
        let keys: Vec<_> = answer.payload().as_array().unwrap().iter().map(|item| item.get("key").unwrap()).collect();
        assert_eq!(keys, [&Value::string("thing-a"), &Value::string("thing-b")]);
        let answer = ask(&log, json!({}), json!({"topic": "thing-x", "projection": "latest", "payload": 1}));
        assert_eq!((answer.payload(), answer.get("found")), (&Value::Null, Some(&Value::Bool(false))));
    }

    #[test]
    fn complete_nodes_hear_of_answers_and_not_of_errors() {
        let log = TestLog::new();
        let _projector = projector(&log);
        log.caught_up("latest");
        let bench = Bench::of::<ProjectionQuery>(json!({})).with_services(log.services());
        let bench = bench.with_completions().send_json(json!({"topic": "a", "projection": "latest"}));
        assert_eq!(bench.seen().completed.len(), 1);
        let bench = bench.send_json(json!({"topic": "b"}));
        let seen = bench.seen();
        assert_eq!((seen.completed.len(), seen.errors.len()), (0, 1), "{:?}", seen.errors);
    }

    #[test]
    fn a_question_that_cannot_be_answered_is_an_error() {
        let log = TestLog::new();
        let bench = Bench::of::<ProjectionQuery>(json!({"at": "{{when}}"})).with_services(log.services());
        let bench = bench.send_json(json!({"topic": "a"})).send_json(json!({"projection": "p", "when": "noon"}));
        let texts: Vec<String> = bench.seen().errors.into_iter().map(|error| error.text).collect();
        assert!(texts[0].contains("which projection") && texts[1].contains("\"noon\""), "{texts:?}");
        assert!(Bench::try_of::<ProjectionQuery>(json!({"at": "noon"})).err().unwrap().contains("/at"));
    }
}
