//! The options as they are given: by flag, by environment variable, or in a settings file.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::{Deserialize, Deserializer, Serialize};

use super::SettingsError;

/// Options of the server. Each one is a flag, a `TIDEWIRE_…` variable and a key of the settings file.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Options {
    /// Settings file (TOML; the keys are these flags without dashes in front)
    #[arg(long, value_name = "FILE", env = "TIDEWIRE_CONFIG", global = true)]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// Folder that holds everything [default: ./tidewire-data]
    #[arg(long, value_name = "DIR", env = "TIDEWIRE_DATA_DIR", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,
    /// Where the editor and the API listen [default: 127.0.0.1:1880]
    #[arg(long, value_name = "ADDR", env = "TIDEWIRE_HTTP", global = true, hide = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<String>,
    /// Where the embedded MQTT broker listens, or off [default: 127.0.0.1:1883]
    #[arg(long, value_name = "ADDR|off", env = "TIDEWIRE_MQTT", global = true, hide = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mqtt: Option<String>,
    /// Start with this flow file instead of the stored flows
    #[arg(long, value_name = "FILE", env = "TIDEWIRE_FLOWS", global = true, hide = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flows: Option<PathBuf>,
    /// Do not deploy the demo flows on the first start
    #[arg(long, value_name = "BOOL", env = "TIDEWIRE_NO_DEMO", num_args = 0..=1, require_equals = true, default_missing_value = "true", global = true, hide = true)]
    #[serde(deserialize_with = "word", skip_serializing_if = "Option::is_none")]
    pub no_demo: Option<String>,
    /// Load the flows without running them
    #[arg(long, value_name = "BOOL", env = "TIDEWIRE_SAFE", num_args = 0..=1, require_equals = true, default_missing_value = "true", global = true, hide = true)]
    #[serde(deserialize_with = "word", skip_serializing_if = "Option::is_none")]
    pub safe: Option<String>,
    /// Where events are kept: sled (on disk) or memory [default: sled]
    #[arg(long, value_name = "KIND", env = "TIDEWIRE_LOG", global = true, hide = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// How much the event log may take, in MiB; new events are refused at 90 % of it [default: the disk decides]
    #[arg(long, value_name = "MIB", env = "TIDEWIRE_LOG_MAX", global = true, hide = true)]
    #[serde(deserialize_with = "word", skip_serializing_if = "Option::is_none")]
    pub log_max: Option<String>,
    /// After how many days the whole event log is read again to find damage, or off [default: 7]
    #[arg(long, value_name = "DAYS", env = "TIDEWIRE_SCRUB", global = true, hide = true)]
    #[serde(deserialize_with = "word", skip_serializing_if = "Option::is_none")]
    pub scrub: Option<String>,
    /// Which part of the work this process does: all
    #[arg(long, value_name = "ROLE", env = "TIDEWIRE_ROLE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Keep nothing: events in memory, a temporary data folder
    #[arg(long, value_name = "BOOL", env = "TIDEWIRE_EPHEMERAL", num_args = 0..=1, require_equals = true, default_missing_value = "true", global = true, hide = true)]
    #[serde(deserialize_with = "word", skip_serializing_if = "Option::is_none")]
    pub ephemeral: Option<String>,
    /// Access control: on or off (off on loopback only, for development and tests) [default: on]
    #[arg(long, value_name = "on|off", env = "TIDEWIRE_AUTH", global = true, hide = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<String>,
    /// Allow nodes that run programs of this machine
    #[arg(long, value_name = "BOOL", env = "TIDEWIRE_ALLOW_EXEC", num_args = 0..=1, require_equals = true, default_missing_value = "true", global = true, hide = true)]
    #[serde(deserialize_with = "word", skip_serializing_if = "Option::is_none")]
    pub allow_exec: Option<String>,
    /// Folder that file nodes may use [default: DATA/files]
    #[arg(long, value_name = "DIR", env = "TIDEWIRE_FILES_ROOT", global = true, hide = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files_root: Option<PathBuf>,
    /// Offer the routes that only tests need
    #[arg(long, value_name = "BOOL", env = "TIDEWIRE_TEST_API", num_args = 0..=1, require_equals = true, default_missing_value = "true", global = true, hide = true)]
    #[serde(deserialize_with = "word", skip_serializing_if = "Option::is_none")]
    pub test_api: Option<String>,
    /// A context store: durable or memory; `default` may name another one (repeatable) [default: default=durable, memory=memory]
    #[arg(
        long,
        value_name = "NAME=KIND",
        env = "TIDEWIRE_CONTEXT_STORE",
        value_delimiter = ',',
        global = true,
        hide = true
    )]
    #[serde(deserialize_with = "pairs", skip_serializing_if = "Vec::is_empty")]
    pub context_store: Vec<String>,
    /// How much each context store may hold, in MiB [default: 128]
    #[arg(long, value_name = "MIB", env = "TIDEWIRE_CONTEXT_MAX", global = true, hide = true)]
    #[serde(deserialize_with = "word", skip_serializing_if = "Option::is_none")]
    pub context_max: Option<String>,
    /// How much may wait in front of all nodes together, in MiB; sources stop at 80 % of it [default: 256]
    #[arg(long, value_name = "MIB", env = "TIDEWIRE_INBOX_MEMORY", global = true, hide = true)]
    #[serde(deserialize_with = "word", skip_serializing_if = "Option::is_none")]
    pub inbox_memory: Option<String>,
    /// How often a message may go round in loops before it is an error of the node [default: 10000]
    #[arg(long, value_name = "N", env = "TIDEWIRE_MAX_HOPS", global = true, hide = true)]
    #[serde(deserialize_with = "word", skip_serializing_if = "Option::is_none")]
    pub max_hops: Option<String>,
    /// A setting that nodes ask for by Node-RED's name, such as nodeMessageBufferMaxLength=1000 (repeatable)
    #[arg(long, value_name = "NAME=VALUE", env = "TIDEWIRE_NODE_SETTING", global = true, hide = true)]
    #[serde(deserialize_with = "pairs", skip_serializing_if = "Vec::is_empty")]
    pub node_setting: Vec<String>,
    /// A proxy in front terminates TLS and sets X-Forwarded-For and X-Forwarded-Proto
    #[arg(long, value_name = "BOOL", env = "TIDEWIRE_BEHIND_PROXY", num_args = 0..=1, require_equals = true, default_missing_value = "true", global = true, hide = true)]
    #[serde(deserialize_with = "word", skip_serializing_if = "Option::is_none")]
    pub behind_proxy: Option<String>,
    /// Host name under which browsers reach the server (repeatable)
    #[arg(long, value_name = "NAME", env = "TIDEWIRE_ALLOW_HOST", value_delimiter = ',', global = true, hide = true)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow_host: Vec<String>,
    /// Events per second that one user or token may append over HTTP, in bursts of ten seconds' worth [default: no limit]
    #[arg(long, value_name = "N", env = "TIDEWIRE_APPEND_RATE", global = true, hide = true)]
    #[serde(deserialize_with = "word", skip_serializing_if = "Option::is_none")]
    pub append_rate: Option<String>,
    /// Streams that hold personal data and are encrypted, such as person-* (repeatable)
    #[arg(long, value_name = "PATTERN", env = "TIDEWIRE_PERSONAL", value_delimiter = ',', global = true, hide = true)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub personal: Vec<String>,
    /// Days for which the history of numbers is kept: by second, minute, hour and day; 0 is for ever [default: 7,90,1825,0]
    #[arg(long, value_name = "S,M,H,D", env = "TIDEWIRE_HISTORY_DAYS", global = true, hide = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history_days: Option<String>,
    /// Threads that run nodes [default: one less than cores]
    #[arg(long, value_name = "N", env = "TIDEWIRE_GRAPH_WORKERS", global = true, hide = true)]
    #[serde(deserialize_with = "word", skip_serializing_if = "Option::is_none")]
    pub graph_workers: Option<String>,
    /// Threads that serve HTTP [default: 1]
    #[arg(long, value_name = "N", env = "TIDEWIRE_WEB_WORKERS", global = true, hide = true)]
    #[serde(deserialize_with = "word", skip_serializing_if = "Option::is_none")]
    pub web_workers: Option<String>,
    /// What is logged: error, warn, info, debug, trace, or a filter such as info,tidewire=debug [default: info]
    #[arg(long, value_name = "FILTER", env = "TIDEWIRE_LOG_LEVEL", global = true, hide = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_level: Option<String>,
}

