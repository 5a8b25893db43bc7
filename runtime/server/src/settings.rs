//! Settings: flags over environment over file over defaults, checked once and then never again.
//!
//! Every value travels as text up to [`Settings::resolve`], so that a bad one is reported in the same words wherever
//! it came from.

mod options;
mod parse;

use std::net::SocketAddr;
use std::path::PathBuf;

pub use options::Options;
use parse::{address, boolean, context, count, history_days, host_name, keyword, node_setting, whole};
use tidewire_engine::{ContextSettings, StoreKind};

use crate::history::Keeping;

/// Where the event log lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogKind {
    Sled,
    Memory,
}

/// Everything the server is started with.
#[derive(Debug, Clone)]
pub struct Settings {
    pub data_dir: PathBuf,
    pub http: SocketAddr,
    /// `None`: no embedded broker.
    pub mqtt: Option<SocketAddr>,
    /// Flow file to start with instead of the stored one.
    pub flows: Option<PathBuf>,
    pub demo: bool,
    /// Flows are loaded and do not run.
    pub safe: bool,
    pub log: LogKind,
    /// What the event log may take; the disk decides without it.
    pub log_max_bytes: Option<u64>,
    /// After how many days the event log is read through again; never without it.
    pub scrub_days: Option<u32>,
    /// Nothing is kept; the data folder is a temporary one.
    pub ephemeral: bool,
    pub auth: bool,
    pub allow_exec: bool,
    pub files_root: PathBuf,
    pub test_api: bool,
    pub context: ContextSettings,
    /// What may wait in front of all nodes together, in MiB.
    pub inbox_mib: u32,
    /// Rounds that a message may go in loops.
    pub max_hops: u32,
    /// Settings that nodes ask for, by name.
    pub node_settings: Vec<(String, serde_json::Value)>,
    /// A proxy that terminates TLS stands in front.
    pub behind_proxy: bool,
    /// Names beside loopback ones and IP addresses that a `Host` header may have.
    pub allow_hosts: Vec<String>,
    /// Events per second that one user or token may append over HTTP.
    pub append_rate: Option<u32>,
    /// Patterns of streams that hold personal data, beside those that are set while it runs.
    pub personal: Vec<String>,
    /// How long the history of numbers is kept.
    pub history: Keeping,
    pub graph_workers: usize,
    pub web_workers: usize,
    pub log_level: String,
}

/// A setting that cannot be used: which, why, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    #[error("setting {name} is '{value}', {reason}; {mend}")]
    Value { name: &'static str, value: String, reason: String, mend: &'static str },
    #[error("cannot read the settings file {}: {reason}; mend it or leave --config out", path.display())]
    File { path: PathBuf, reason: String },
    #[error("{0}")]
    Together(String),
}

/// Default data folder.
const DATA_DIR: &str = "./tidewire-data";
const HTTP: &str = "127.0.0.1:1880";
const MQTT: &str = "127.0.0.1:1883";
const INBOX_MIB: u32 = 256;
const SCRUB_DAYS: u32 = 7;
const MAX_HOPS: u32 = 10_000;

