//! The running parts: event log, read models, engine and broker, built in this order and ended in the other.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;
use tidewire_broker::Broker;
use tidewire_engine::dead_letters::LETTERS_OF;
use tidewire_engine::log_handle::LogHandle;
use tidewire_engine::projections::ProjectionService;
use tidewire_engine::schemas::Schemas;
use tidewire_engine::{
    DeployError, DeployKind, DeployRequest, Deployed, Engine, EngineConfig, EngineError, SystemClock,
};
use tidewire_log::consumers::Consumers;
use tidewire_log::{EventLog, JournalLog, JournalOptions, LogError, MemoryLog};
use tidewire_model::NodeId;
use tidewire_model::flow::{DocumentError, FlowDocument};
use tidewire_node_api::{Registry, Services};

use super::{Environment, LogClock};
use crate::backups::Backups;
use crate::files::DataDir;
use crate::followers::Followers;
use crate::history::{History, Keeping};
use crate::live::Live;
use crate::metrics::MeteredLog;
use crate::outgoing::{Outgoing, Policy};
use crate::scrub::Scrubs;
use crate::secrets::{self, Secrets, SecretsError};
use crate::settings::LogKind;
use crate::things::Things;

/// The running parts.
pub struct Core {
    pub registry: Arc<Registry>,
    pub log: Arc<MeteredLog>,
    pub projections: ProjectionService,
    pub schemas: Schemas,
    pub engine: Engine,
    pub live: Live,
    pub things: Things,
    pub history: History,
    pub environment: Arc<Environment>,
    /// Who follows the log over HTTP.
    pub followers: Arc<Followers>,
    pub backups: Backups,
    pub scrubs: Scrubs,
    pub consumers: Arc<Consumers>,
    secrets: Arc<Secrets>,
    broker: Mutex<Option<Broker>>,
    /// Held while flows and their secrets are changed together.
    deploying: tokio::sync::Mutex<()>,
    /// Held while read models forget what was erased.
    pub(super) erasing: tokio::sync::Mutex<()>,
}

