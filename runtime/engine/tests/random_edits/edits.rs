//! Random edits of a flow, as people make them.

use std::collections::BTreeSet;

use crate::flow::{Flow, ports};
use crate::nodes::TYPES;

/// splitmix64.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap()
    }

    pub fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    pub fn of<'a, T: 'a>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.index(items.len())]
    }
}

/// Steps of one message of each source beyond which a flow counts as too dense to test.
const MANY: usize = 250;

/// Makes one edit, and says which.
pub fn edit(flow: &mut Flow, random: &mut Random) -> String {
    loop {
        let mut edited = flow.clone();
        let text = any(&mut edited, random);
        if edited.wiring().steps() <= MANY {
            *flow = edited;
            return text;
        }
    }
}

fn any(flow: &mut Flow, random: &mut Random) -> String {
    match random.below(20) {
        0 => {
            let tab = flow.any_tab(random);
            format!("add {}", flow.add_node(random, &tab))
        }
        1 => remove(flow, random),
        2..=4 => change(flow, random),
        5..=8 => rewire(flow, random),
        9 => format!("wire from {}", flow.add_wire(random)),
        10 => move_it(flow, random),
        11 => switch_node(flow, random),
        12 => switch_frame(flow, random),
        13 => config(flow, random),
        14 => group(flow, random),
        15 => limit(flow, random),
        16 => retype(flow, random),
        17 => definition(flow, random),
        18 => instance(flow, random),
        _ => rewire_instance(flow, random),
    }
}

fn remove(flow: &mut Flow, random: &mut Random) -> String {
    let candidates: Vec<usize> = (0..flow.nodes.len()).filter(|index| flow.nodes[*index].kind != "re-source").collect();
    let inner = |flow: &Flow, index: usize| flow.definitions.contains_key(&flow.nodes[index].on);
    let index = *random.of(&candidates);
    if candidates.len() < 6 || inner(flow, index) {
        return "nothing".into();
    }
    let node = flow.nodes.remove(index);
    if random.one_in(2) {
        // Else wires to it are left dangling, and lead there again if the id comes back.
        forget(flow, &node.id);
    }
    let text = format!("remove {}", node.id);
    flow.gone.push(node);
    text
}

fn forget(flow: &mut Flow, id: &str) {
    for wires in flow.nodes.iter_mut().flat_map(|node| &mut node.wires) {
        wires.remove(id);
    }
    flow.instances.iter_mut().for_each(|instance| {
        instance.wires.remove(id);
    });
}

fn change(flow: &mut Flow, random: &mut Random) -> String {
    let index = random.index(flow.nodes.len());
    flow.nodes[index].version += 1;
    format!("change {}", flow.nodes[index].id)
}

fn rewire(flow: &mut Flow, random: &mut Random) -> String {
    let index = random.index(flow.nodes.len());
    let node = &mut flow.nodes[index];
    let port = random.index(node.wires.len());
    let id = node.id.clone();
    let old: Vec<String> = node.wires[port].iter().cloned().collect();
    if !old.is_empty() {
        node.wires[port].remove(random.of(&old));
    }
    let candidates: Vec<String> = match flow.definitions.contains_key(&flow.nodes[index].on) {
        true => {
            flow.nodes.iter().filter(|other| other.on == flow.nodes[index].on).map(|node| node.id.clone()).collect()
        }
        false => flow
            .nodes
            .iter()
            .filter(|node| flow.tabs.contains_key(&node.on) && node.kind != "re-source")
            .map(|node| node.id.clone())
            .chain(flow.instances.iter().map(|instance| instance.id.clone()))
            .collect(),
    };
    if !old.is_empty() && !random.one_in(8) {
        let to = random.of(&candidates).clone();
        let text = format!("rewire {id}.{port} {old:?} to {to}");
        flow.wire(&id, port, to);
        return text;
    }
    format!("unwire {id}.{port} {old:?}")
}

fn move_it(flow: &mut Flow, random: &mut Random) -> String {
    let index = random.index(flow.nodes.len());
    flow.nodes[index].x += 1;
    format!("move {}", flow.nodes[index].id)
}

fn switch_node(flow: &mut Flow, random: &mut Random) -> String {
    let index = random.index(flow.nodes.len());
    let node = &mut flow.nodes[index];
    // More often on than off.
    node.disabled = !node.disabled && random.one_in(2);
    format!("switch {} off: {}", node.id, node.disabled)
}

fn switch_frame(flow: &mut Flow, random: &mut Random) -> String {
    if random.one_in(2) {
        let tab = flow.any_tab(random);
        let off = flow.tabs.get_mut(&tab).unwrap();
        *off = !*off && random.one_in(2);
        return format!("switch tab {tab} off: {off}");
    }
    let id = random.of(&flow.groups.keys().cloned().collect::<Vec<_>>()).clone();
    let (_, off) = flow.groups.get_mut(&id).unwrap();
    *off = !*off && random.one_in(2);
    format!("switch group {id} off: {off}")
}