impl Settings {
    /// Checks what was given and fills in the rest. Reads the settings file if one is named, touches nothing else.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn resolve(given: Options) -> Result<Settings, SettingsError> {
        let options = match &given.config {
            Some(path) => given.clone().over(Options::read(path)?),
            None => given,
        };
        let ephemeral = boolean("ephemeral", options.ephemeral.as_deref(), false)?;
        let data_dir = match (&options.data_dir, ephemeral) {
            (Some(dir), _) => dir.clone(),
            (None, true) => temporary_dir(),
            (None, false) => PathBuf::from(DATA_DIR),
        };
        let http = address("http", options.http.as_deref().unwrap_or(HTTP))?;
        let mqtt = match options.mqtt.as_deref().unwrap_or(MQTT) {
            "off" => None,
            text => Some(address("mqtt", text)?),
        };
        let log = if ephemeral { LogKind::Memory } else { log_kind(options.log.as_deref())? };
        role(options.role.as_deref())?;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let settings = Settings {
            files_root: options.files_root.clone().unwrap_or_else(|| data_dir.join("files")),
            data_dir,
            http,
            mqtt,
            flows: options.flows.clone(),
            demo: !boolean("no-demo", options.no_demo.as_deref(), false)?,
            safe: boolean("safe", options.safe.as_deref(), false)?,
            log,
            log_max_bytes: options
                .log_max
                .as_deref()
                .map(|text| count("log-max", Some(text), 0))
                .transpose()?
                .map(|mib| u64::from(mib) << 20),
            scrub_days: match options.scrub.as_deref() {
                Some("off") => None,
                text => Some(count("scrub", text, SCRUB_DAYS)?),
            },
            ephemeral,
            auth: keyword("auth", options.auth.as_deref().unwrap_or("on"), &[("on", true), ("off", false)])?,
            allow_exec: boolean("allow-exec", options.allow_exec.as_deref(), false)?,
            test_api: boolean("test-api", options.test_api.as_deref(), false)?,
            context: context(&options.context_store, options.context_max.as_deref())?,
            inbox_mib: count("inbox-memory", options.inbox_memory.as_deref(), INBOX_MIB)?,
            max_hops: count("max-hops", options.max_hops.as_deref(), MAX_HOPS)?,
            node_settings: options.node_setting.iter().map(|text| node_setting(text)).collect::<Result<_, _>>()?,
            behind_proxy: boolean("behind-proxy", options.behind_proxy.as_deref(), false)?,
            allow_hosts: options.allow_host.iter().map(|name| host_name(name)).collect::<Result<_, _>>()?,
            append_rate: options.append_rate.as_deref().map(|text| count("append-rate", Some(text), 0)).transpose()?,
            personal: options.personal.clone(),
            history: history_days(options.history_days.as_deref())?,
            graph_workers: whole("graph-workers", options.graph_workers.as_deref(), default_graph_workers(cores))?,
            web_workers: whole("web-workers", options.web_workers.as_deref(), 1)?,
            log_level: options.log_level.unwrap_or_else(|| "info".to_owned()),
        };
        settings.check_together()?;
        Ok(settings)
    }

    fn check_together(&self) -> Result<(), SettingsError> {
        let refuse = |text: String| Err(SettingsError::Together(text));
        if !self.auth && !self.http.ip().is_loopback() {
            return refuse(format!(
                "--auth off is for loopback only, but --http is {}; use 127.0.0.1, or leave --auth off out",
                self.http
            ));
        }
        if !self.http.ip().is_loopback() && !self.behind_proxy {
            return refuse(format!(
                "--http {} would send passwords over the network in clear; put a proxy that terminates TLS in front \
                 and add --behind-proxy, or use 127.0.0.1",
                self.http
            ));
        }
        if self.mqtt.is_some_and(|mqtt| mqtt.port() != 0 && mqtt == self.http) {
            return refuse(format!("--http and --mqtt are both {}; give each a port of its own", self.http));
        }
        Ok(())
    }

    /// The effective settings in the form of a settings file.
    pub fn to_toml(&self) -> String {
        toml::to_string(&self.as_options()).unwrap_or_default()
    }

    /// The effective settings, for a data folder that may lie elsewhere next time. What was meant for one start only is
    /// not in them.
    pub fn to_keep(&self) -> String {
        let mut options = self.as_options();
        options.files_root.take_if(|root| *root == self.data_dir.join("files"));
        let kept = Options { data_dir: None, flows: None, ephemeral: None, safe: None, ..options };
        toml::to_string(&kept).unwrap_or_default()
    }

    fn context_pairs(&self) -> Vec<String> {
        let kind = |kind| if kind == StoreKind::Durable { "durable" } else { "memory" };
        let default = self.context.default_store();
        let alias = (default != "default").then(|| format!("default={default}"));
        let stores = self.context.stores().iter().map(|(name, of)| format!("{name}={}", kind(*of)));
        alias.into_iter().chain(stores).collect()
    }

    fn as_options(&self) -> Options {
        let word = |on: bool| Some(on.to_string());
        Options {
            config: None,
            data_dir: Some(self.data_dir.clone()),
            http: Some(self.http.to_string()),
            mqtt: Some(self.mqtt.map_or_else(|| "off".to_owned(), |address| address.to_string())),
            flows: self.flows.clone(),
            no_demo: word(!self.demo),
            safe: word(self.safe),
            log: Some(if self.log == LogKind::Sled { "sled" } else { "memory" }.to_owned()),
            role: Some("all".to_owned()),
            ephemeral: word(self.ephemeral),
            auth: Some(if self.auth { "on" } else { "off" }.to_owned()),
            allow_exec: word(self.allow_exec),
            files_root: Some(self.files_root.clone()),
            test_api: word(self.test_api),
            context_store: self.context_pairs(),
            log_max: self.log_max_bytes.map(|bytes| (bytes >> 20).to_string()),
            scrub: Some(self.scrub_days.map_or_else(|| "off".to_owned(), |days| days.to_string())),
            context_max: Some((self.context.bytes_max() >> 20).to_string()),
            inbox_memory: Some(self.inbox_mib.to_string()),
            max_hops: Some(self.max_hops.to_string()),
            node_setting: self.node_settings.iter().map(|(name, value)| format!("{name}={value}")).collect(),
            behind_proxy: word(self.behind_proxy),
            allow_host: self.allow_hosts.clone(),
            append_rate: self.append_rate.map(|rate| rate.to_string()),
            personal: self.personal.clone(),
            history_days: Some(self.history.to_string()),
            graph_workers: Some(self.graph_workers.to_string()),
            web_workers: Some(self.web_workers.to_string()),
            log_level: Some(self.log_level.clone()),
        }
    }
}