impl Options {
    /// Reads a settings file.
    pub(super) fn read(path: &Path) -> Result<Options, SettingsError> {
        let fail = |reason: String| SettingsError::File { path: path.to_owned(), reason };
        let text = std::fs::read_to_string(path).map_err(|error| fail(error.to_string()))?;
        toml::from_str(&text).map_err(|error: toml::de::Error| {
            let line = error.span().map(|span| text.get(..span.start).unwrap_or("").lines().count().max(1));
            let words = error.message().replace('\n', " ");
            fail(line.map_or_else(|| words.clone(), |line| format!("line {line}: {words}")))
        })
    }

    /// These options, and `under` where they say nothing.
    #[must_use]
    pub(super) fn over(self, under: Options) -> Options {
        Options {
            config: self.config.or(under.config),
            data_dir: self.data_dir.or(under.data_dir),
            http: self.http.or(under.http),
            mqtt: self.mqtt.or(under.mqtt),
            flows: self.flows.or(under.flows),
            no_demo: self.no_demo.or(under.no_demo),
            safe: self.safe.or(under.safe),
            log: self.log.or(under.log),
            role: self.role.or(under.role),
            ephemeral: self.ephemeral.or(under.ephemeral),
            auth: self.auth.or(under.auth),
            allow_exec: self.allow_exec.or(under.allow_exec),
            files_root: self.files_root.or(under.files_root),
            test_api: self.test_api.or(under.test_api),
            context_store: either(self.context_store, under.context_store),
            log_max: self.log_max.or(under.log_max),
            scrub: self.scrub.or(under.scrub),
            context_max: self.context_max.or(under.context_max),
            inbox_memory: self.inbox_memory.or(under.inbox_memory),
            max_hops: self.max_hops.or(under.max_hops),
            node_setting: either(self.node_setting, under.node_setting),
            behind_proxy: self.behind_proxy.or(under.behind_proxy),
            allow_host: either(self.allow_host, under.allow_host),
            append_rate: self.append_rate.or(under.append_rate),
            personal: either(self.personal, under.personal),
            history_days: self.history_days.or(under.history_days),
            graph_workers: self.graph_workers.or(under.graph_workers),
            web_workers: self.web_workers.or(under.web_workers),
            log_level: self.log_level.or(under.log_level),
        }
    }
}

fn either(list: Vec<String>, under: Vec<String>) -> Vec<String> {
    if list.is_empty() { under } else { list }
}

/// A file may have a table where a flag is repeated: `{ NAME = VALUE }` for `NAME=VALUE`.
fn pairs<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Pairs {
        List(Vec<String>),
        Table(toml::Table),
    }
    Ok(match Pairs::deserialize(deserializer)? {
        Pairs::List(list) => list,
        Pairs::Table(table) => table
            .into_iter()
            .map(|(name, value)| match value {
                toml::Value::String(text) => format!("{name}={text}"),
                other => format!("{name}={other}"),
            })
            .collect(),
    })
}

/// A file may say `true` and `3` where a flag says the same as text.
fn word<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Word {
        Text(String),
        Bool(bool),
        Number(i64),
    }
    Ok(Some(match Word::deserialize(deserializer)? {
        Word::Text(text) => text,
        Word::Bool(on) => on.to_string(),
        Word::Number(number) => number.to_string(),
    }))
}
