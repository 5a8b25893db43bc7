//! `projection-query` reads a read model, now or as it was.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire_model::event::time::parse_point;
use tidewire_model::{Map, Message, Problem, Value};
use tidewire_node_api::handles::{At, Entry, Projections};
use tidewire_node_api::selection::{Selection, SelectionError};
use tidewire_node_api::{
    BuildEnv, BuildError, Category, Ctx, Deferred, Emission, Kind, Meta, Node, NodeError, NodeType, Outcome, Role,
    lenient,
};

use crate::shared::template::Template;

/// Most entries that are read together.
const ENTRIES_MAX: usize = 10_000;

/// Reads a value from a read model that a projector keeps.
///
/// The value goes into `msg.payload`, and `msg.found` says whether there is one; without one the payload is null.
/// `msg.entry` has the key, the position of the event that changed it last, and its time. With an empty key, the payload is
/// a list of entries: those for which the *filter* holds, in order of *sort*, at most *limit* (10,000).
///
/// With *at*, the answer is the value, or the list, as it was at that time (`2026-03-14T15:09:00Z`, or milliseconds since 1970) or after
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
    /// Of a list: which entries, such as `value.temperature>21 and key=thing-*`; may contain `{{…}}`. With `=`, `!=`, `<`, `<=`,
    /// `>` and `>=`; what is compared is `key`, `time`, `position` or a path into the `value`.
    #[schemars(extend("x-widget" = "text", "x-show" = { "key": [""] }))]
    filter: String,
    /// Of a list: what it is ordered by, such as `value.temperature`; `-value.temperature` begins with the largest. Empty: the
    /// key.
    #[schemars(extend("x-widget" = "text", "x-show" = { "key": [""] }))]
    sort: String,
    /// Of a list: how many entries at most. Empty: 10,000.
    #[serde(deserialize_with = "lenient::text")]
    #[schemars(schema_with = "lenient::text_schema", extend("x-show" = { "key": [""] }))]
    limit: String,
}

impl Default for ProjectionQueryConfig {
    fn default() -> Self {
        ProjectionQueryConfig {
            projection: String::new(),
            key: "{{topic}}".to_owned(),
            at: String::new(),
            filter: String::new(),
            sort: String::new(),
            limit: String::new(),
        }
    }
}

pub(crate) struct ProjectionQuery {
    projection: Template,
    key: Template,
    at: Template,
    filter: Template,
    sort: String,
    limit: usize,
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
        let parsed = (
            parse(projection, "/projection"),
            parse(&config.key, "/key"),
            parse(config.at.trim(), "/at"),
            parse(config.filter.trim(), "/filter"),
        );
        let limit = match config.limit.trim() {
            "" => Some(ENTRIES_MAX),
            text => text.parse().ok().filter(|limit| (1..=ENTRIES_MAX).contains(limit)),
        };
        if limit.is_none() {
            let text = format!("\"{}\" is no number of entries; use 1 to {ENTRIES_MAX}", config.limit);
            problems.push(Problem::error("/limit", text));
        }
        let ((Some(projection), Some(key), Some(at), Some(filter)), Some(limit)) = (parsed, limit) else {
            return Err(BuildError(problems));
        };
        if let Some(Err(error)) = filter.constant().map(|text| Selection::parse(Some(text), None, None, limit)) {
            return Err(BuildError::at("/filter", error.to_string()));
        }
        if let Some(text) = at.constant().filter(|text| !text.is_empty() && parse_point(text).is_none()) {
            return Err(BuildError::at("/at", wrong_at(text)));
        }
        Ok(ProjectionQuery { projection, key, at, filter, sort: config.sort.trim().to_owned(), limit })
    }
}

fn wrong_at(text: &str) -> String {
    format!("\"{text}\" is neither a time nor a position; use 2026-03-14T15:09:00Z, milliseconds since 1970, or 120")
}

enum What {
    Entry(String),
    List(Selection),
}

/// What is asked for.
struct Question {
    projection: String,
    what: What,
    at: Option<At>,
}

impl ProjectionQuery {
    fn question(&self, message: &Message) -> Result<Question, NodeError> {
        let projection = self.projection.render(message)?;
        if projection.is_empty() {
            return Err(NodeError::new("the message does not say which projection; set one in the node"));
        }
        let what = match self.key.constant() {
            Some("") => {
                let filter = self.filter.render(message)?;
                let sort = Some(self.sort.as_str()).filter(|sort| !sort.is_empty());
                let selection = Selection::parse(Some(&filter), sort, None, self.limit);
                What::List(selection.map_err(|error| NodeError::new(error.to_string()))?)
            }
            _ => What::Entry(self.key.render(message)?),
        };
        let at = self.at.render(message)?;
        let at = match at.trim() {
            "" => None,
            text => Some(parse_point(text).ok_or_else(|| NodeError::new(wrong_at(text)))?),
        };
        Ok(Question { projection, what, at })
    }
}

fn facts(entry: &Entry) -> Map {
    let mut map = Map::with_capacity(4);
    map.insert("key", entry.key.as_str());
    map.insert("position", entry.position.get());
    map.insert("time", entry.time);
    map
}

async fn answer(read: &dyn Projections, question: Question, message: &mut Message) -> Result<(), SelectionError> {
    let key = match question.what {
        What::Entry(key) => key,
        What::List(selection) => {
            let entries = read.select(&question.projection, selection, question.at).await?.items;
            message.set("found", !entries.is_empty());
            let items = entries.into_iter().map(|entry| {
                let mut map = facts(&entry);
                map.insert("value", entry.value);
                Value::object(map)
            });
            message.set_payload(Value::array(items.collect()));
            return Ok(());
        }
    };
    let entry = match question.at {
        None => read.get(&question.projection, &key).await?,
        Some(at) => read.get_at(&question.projection, &key, at).await?,
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
                Err(error) => vec![Emission::Error { error: NodeError::new(error.to_string()).on(message), token }],
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
    fn a_list_is_filtered_put_in_order_and_looked_back_at() {
        let log = TestLog::new();
        let _projector = projector(&log);
        for (thing, n) in [("thing-a", 3), ("thing-b", 9), ("thing-c", 7), ("other-d", 8)] {
            log.append(thing, "reading-reported", json!({"n": n}));
        }
        let before = log.append("thing-e", "reading-reported", json!({"n": 5}));
        log.append("thing-c", "reading-reported", json!({"n": 1}));
        let config = json!({"projection": "latest", "key": "", "filter": "value>{{least}} and key=thing-*",
            "sort": "-value", "at": "{{when}}"});
        let keys = |answer: &Message| {
            let items = answer.payload().as_array().unwrap().to_vec();
            items.iter().map(|item| item.get("key").unwrap().to_text().into_owned()).collect::<Vec<_>>()
        };
        assert_eq!(keys(&ask(&log, config.clone(), json!({"least": 2}))), ["thing-b", "thing-e", "thing-a"]);
        let past = json!({"least": 4, "when": before.get()});
        assert_eq!(keys(&ask(&log, config, past)), ["thing-b", "thing-c", "thing-e"]);
        let first = json!({"projection": "latest", "key": "", "limit": 2});
        assert_eq!(keys(&ask(&log, first, json!({}))), ["other-d", "thing-a"]);
        for (config, path) in [(json!({"key": "", "filter": "value"}), "/filter"), (json!({"limit": "few"}), "/limit")]
        {
            assert!(Bench::try_of::<ProjectionQuery>(config).err().unwrap().contains(path));
        }
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
