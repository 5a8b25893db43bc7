//! Taps: every message of some nodes, one frame each, in the order in which things happened.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use serde_json::{Value as Json, json};
use tidewire_engine::{TapDir, TapFrame};
use tidewire_model::NodeId;

use crate::app::{App, Core};
use crate::web::guard::Caller;
use crate::wire;

/// How often an idle tap looks whether its session is still open.
const LOOK: Duration = Duration::from_secs(3);

/// Serves a client until it goes, its session ends or the server stops.
pub async fn run(mut socket: WebSocket, app: App, core: Arc<Core>, caller: Caller, nodes: String) {
    let ids = nodes.split(',').map(str::trim).filter(|id| !id.is_empty()).map(NodeId::new);
    let mut tap = core.engine.tap(ids);
    if socket.send(text(&json!({"ready": true}))).await.is_err() {
        return;
    }
    let mut looks = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            () = app.shutdown.cancelled() => break,
            _ = looks.tick() => if !app.still_allowed(&caller) { break },
            frame = tap.next() => {
                let Some(frame) = frame else { break };
                if socket.send(text(&to_json(&frame))).await.is_err() {
                    return;
                }
            }
            incoming = socket.recv() => if matches!(incoming, None | Some(Err(_) | Ok(Message::Close(_)))) { return },
        }
    }
    let _ = socket.send(Message::Close(None)).await;
}

fn text(json: &Json) -> Message {
    Message::Text(json.to_string().into())
}

fn to_json(frame: &TapFrame) -> Json {
    let dir = match frame.dir {
        TapDir::In => "in",
        TapDir::Out => "out",
        TapDir::Status => "status",
        TapDir::Error => "error",
        TapDir::Log => "log",
    };
    let mut json = json!({"node": frame.node.as_str(), "dir": dir, "msg": wire::to_json(&frame.message)});
    if let Some(map) = json.as_object_mut() {
        if let Some(port) = frame.port {
            map.insert("port".to_owned(), port.into());
        }
        if frame.handled {
            map.insert("handled".to_owned(), true.into());
        }
    }
    json
}
