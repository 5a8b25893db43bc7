//! Node types: facts, configuration and construction. Schema, form, help and checks derive from the config struct.

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map as JsonMap, Value as Json};
use tidewire_model::flow::{Link, Listens};
use tidewire_model::{NodeId, Problem};

use crate::error::BuildError;
use crate::node::Node;
use crate::schema;

/// Palette category.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Category {
    Common,
    Function,
    Sequence,
    Network,
    Events,
    Actions,
    Config,
}

/// What the node does to the world, shown as its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    In,
    Logic,
    State,
    Out,
    System,
}

/// What the engine must know about its behaviour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Same input, same output.
    Pure,
    /// Keeps state, which the engine hands on.
    Stateful,
    /// Brings messages in.
    Source,
    /// Touches the world, through handles only.
    Effect,
    /// Shared and unwired.
    Config,
}

/// Facts of a node type.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Meta {
    /// The `type` in flow files.
    #[serde(rename = "type")]
    pub name: &'static str,
    pub label: &'static str,
    pub category: Category,
    pub role: Role,
    pub kind: Kind,
    /// Name of an icon of the editor's set.
    pub icon: &'static str,
    /// 0 or 1.
    pub inputs: u8,
    /// Names of the outputs. Where a property decides (`outputs` of a switch), this is the default.
    pub outputs: &'static [&'static str],
    /// Has a button on its card: pressing it sends [`crate::Signal::Trigger`].
    pub button: bool,
    /// Plain words a newcomer might search for.
    pub keywords: &'static [&'static str],
}

impl Meta {
    /// A type with one input, one output and no button; change what differs with struct update syntax.
    pub const fn new(name: &'static str, label: &'static str, category: Category, role: Role, kind: Kind) -> Self {
        Meta {
            name,
            label,
            category,
            role,
            kind,
            icon: "node",
            inputs: 1,
            outputs: &["output"],
            button: false,
            keywords: &[],
        }
    }
}

/// What a node may know while it is built. No I/O happens here.
#[derive(Debug, Clone)]
pub struct BuildEnv {
    pub id: NodeId,
    /// Number of outputs that are wired or declared, at least that of the type.
    pub outputs: usize,
}

/// A node type: one file.
pub trait NodeType: Node + Sized + 'static {
    /// Its configuration; the doc comment is palette tooltip and help page, those of the fields are the form's labels.
    type Config: Serialize + DeserializeOwned + Default + JsonSchema;

    const META: Meta;

    /// It listens or links: only then is it asked for [`NodeType::listens`] and [`NodeType::link`].
    const CONNECTS: bool = false;

    /// Cross-field rules; the schema has been checked already.
    fn check(config: &Self::Config) -> Vec<Problem> {
        let _ = config;
        Vec::new()
    }

    /// What the node listens to, if it is one that hears of other nodes' errors, statuses or ends of messages. What it
    /// hears arrives at [`Node::receive`]: an error or an end as the message in question with `msg.error` or
    /// `msg.complete`, a status as a message with `msg.status`.
    fn listens(config: &Self::Config) -> Option<Listens> {
        let _ = config;
        None
    }

    /// The node's links, if it is an end of wires that are not drawn.
    fn link(config: &Self::Config) -> Option<Link> {
        let _ = config;
        None
    }

    /// What the node works out from its configuration and shows under a name that the flow file uses for something
    /// else, as Node-RED's nodes do: a time in milliseconds where the file has it in some unit.
    fn derived(config: &Self::Config) -> JsonMap<String, Json> {
        let _ = config;
        JsonMap::new()
    }

    /// Builds the node: parse, compile. Pure: no I/O, no clock.
    ///
    /// # Errors
    /// All findings; the node is then deployed as failed and the rest runs.
    fn build(config: Self::Config, env: &BuildEnv) -> Result<Self, BuildError>;
}

type Build = fn(&Json, &BuildEnv) -> Result<Box<dyn Node>, BuildError>;

/// A node type as data, for the registry.
#[derive(Clone, Copy)]
pub struct NodeDef {
    pub meta: Meta,
    schema: fn() -> Json,
    defaults: fn() -> Json,
    effective: fn(&Json) -> Option<Json>,
    check: fn(&Json) -> Vec<Problem>,
    /// It listens or links; see [`NodeType::CONNECTS`].
    pub connects: bool,
    listens: fn(&Json) -> Option<Listens>,
    link: fn(&Json) -> Option<Link>,
    derived: fn(&Json) -> JsonMap<String, Json>,
    build: Build,
}

impl NodeDef {
    pub const fn of<T: NodeType>() -> Self {
        NodeDef {
            meta: T::META,
            schema: schema::of::<T::Config>,
            defaults: defaults_of::<T>,
            effective: |config| serde_json::to_value(read::<T>(config).ok()?).ok(),
            check: check_of::<T>,
            connects: T::CONNECTS,
            listens: |config| T::listens(&read::<T>(config).ok()?),
            link: |config| T::link(&read::<T>(config).ok()?),
            derived: |config| read::<T>(config).map(|config| T::derived(&config)).unwrap_or_default(),
            build: build_of::<T>,
        }
    }

    /// JSON Schema of the configuration, properties in the author's order, `x-widget` keys for the form.
    pub fn schema(&self) -> Json {
        (self.schema)()
    }

    pub fn defaults(&self) -> Json {
        (self.defaults)()
    }

    /// A configuration as the node understands it: what is missing is filled in, old forms are made new. None if it
    /// cannot be read.
    pub fn effective(&self, config: &Json) -> Option<Json> {
        (self.effective)(config)
    }

    /// Findings beyond the schema.
    pub fn check(&self, config: &Json) -> Vec<Problem> {
        (self.check)(config)
    }

    /// See [`NodeType::listens`]; none for a configuration that cannot be read.
    pub fn listens(&self, config: &Json) -> Option<Listens> {
        (self.listens)(config)
    }

    /// See [`NodeType::link`]; none for a configuration that cannot be read.
    pub fn link(&self, config: &Json) -> Option<Link> {
        (self.link)(config)
    }

    /// See [`NodeType::derived`]; nothing for a configuration that cannot be read.
    pub fn derived(&self, config: &Json) -> JsonMap<String, Json> {
        (self.derived)(config)
    }

    /// Builds a node from its flow-file properties.
    ///
    /// # Errors
    /// All findings.
    pub fn build(&self, config: &Json, env: &BuildEnv) -> Result<Box<dyn Node>, BuildError> {
        (self.build)(config, env)
    }
}

fn defaults_of<T: NodeType>() -> Json {
    serde_json::to_value(T::Config::default()).unwrap_or(Json::Null)
}

fn read<T: NodeType>(config: &Json) -> Result<T::Config, BuildError> {
    serde_json::from_value(config.clone()).map_err(|error| BuildError::at("", error.to_string()))
}

fn check_of<T: NodeType>(config: &Json) -> Vec<Problem> {
    match read::<T>(config) {
        Ok(config) => T::check(&config),
        Err(error) => error.0,
    }
}

fn build_of<T: NodeType>(config: &Json, env: &BuildEnv) -> Result<Box<dyn Node>, BuildError> {
    Ok(Box::new(T::build(read::<T>(config)?, env)?))
}
