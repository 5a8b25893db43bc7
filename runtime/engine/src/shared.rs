//! What all nodes of an engine share.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use parking_lot::RwLock;
use tidewire_model::flow::{Environment, Expanded, FlowNode, Link, Listens};
use tidewire_model::{NodeId, Value};
use tidewire_node_api::{NodeFacts, Registry, Services};

use crate::build::environment;
use crate::clock::{Clock, Credentials};
use crate::contexts::Contexts;
use crate::dead_letters::DeadLetters;
use crate::entries::Entries;
use crate::keeper::Keeper;
use crate::kept::Dormant;
use crate::leftovers::Leftovers;
use crate::observe::Observers;
use crate::slot::Slot;
use crate::timers::Timers;
use crate::wiring::GraphLimits;

/// Environment variables as nodes see them.
pub type Env = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Makes the handles of a node.
pub type Withheld = Box<dyn Fn(&NodeFacts) -> Services + Send + Sync>;

/// See the module.
pub struct Shared {
    pub registry: Arc<Registry>,
    pub services: Services,
    pub clock: Arc<dyn Clock>,
    pub credentials: Arc<dyn Credentials>,
    pub env: Env,
    pub runtime: tokio::runtime::Handle,
    pub observers: Observers,
    pub timers: Timers,
    pub keeper: Keeper,
    pub dead_letters: DeadLetters,
    pub limits: GraphLimits,
    pub contexts: Arc<Contexts>,
    /// Settings that nodes ask for, by Node-RED's names.
    pub settings: RwLock<HashMap<String, Value>>,
    pub entries: ArcSwap<Entries>,
    /// Records of nodes that do not run now.
    pub dormant: Dormant,
    pub leftovers: Leftovers,
    /// The flows in force, as they run.
    pub flows: ArcSwap<Expanded>,
    /// The variables of those flows.
    pub environment: ArcSwap<Environment>,
    pub slots: RwLock<HashMap<NodeId, Arc<Slot>>>,
    /// The runtime has more than one thread, so that work may take one for itself.
    pub has_threads: bool,
    /// In a replay: makes the handles of each node, which take down instead of doing.
    withheld: OnceLock<Withheld>,
    /// Number of the revision in force.
    pub revision: AtomicU64,
    ids: AtomicU64,
    random: AtomicU64,
}

impl Shared {
    #[allow(clippy::too_many_arguments, reason = "the parts of one struct, named by its only caller")]
    pub fn new(
        registry: Arc<Registry>,
        services: Services,
        clock: Arc<dyn Clock>,
        credentials: Arc<dyn Credentials>,
        env: Env,
        runtime: tokio::runtime::Handle,
    ) -> Self {
        let seed = u64::try_from(clock.now_ms()).unwrap_or(0);
        let keeper = Keeper::new(services.log.clone(), clock.clone(), &runtime);
        let environment = environment(&Expanded::default(), &env, credentials.as_ref(), clock.as_ref());
        Shared {
            environment: ArcSwap::from_pointee(environment),
            timers: Timers::new(clock.clone(), &runtime),
            dead_letters: DeadLetters::new(services.log.clone(), clock.clone(), &runtime),
            contexts: Arc::new(Contexts::new(keeper.clone())),
            keeper,
            settings: RwLock::default(),
            limits: GraphLimits::default(),
            has_threads: runtime.runtime_flavor() != tokio::runtime::RuntimeFlavor::CurrentThread,
            registry,
            services,
            clock,
            credentials,
            env,
            runtime,
            observers: Observers::default(),
            entries: ArcSwap::default(),
            dormant: Dormant::default(),
            leftovers: Leftovers::default(),
            flows: ArcSwap::default(),
            slots: RwLock::default(),
            withheld: OnceLock::new(),
            revision: AtomicU64::new(0),
            // Milliseconds in the upper bits: ids of a later start are larger than all of an earlier one.
            ids: AtomicU64::new(seed << 20),
            random: AtomicU64::new(seed ^ 0x5851_f42d_4c95_7f2d),
        }
    }

    /// Gives each node that starts from now on handles of its own, which only take down what it does.
    pub fn withhold(&self, withheld: Withheld) {
        // Set once, by whoever made the engine.
        let _ = self.withheld.set(withheld);
    }

    /// The handles of a node that takes part in a replay.
    pub fn withheld(&self, facts: &NodeFacts) -> Option<Box<Services>> {
        self.withheld.get().map(|withheld| Box::new(withheld(facts)))
    }

    pub fn slot(&self, id: &str) -> Option<Arc<Slot>> {
        self.slots.read().get(id).cloned()
    }

    /// The variables that flows define.
    pub fn environment_of(&self, flows: &Expanded) -> Environment {
        environment(flows, &self.env, self.credentials.as_ref(), self.clock.as_ref())
    }

    /// The links of an entry, if its type has some.
    pub fn link_of(&self, node: &FlowNode) -> Option<Link> {
        let def = self.registry.get(node.type_name()).filter(|def| def.connects)?;
        def.link(node.json())
    }

    /// What an entry listens to, if its type does.
    pub fn listens(&self, node: &FlowNode) -> Option<Listens> {
        let def = self.registry.get(node.type_name()).filter(|def| def.connects)?;
        def.listens(node.json())
    }

    pub fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    /// splitmix64: good enough for jitter and simulations, never used for secrets.
    pub fn random(&self) -> u64 {
        let mut z = self.random.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
