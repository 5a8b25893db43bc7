//! Entries that other nodes may address by id or name, such as `link in` nodes.

use std::collections::HashMap;

use tidewire_model::NodeId;

/// One entry.
#[derive(Debug, Clone)]
pub struct Entry {
    pub id: NodeId,
    pub name: String,
    /// Its flow, or its subflow instance.
    pub flow: NodeId,
    /// It stands in a subflow instance: found from there only.
    pub inner: bool,
}

/// All entries of the running flows.
#[derive(Debug, Default)]
pub struct Entries {
    all: Vec<Entry>,
    by_id: HashMap<NodeId, usize>,
}

impl Entries {
    pub fn new(all: Vec<Entry>) -> Self {
        let by_id = all.iter().enumerate().map(|(index, entry)| (entry.id.clone(), index)).collect();
        Entries { all, by_id }
    }

    /// The entry with this id; else the one with this name in `flow`; else the only one with this name on any flow.
    ///
    /// # Errors
    /// None or several, as text.
    pub fn find(&self, id_or_name: &str, flow: &NodeId) -> Result<NodeId, String> {
        if let Some(index) = self.by_id.get(id_or_name) {
            return self.all.get(*index).map(|entry| entry.id.clone()).ok_or_else(String::new);
        }
        let named = || self.all.iter().filter(|entry| entry.name == id_or_name && !id_or_name.is_empty());
        let here: Vec<&Entry> = named().filter(|entry| entry.flow == *flow).collect();
        let found = if here.is_empty() { named().filter(|entry| !entry.inner).collect() } else { here };
        match found.as_slice() {
            [entry] => Ok(entry.id.clone()),
            [] => Err(format!("target link-in node '{id_or_name}' not found")),
            _ => Err(format!("Multiple link-in nodes named '{id_or_name}' found")),
        }
    }
}