/// Why the running parts did not come up, or a deploy failed.
#[derive(Debug, thiserror::Error)]
pub enum CoreError {
    #[error("{}", .0.full_text())]
    Log(LogError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Document(#[from] DocumentError),
    #[error(transparent)]
    Deploy(#[from] DeployError),
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    #[error("{0}")]
    Credentials(String),
    #[error("the flows bring secrets along, which who deploys them may not set")]
    SecretsForbidden,
    #[error("{0}")]
    Other(String),
}

/// What the running parts are made of.
pub struct CoreParts {
    pub secrets: Arc<Secrets>,
    pub broker: Option<Broker>,
    /// Where nodes run.
    pub graph: tokio::runtime::Handle,
    pub safe: bool,
    /// How long the history of numbers is kept.
    pub history: Keeping,
}

/// Who deploys.
#[derive(Debug, Clone, Copy)]
pub struct Author<'a> {
    pub name: &'a str,
    /// May set and remove secrets.
    pub sets_secrets: bool,
}

/// What is deployed, and how.
#[derive(Debug)]
pub struct Deployment {
    /// The flow document as JSON.
    pub flows: Value,
    /// Secrets beside it, by node.
    pub credentials: Option<Value>,
    pub kind: DeployKind,
    /// The revision it was made from; another one in force refuses it.
    pub expected_rev: Option<String>,
    /// Revision of the earlier deploy whose flows these are.
    pub restored: Option<String>,
}

impl Deployment {
    /// Flows as they stand, whatever is in force; only what changed is started anew.
    pub fn of(flows: Value) -> Deployment {
        Deployment { flows, credentials: None, kind: DeployKind::Nodes, expected_rev: None, restored: None }
    }
}

/// The demo flows, with the address at which the embedded broker really listens.
pub struct DemoFlows(pub Value);

impl Core {
    /// Opens the event log of a data folder, where streams whose names match `personal` are encrypted, and
    /// which may take so many bytes. Returns at once; the log opens in the background.
    ///
    /// # Errors
    /// When the folder cannot be used.
    pub fn open_log(
        data: &DataDir,
        kind: LogKind,
        personal: &[String],
        max_bytes: Option<u64>,
        clock: LogClock,
    ) -> Result<Arc<dyn EventLog>, CoreError> {
        let personal = personal.iter().map(Into::into).collect();
        let clock = Arc::new(move || clock.now_ms());
        let options =
            JournalOptions { keys: Some(data.keys()), personal, max_bytes, clock: clock.clone(), ..Default::default() };
        let log: Arc<dyn EventLog> = match kind {
            LogKind::Memory => Arc::new(MemoryLog::with_clock(move || clock())),
            LogKind::Sled => Arc::new(JournalLog::open_with(data.log(), options).map_err(CoreError::Log)?),
        };
        log.bodies().set_belonging(vec![LETTERS_OF.into()]);
        Ok(log)
    }

    /// Builds everything around a log. No flow runs yet; see [`Core::load`].
    ///
    /// # Errors
    /// When a node type or outgoing HTTP cannot be set up.
    pub fn build(log: Arc<dyn EventLog>, schemas: Schemas, parts: CoreParts) -> Result<Core, CoreError> {
        let registry = Arc::new(Registry::new(&tidewire_nodes::all()).map_err(CoreError::Other)?);
        let log = Arc::new(MeteredLog::new(log));
        let shared: Arc<dyn EventLog> = log.clone();
        let projections = ProjectionService::new(shared.clone(), parts.graph.clone());
        let form = schemas.clone();
        projections.read_as(move |filter| form.form_of(filter));
        schemas.on_change({
            let projections = projections.clone();
            move |event_type| projections.build_anew(event_type)
        });
        let http = Outgoing::new(Policy::default()).map_err(CoreError::Other)?;
        let handle = LogHandle::new(shared);
        let consumers = handle.consumers();
        let services = Services {
            log: Arc::new(handle),
            projections: Arc::new(projections.clone()),
            http: Arc::new(http),
            broker: parts.broker.as_ref().map(Broker::local),
        };
        let environment = Arc::new(Environment::default());
        let engine = Engine::new(EngineConfig {
            registry: Arc::clone(&registry),
            services,
            clock: Arc::new(SystemClock),
            credentials: parts.secrets.clone(),
            env: {
                let environment = environment.clone();
                Arc::new(move |name| environment.get(name))
            },
            runtime: parts.graph.clone(),
            safe: parts.safe,
        });
        Ok(Core {
            registry,
            live: Live::new(engine.clone(), log.clone()),
            things: Things::keep(&projections),
            history: History::keep(&projections, parts.history),
            environment,
            followers: Arc::default(),
            backups: Backups::default(),
            scrubs: Scrubs::default(),
            consumers,
            log,
            projections,
            schemas,
            engine,
            secrets: parts.secrets,
            broker: Mutex::new(parts.broker),
            deploying: tokio::sync::Mutex::new(()),
            erasing: tokio::sync::Mutex::new(()),
        })
    }

    /// Starts the flows: those of `file` if given, else those deployed last, else the demo.
    ///
    /// # Errors
    /// When they cannot be read or recorded.
    pub async fn load(&self, file: Option<Value>, demo: Option<DemoFlows>) -> Result<(), CoreError> {
        self.withhold_erased().await.map_err(CoreError::Log)?;
        let stored = self.engine.load().await?;
        let (flows, author) = match (file, stored, demo) {
            (Some(flows), _, _) => (flows, "flow file"),
            (None, None, Some(demo)) => (demo.0, "demo"),
            (None, _, _) => return Ok(()),
        };
        let document = FlowDocument::from_json(flows.clone())?;
        if *self.engine.flows().document == document {
            return Ok(());
        }
        self.deploy(Deployment::of(flows), Author { name: author, sets_secrets: true }).await?;
        Ok(())
    }

    /// Deploys flows together with the secrets that stand in them or beside them. Both change, or neither.
    ///
    /// # Errors
    /// As [`CoreError`] says; what runs was not touched.
    pub async fn deploy(&self, deployment: Deployment, author: Author<'_>) -> Result<Deployed, CoreError> {
        let Deployment { flows, credentials, kind, expected_rev, restored } = deployment;
        let extracted = secrets::extract(&self.registry, flows, credentials).map_err(CoreError::Credentials)?;
        let sets = |change: &secrets::SecretChange| change.whole || !change.set.is_empty();
        if !author.sets_secrets && extracted.changes.values().any(sets) {
            return Err(CoreError::SecretsForbidden);
        }
        let document = FlowDocument::from_json(extracted.flows)?;
        let _deploying = self.deploying.lock().await;
        let current = self.engine.flows();
        if let Some(expected) = expected_rev.as_ref().filter(|expected| **expected != current.rev) {
            tracing::info!(expected, current = current.rev, "deploy refused, flows changed meanwhile");
            let diff = tidewire_model::flow::FlowDiff::between(&current.document, &document);
            return Err(DeployError::Stale { current: current.rev, diff: Box::new(diff) }.into());
        }
        let before = self.secrets.snapshot();
        // A reload runs the stored document, so its nodes keep their secrets.
        let kept = if kind == DeployKind::Reload { current.document.clone() } else { Arc::new(document.clone()) };
        let touched = self.secrets.apply(extracted.changes, |node| kept.get(node).is_some())?;
        let touched = touched.iter().map(NodeId::new).collect();
        let author = author.name.to_owned();
        let request = DeployRequest { document, kind, expected_rev, author, restored, touched };
        match self.engine.deploy(request).await {
            Ok(deployed) => Ok(deployed),
            Err(error) => {
                self.secrets.restore(before)?;
                Err(error.into())
            }
        }
    }

    /// Lets devices publish to the embedded broker: the flows that want their messages run.
    pub fn let_devices_in(&self) {
        if let Some(broker) = &*self.broker.lock() {
            broker.open();
        }
    }

    /// Figures of the embedded broker, if there is one.
    pub fn broker_stats(&self) -> Option<tidewire_broker::Stats> {
        self.broker.lock().as_ref().map(Broker::stats)
    }

    /// Ends everything: flows first, the log last, so that what flows and the broker still write is kept.
    pub async fn stop(&self, deadline: Duration) {
        let broker = self.broker.lock().take();
        if let Some(broker) = &broker {
            // What devices send now would pass the flows: they send it again after the restart.
            broker.hold();
        }
        self.backups.stop().await;
        self.scrubs.cancel();
        self.engine.shutdown(deadline).await;
        self.things.stop();
        self.history.stop();
        self.projections.close().await;
        if let Some(broker) = broker {
            // Its thread writes the sessions to the log.
            let _ = tokio::task::spawn_blocking(move || broker.stop()).await;
        }
        self.log.close().await;
    }
}