/// One core is left to the log, the broker and the MQTT connections: sharing it costs more than it brings.
fn default_graph_workers(cores: usize) -> usize {
    if cores <= 2 { 1 } else { cores - 1 }
}

fn temporary_dir() -> PathBuf {
    let unique = ulid::Ulid::new().to_string().to_lowercase();
    std::env::temp_dir().join(format!("tidewire-{unique}"))
}

fn log_kind(text: Option<&str>) -> Result<LogKind, SettingsError> {
    keyword("log", text.unwrap_or("sled"), &[("sled", LogKind::Sled), ("memory", LogKind::Memory)])
}

fn role(text: Option<&str>) -> Result<(), SettingsError> {
    keyword("role", text.unwrap_or("all"), &[("all", ())])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn resolve(change: impl FnOnce(&mut Options)) -> Result<Settings, SettingsError> {
        let mut options = Options::default();
        change(&mut options);
        Settings::resolve(options)
    }

    #[test]
    fn defaults_listen_on_loopback_only() {
        let settings = resolve(|_| ()).unwrap();
        assert_eq!(settings.http.to_string(), "127.0.0.1:1880");
        assert_eq!(settings.mqtt.unwrap().to_string(), "127.0.0.1:1883");
        assert!(settings.auth && settings.demo && !settings.test_api && !settings.allow_exec);
        assert_eq!(settings.files_root, PathBuf::from("./tidewire-data/files"));
    }

    #[test]
    fn a_bad_value_says_what_and_how_to_mend_it() {
        for (option, part) in [
            (resolve(|o| o.http = Some("localhost".into())), "127.0.0.1:1880"),
            (resolve(|o| o.http = Some("127.0.0.1:99999".into())), "127.0.0.1:1880"),
            (resolve(|o| o.mqtt = Some("no".into())), "off"),
            (resolve(|o| o.log = Some("postgres".into())), "sled or memory"),
            (resolve(|o| o.auth = Some("maybe".into())), "on or off"),
            (resolve(|o| o.graph_workers = Some("0".into())), "1"),
            (resolve(|o| o.safe = Some("perhaps".into())), "true or false"),
            (resolve(|o| o.inbox_memory = Some("0".into())), "from 1 to"),
            (resolve(|o| o.max_hops = Some("many".into())), "from 1 to"),
            (resolve(|o| o.history_days = Some("7,90".into())), "7,90,1825,0"),
            (resolve(|o| o.context_store = vec!["a=redis".into()]), "NAME=memory"),
            (resolve(|o| o.context_store = vec!["default=files".into()]), "Default context store unknown: 'files'"),
            (resolve(|o| o.context_max = Some("lots".into())), "from 1 to"),
            (resolve(|o| o.log_max = Some("1GB".into())), "from 1 to"),
            (
                resolve(|o| o.node_setting = vec!["nodeMessageBufferMaxLength".into()]),
                "nodeMessageBufferMaxLength=1000",
            ),
        ] {
            let text = option.unwrap_err().to_string();
            assert!(text.contains(part) && text.lines().count() == 1, "{text}");
        }
    }

    #[test]
    fn nobody_gets_an_open_server_on_the_network() {
        let text = resolve(|o| {
            o.http = Some("0.0.0.0:1880".into());
            o.auth = Some("off".into());
            o.behind_proxy = Some("true".into());
        });
        assert!(text.unwrap_err().to_string().contains("loopback only"));
        let text = resolve(|o| o.http = Some("0.0.0.0:1880".into())).unwrap_err().to_string();
        assert!(text.contains("--behind-proxy"), "{text}");
    }

    #[test]
    fn the_printed_settings_can_be_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tidewire.toml");
        let first = resolve(|o| {
            o.http = Some("127.0.0.1:4000".into());
            o.mqtt = Some("off".into());
            o.safe = Some("true".into());
            (o.inbox_memory, o.max_hops, o.log_max) = (Some("64".into()), Some("500".into()), Some("900".into()));
            o.context_store = vec!["a=memory".into(), "files=localfilesystem".into(), "default=files".into()];
            o.node_setting = vec!["nodeMessageBufferMaxLength=10".into(), "word=on".into()];
        });
        std::fs::write(&file, first.as_ref().unwrap().to_toml()).unwrap();
        let second = resolve(|o| o.config = Some(file)).unwrap();
        assert_eq!(second.to_toml(), first.unwrap().to_toml());
    }

    #[test]
    fn a_settings_file_may_use_plain_toml_and_flags_win() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tidewire.toml");
        std::fs::write(&file, "http = '127.0.0.1:5000'\nsafe = true\ngraph-workers = 3\n").unwrap();
        let settings = resolve(|o| {
            o.config = Some(file.clone());
            o.http = Some("127.0.0.1:5001".into());
        })
        .unwrap();
        assert_eq!((settings.http.port(), settings.safe, settings.graph_workers), (5001, true, 3));
        std::fs::write(&file, "htpp = 'x'\n").unwrap();
        let text = resolve(|o| o.config = Some(file)).unwrap_err().to_string();
        assert!(text.contains("htpp") && text.lines().count() == 1, "{text}");
    }

    #[test]
    fn a_settings_file_may_list_stores_and_node_settings_as_tables() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tidewire.toml");
        let text = "context-store = { default = 'durable', fast = 'memory' }\ncontext-max = 7\n\
                    [node-setting]\nnodeMessageBufferMaxLength = 5\n";
        std::fs::write(&file, text).unwrap();
        let settings = resolve(|o| o.config = Some(file)).unwrap();
        assert_eq!((settings.context.default_store(), settings.context.bytes_max()), ("default", 7 << 20));
        assert_eq!(settings.context.stores().len(), 2);
        assert_eq!(settings.node_settings, [("nodeMessageBufferMaxLength".to_owned(), 5.into())]);
    }
}
