//! Flow documents, put together node by node as Node-RED writes them.

use serde_json::{Value as Json, json};

/// A flow document in the making: one tab, `tab`.
#[derive(Clone)]
pub struct Flow {
    nodes: Vec<Json>,
}

impl Default for Flow {
    fn default() -> Self {
        Flow::new()
    }
}

impl Flow {
    pub fn new() -> Self {
        let tab = json!({"id": "tab", "type": "tab", "label": "test", "disabled": false, "info": "", "env": []});
        Flow { nodes: vec![tab] }
    }

    /// One more node on the tab; `wires` is the first output's, more can be given as a list of lists.
    #[must_use]
    pub fn node(mut self, id: &str, kind: &str, properties: Json, wires: Json) -> Self {
        let place = self.nodes.len();
        let wires =
            if wires.as_array().is_some_and(|list| list.iter().all(Json::is_string)) { json!([wires]) } else { wires };
        let mut node = json!({"id": id, "type": kind, "z": "tab", "name": id,
            "x": 140 + 220 * (place % 5), "y": 80 + 90 * (place / 5)});
        merge(&mut node, properties);
        node["wires"] = wires;
        self.nodes.push(node);
        self
    }

    /// A node without a place: shared configuration.
    #[must_use]
    pub fn config(mut self, id: &str, kind: &str, properties: Json) -> Self {
        let mut node = json!({"id": id, "type": kind, "name": id});
        merge(&mut node, properties);
        self.nodes.push(node);
        self
    }

    /// A connection to a broker on this machine, `broker`.
    #[must_use]
    pub fn broker(self, port: u16) -> Self {
        let properties = json!({"broker": "127.0.0.1", "port": port.to_string(), "clientid": "", "autoConnect": true,
            "usetls": false, "protocolVersion": "4", "keepalive": "60", "cleansession": true});
        self.config("broker", "mqtt-broker", properties)
    }

    /// `mqtt in` for a topic, JSON, with the QoS of the sender.
    #[must_use]
    pub fn mqtt_in(self, id: &str, topic: &str, wires: Json) -> Self {
        let properties = json!({"topic": topic, "qos": "2", "datatype": "json", "broker": "broker",
            "nl": false, "rap": true, "rh": 0, "inputs": 0});
        self.node(id, "mqtt in", properties, wires)
    }

    /// `event-store-append` into one stream.
    #[must_use]
    pub fn append(self, id: &str, stream: &str) -> Self {
        self.node(id, "event-store-append", json!({"stream": stream, "eventType": "reading-reported"}), json!([[], []]))
    }

    /// The same document with other wires at one node.
    #[must_use]
    pub fn rewired(mut self, id: &str, wires: Json) -> Self {
        let node = self.nodes.iter_mut().find(|node| node["id"] == id).unwrap();
        node["wires"] = wires;
        self
    }

    pub fn json(&self) -> Json {
        Json::Array(self.nodes.clone())
    }
}

fn merge(node: &mut Json, properties: Json) {
    let Json::Object(properties) = properties else { return };
    for (key, value) in properties {
        node[key] = value;
    }
}

/// Deploys a document and starts every node anew; gives the new revision.
pub async fn deploy(http: &crate::Http, flows: &Json) -> String {
    deploy_as(http, "full", flows).await
}

/// Deploys a document as the editor does: only what changed is started anew. Gives the new revision.
pub async fn deploy_changes(http: &crate::Http, flows: &Json) -> String {
    deploy_as(http, "nodes", flows).await
}

async fn deploy_as(http: &crate::Http, kind: &str, flows: &Json) -> String {
    let http = http.clone().with("node-red-api-version", "v2").with("node-red-deployment-type", kind);
    let answer = http.post("/flows", &json!({ "flows": flows })).await.expect(200).json();
    answer["rev"].as_str().unwrap_or_else(|| panic!("no rev in {answer}")).to_owned()
}
