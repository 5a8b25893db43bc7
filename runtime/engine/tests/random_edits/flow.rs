//! A flow as the test understands it, and what it expects of its wires, without a look at how the engine does it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};

use crate::edits::Random;
use crate::nodes::{SOURCES, TYPES};

#[derive(Debug, Clone)]
pub struct Node {
    pub id: String,
    pub kind: &'static str,
    /// Tab or definition.
    pub on: String,
    pub group: Option<String>,
    pub disabled: bool,
    pub version: u64,
    pub config: Option<String>,
    pub inbox: Option<u64>,
    pub x: u64,
    pub wires: Vec<BTreeSet<String>>,
}

#[derive(Debug, Clone)]
pub struct Instance {
    pub id: String,
    pub of: String,
    pub on: String,
    pub disabled: bool,
    pub wires: BTreeSet<String>,
}

#[derive(Debug, Clone, Default)]
pub struct Definition {
    pub ins: BTreeSet<String>,
    pub outs: BTreeSet<String>,
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct Flow {
    /// Tabs and groups, and whether they are off. A group stands on a tab.
    pub tabs: BTreeMap<String, bool>,
    pub groups: BTreeMap<String, (String, bool)>,
    pub configs: BTreeMap<String, u64>,
    pub definitions: BTreeMap<String, Definition>,
    pub nodes: Vec<Node>,
    pub instances: Vec<Instance>,
    /// Number of the next id; ids are never used again, but for those in `gone`.
    pub next: u64,
    pub gone: Vec<Node>,
    pub limit: u64,
}

/// Where messages may go from each output, by node and port, and into which inner nodes an instance leads.
#[derive(Debug, Clone, Default)]
pub struct Wiring {
    pub targets: BTreeMap<(String, usize), BTreeSet<String>>,
    pub entries: BTreeMap<String, BTreeSet<String>>,
    /// All that can take messages.
    pub live: BTreeSet<String>,
}

pub fn ports(kind: &str) -> usize {
    if kind == "re-fan" { 2 } else { 1 }
}

impl Flow {
    pub fn new(random: &mut Random, size: usize, limit: u64) -> Flow {
        let mut flow = Flow { limit, ..Flow::default() };
        for tab in ["t0", "t1", "t2"] {
            flow.tabs.insert(tab.to_owned(), false);
            flow.groups.insert(format!("g-{tab}"), (tab.to_owned(), false));
            flow.configs.insert(format!("c-{tab}"), 0);
        }
        flow.definitions.insert("s0".into(), Definition::default());
        flow.definitions.insert("s1".into(), Definition::default());
        for source in SOURCES {
            flow.nodes.push(flow.node(source, "re-source", "t0"));
        }
        for definition in ["s0", "s1"] {
            for _ in 0..2 {
                flow.add_node(random, definition);
            }
        }
        for _ in 0..size {
            let before = flow.clone();
            let tab = flow.any_tab(random);
            flow.add_node(random, &tab);
            if flow.wiring().steps() > 100 {
                flow = before;
            }
        }
        for _ in 0..2 {
            flow.add_instance(random);
        }
        for _ in 0..size {
            let before = flow.clone();
            flow.add_wire(random);
            if flow.wiring().steps() > 100 {
                flow = before;
            }
        }
        flow
    }

    fn node(&self, id: &str, kind: &'static str, on: &str) -> Node {
        Node {
            id: id.to_owned(),
            kind,
            on: on.to_owned(),
            group: None,
            disabled: false,
            version: 0,
            config: None,
            inbox: Some(self.limit),
            x: 0,
            wires: vec![BTreeSet::new(); ports(kind)],
        }
    }

    pub fn any_tab(&self, random: &mut Random) -> String {
        random.of(&self.tabs.keys().cloned().collect::<Vec<_>>()).clone()
    }

    fn fresh(&mut self, letter: char) -> String {
        self.next += 1;
        format!("{letter}{}", self.next)
    }