fn config(flow: &mut Flow, random: &mut Random) -> String {
    let id = random.of(&flow.configs.keys().cloned().collect::<Vec<_>>()).clone();
    if random.one_in(2) {
        *flow.configs.get_mut(&id).unwrap() += 1;
        return format!("change config {id}");
    }
    let index = random.index(flow.nodes.len());
    let node = &mut flow.nodes[index];
    node.config = if node.config.is_some() { None } else { Some(id) };
    format!("{} uses config {:?}", node.id, node.config)
}

fn group(flow: &mut Flow, random: &mut Random) -> String {
    let index = random.index(flow.nodes.len());
    let node = &mut flow.nodes[index];
    let own = flow.groups.iter().find(|(_, (tab, _))| *tab == node.on).map(|(id, _)| id.clone());
    node.group = if node.group.is_some() { None } else { own };
    format!("{} into group {:?}", node.id, node.group)
}

fn limit(flow: &mut Flow, random: &mut Random) -> String {
    let limit = flow.limit;
    let index = random.index(flow.nodes.len());
    let node = &mut flow.nodes[index];
    node.inbox = if random.one_in(4) { None } else { Some(1 + random.below(limit)) };
    format!("limit {} to {:?}", node.id, node.inbox)
}

fn retype(flow: &mut Flow, random: &mut Random) -> String {
    let index = random.index(flow.nodes.len());
    let node = &mut flow.nodes[index];
    if node.kind == "re-source" {
        return "nothing".into();
    }
    node.kind = *random.of::<&str>(TYPES);
    node.wires.resize(ports(node.kind), BTreeSet::new());
    format!("{} becomes {}", node.id, node.kind)
}

/// Changes what all instances of a definition are made of.
fn definition(flow: &mut Flow, random: &mut Random) -> String {
    let id = random.of(&flow.definitions.keys().cloned().collect::<Vec<_>>()).clone();
    let inner: Vec<String> = flow.nodes.iter().filter(|node| node.on == id).map(|node| node.id.clone()).collect();
    match random.below(5) {
        0 if inner.len() < 5 => format!("add {} to {id}", flow.add_node(random, &id)),
        1 if inner.len() > 2 => {
            let gone = random.of(&inner).clone();
            flow.nodes.retain(|node| node.id != gone);
            forget(flow, &gone);
            let definition = flow.definitions.get_mut(&id).unwrap();
            definition.ins.remove(&gone);
            definition.outs.remove(&gone);
            format!("remove {gone} from {id}")
        }
        2 => {
            let (inner, definition) = (random.of(&inner).clone(), flow.definitions.get_mut(&id).unwrap());
            if !definition.ins.remove(&inner) {
                definition.ins.insert(inner.clone());
            }
            format!("inputs of {id}: {:?}", definition.ins)
        }
        3 => {
            let (inner, definition) = (random.of(&inner).clone(), flow.definitions.get_mut(&id).unwrap());
            if !definition.outs.remove(&inner) {
                definition.outs.insert(inner.clone());
            }
            format!("outputs of {id}: {:?}", definition.outs)
        }
        _ => {
            let inner = random.of(&inner).clone();
            let node = flow.nodes.iter_mut().find(|node| node.id == inner).unwrap();
            node.version += 1;
            format!("change {inner} in {id}")
        }
    }
}

fn instance(flow: &mut Flow, random: &mut Random) -> String {
    let count = flow.instances.len();
    match random.below(4) {
        0 if count < 4 => format!("add instance {}", flow.add_instance(random)),
        1 if count > 1 => {
            let gone = flow.instances.remove(random.index(count)).id;
            forget(flow, &gone);
            format!("remove instance {gone}")
        }
        2 => {
            let other = random.of(&flow.definitions.keys().cloned().collect::<Vec<_>>()).clone();
            let instance = &mut flow.instances[random.index(count)];
            instance.of = other;
            format!("{} becomes an instance of {}", instance.id, instance.of)
        }
        _ => {
            let instance = &mut flow.instances[random.index(count)];
            instance.disabled = !instance.disabled && random.one_in(2);
            format!("switch {} off: {}", instance.id, instance.disabled)
        }
    }
}

fn rewire_instance(flow: &mut Flow, random: &mut Random) -> String {
    let targets: Vec<String> = flow
        .nodes
        .iter()
        .filter(|node| flow.tabs.contains_key(&node.on) && node.kind != "re-source")
        .map(|node| node.id.clone())
        .collect();
    let index = random.index(flow.instances.len());
    let instance = &mut flow.instances[index];
    instance.wires = BTreeSet::from([random.of(&targets).clone()]);
    format!("rewire instance {} to {:?}", instance.id, instance.wires)
}