    /// Adds a node and wires it to and from others; sometimes one with the id of a node that was removed.
    pub fn add_node(&mut self, random: &mut Random, on: &str) -> String {
        let id = self.fresh('n');
        let mut node = self.node(&id, random.of::<&str>(TYPES), on);
        let inner = self.definitions.contains_key(on);
        let id = if !inner && random.one_in(3) && !self.gone.is_empty() {
            let index = random.index(self.gone.len());
            node.id = self.gone.swap_remove(index).id;
            node.id.clone()
        } else {
            id
        };
        self.nodes.push(node);
        if inner {
            let definition = self.definitions.get_mut(on).unwrap();
            definition.ins.insert(id.clone());
            definition.outs.insert(id.clone());
        } else {
            for _ in 0..2 {
                self.wire_from(random, &id);
                self.wire_to(random, &id);
            }
        }
        id
    }

    pub fn add_instance(&mut self, random: &mut Random) -> String {
        let id = self.fresh('i');
        let of = random.of(&self.definitions.keys().cloned().collect::<Vec<_>>()).clone();
        let on = self.any_tab(random);
        self.instances.push(Instance { id: id.clone(), of, on, disabled: false, wires: BTreeSet::new() });
        self.wire_from(random, &id);
        self.wire_to(random, &id);
        id
    }

    /// Ids that a wire may lead to, seen from this node or instance.
    fn targets_for(&self, from: &str) -> Vec<String> {
        let on = self.nodes.iter().find(|node| node.id == from).map(|node| node.on.clone());
        if let Some(definition) = on.filter(|on| self.definitions.contains_key(on)) {
            return self.nodes.iter().filter(|node| node.on == definition).map(|node| node.id.clone()).collect();
        }
        let nodes = self.nodes.iter().filter(|node| self.tabs.contains_key(&node.on) && node.kind != "re-source");
        nodes.map(|node| node.id.clone()).chain(self.instances.iter().map(|instance| instance.id.clone())).collect()
    }

    fn count_wires(&self) -> usize {
        let nodes = self.nodes.iter().flat_map(|node| &node.wires).map(BTreeSet::len).sum::<usize>();
        nodes + self.instances.iter().map(|instance| instance.wires.len()).sum::<usize>()
    }

    /// More wires than this would make messages multiply beyond measure.
    fn is_dense(&self) -> bool {
        self.count_wires() * 10 > (self.nodes.len() + self.instances.len()) * 12
    }

    pub fn wire(&mut self, from: &str, port: usize, to: String) {
        if let Some(node) = self.nodes.iter_mut().find(|node| node.id == from) {
            node.wires[port].insert(to);
        } else if let Some(instance) = self.instances.iter_mut().find(|instance| instance.id == from && from != to) {
            // Not to itself: ways through an instance could not be told from those within it.
            instance.wires.insert(to);
        }
    }

    fn wire_from(&mut self, random: &mut Random, from: &str) {
        let targets = self.targets_for(from);
        if !targets.is_empty() && !self.is_dense() {
            let kind = self.nodes.iter().find(|node| node.id == from).map_or("", |node| node.kind);
            let port = random.index(ports(kind));
            self.wire(from, port, random.of(&targets).clone());
        }
    }

    fn wire_to(&mut self, random: &mut Random, to: &str) {
        let senders: Vec<String> = self
            .nodes
            .iter()
            .filter(|node| self.tabs.contains_key(&node.on))
            .map(|node| node.id.clone())
            .chain(self.instances.iter().map(|instance| instance.id.clone()))
            .collect();
        let from = random.of(&senders).clone();
        if self.targets_for(&from).iter().any(|id| id == to) && !self.is_dense() {
            let kind = self.nodes.iter().find(|node| node.id == from).map_or("", |node| node.kind);
            let port = random.index(ports(kind));
            self.wire(&from, port, to.to_owned());
        }
    }

    pub fn add_wire(&mut self, random: &mut Random) -> String {
        let senders: Vec<String> = self.nodes.iter().map(|node| node.id.clone()).collect();
        let from = random.of(&senders).clone();
        self.wire_from(random, &from);
        from
    }

    pub fn to_json(&self) -> Vec<Json> {
        let mut all: Vec<Json> =
            self.tabs.iter().map(|(id, off)| json!({"id": id, "type": "tab", "label": id, "disabled": off})).collect();
        all.extend(self.groups.iter().map(|(id, (tab, off))| {
            let inside: Vec<&str> =
                self.nodes.iter().filter(|node| node.group.as_ref() == Some(id)).map(|node| node.id.as_str()).collect();
            json!({"id": id, "type": "group", "z": tab, "x": 1, "y": 1, "w": 9, "h": 9, "d": off, "nodes": inside})
        }));
        all.extend(self.configs.iter().map(|(id, version)| json!({"id": id, "type": "re-config", "version": version})));
        all.extend(self.definitions.iter().map(|(id, definition)| {
            let ins: Vec<Json> = definition.ins.iter().map(|id| json!({"id": id})).collect();
            let outs: Vec<Json> = definition.outs.iter().map(|id| json!({"id": id, "port": 0})).collect();
            json!({"id": id, "type": "subflow", "name": id,
                "in": [{"x": 1, "y": 1, "wires": ins}], "out": [{"x": 1, "y": 1, "wires": outs}]})
        }));
        for node in &self.nodes {
            let mut entry = json!({"id": node.id, "type": node.kind, "z": node.on, "x": node.x, "y": 1,
                "version": node.version, "wires": node.wires, "d": node.disabled});
            if let Some(group) = &node.group {
                entry["g"] = json!(group);
            }
            if let Some(config) = &node.config {
                entry["config"] = json!(config);
            }
            if let Some(inbox) = node.inbox {
                entry["inbox"] = json!({"messages": inbox});
            }
            all.push(entry);
        }
        all.extend(self.instances.iter().map(|instance| {
            json!({"id": instance.id, "type": format!("subflow:{}", instance.of), "z": instance.on, "x": 1, "y": 1,
                "wires": [instance.wires], "d": instance.disabled, "inbox": {"messages": self.limit}})
        }));
        all
    }

    fn is_off(&self, node: &Node) -> bool {
        let group_off = node.group.as_ref().is_some_and(|group| self.groups[group].1);
        node.disabled || self.tabs.get(&node.on).copied().unwrap_or(false) || group_off
    }

    /// What the engine is to do with this flow.
    pub fn wiring(&self) -> Wiring {
        let mut wiring = Wiring::default();
        let on_tabs = || self.nodes.iter().filter(|node| self.tabs.contains_key(&node.on) && !self.is_off(node));
        let instances = || self.instances.iter().filter(|instance| !instance.disabled && !self.tabs[&instance.on]);
        wiring.live.extend(on_tabs().map(|node| node.id.clone()));
        wiring.live.extend(instances().map(|instance| instance.id.clone()));
        for node in on_tabs() {
            for (port, targets) in node.wires.iter().enumerate() {
                wiring.add(&node.id, port, targets.iter().cloned());
            }
        }
        for instance in instances() {
            let clone = |id: &String| format!("{}-{id}", instance.id);
            let inner: Vec<&Node> = self.nodes.iter().filter(|node| node.on == instance.of && !node.disabled).collect();
            let lives: BTreeSet<String> = inner.iter().map(|node| clone(&node.id)).collect();
            let definition = &self.definitions[&instance.of];
            let ins = definition.ins.iter().map(clone).filter(|id| lives.contains(id));
            wiring.entries.insert(instance.id.clone(), ins.collect());
            wiring.live.extend(lives);
            for node in inner {
                for (port, targets) in node.wires.iter().enumerate() {
                    let id = clone(&node.id);
                    wiring.add(&id, port, targets.iter().map(clone));
                    if port == 0 && definition.outs.contains(&node.id) {
                        wiring.add(&id, 0, instance.wires.iter().cloned());
                    }
                }
            }
        }
        let live = wiring.live.clone();
        wiring.targets.values_mut().for_each(|targets| targets.retain(|id| live.contains(id)));
        wiring
    }
}

impl Wiring {
    /// Steps that one message of each source makes in all.
    pub fn steps(&self) -> usize {
        let mut at: BTreeMap<&str, usize> = SOURCES.iter().map(|source| (*source, 1)).collect();
        let mut sum = 0;
        for _ in 0..crate::nodes::LONGEST_WAY {
            sum += at.values().sum::<usize>();
            let mut next: BTreeMap<&str, usize> = BTreeMap::new();
            for (node, count) in at {
                for target in self.targets.iter().filter(|((from, _), _)| from == node).flat_map(|(_, to)| to) {
                    match self.entries.get(target) {
                        Some(inner) => inner.iter().for_each(|id| *next.entry(id).or_default() += count),
                        None => *next.entry(target).or_default() += count,
                    }
                }
            }
            at = next;
        }
        sum
    }

    fn add(&mut self, from: &str, port: usize, to: impl Iterator<Item = String>) {
        self.targets.entry((from.to_owned(), port)).or_default().extend(to);
    }
}
