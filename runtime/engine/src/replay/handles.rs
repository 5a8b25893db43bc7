//! The handles of a replay: they take down what a node wants to do, and answer as if it had been done.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use tidewire_log::{EventLog, MemoryLog};
use tidewire_model::NodeId;
use tidewire_model::append::{AppendError, AppendRequest, Appended, StateChange};
use tidewire_model::event::EventId;
use tidewire_model::position::Position;
use tidewire_model::query::{Filter, Page, Query, Start};
use tidewire_node_api::broker::{LinkNotice, LinkRequest, LinkSettings, LocalBroker, LocalLink, Publication, Qos};
use tidewire_node_api::handles::{
    BoxFuture, Durable, HandleError, Http, HttpRequest, HttpResponse, Log, Projections, Records, Subscription,
};
use tidewire_node_api::{NodeFacts, Services};
use tokio::sync::Notify;

use super::trace::{Trace, What, readable};
use crate::clock::Credentials;
use crate::log_handle::LogHandle;

/// Makes the handles of each node.
pub struct Withheld {
    pub log: MemoryLog,
    pub projections: Arc<dyn Projections>,
    pub trace: Arc<Trace>,
    /// Ids of events that have none of their own.
    pub ids: Arc<AtomicU32>,
}

impl Withheld {
    pub fn services(&self, facts: &NodeFacts) -> Services {
        let recorder = Recorder { node: facts.id.clone(), trace: self.trace.clone() };
        let inner = LogHandle::new(Arc::new(self.log.clone()));
        Services {
            log: Arc::new(RecordingLog {
                inner,
                log: self.log.clone(),
                recorder: recorder.clone(),
                ids: self.ids.clone(),
            }),
            projections: self.projections.clone(),
            broker: Some(Arc::new(recorder.clone())),
            http: Arc::new(recorder),
        }
    }
}

/// Takes down what one node does.
#[derive(Clone)]
struct Recorder {
    node: NodeId,
    trace: Arc<Trace>,
}

/// A log of the replay's own.
struct RecordingLog {
    inner: LogHandle,
    log: MemoryLog,
    recorder: Recorder,
    ids: Arc<AtomicU32>,
}

impl RecordingLog {
    /// An id for each event: one that the log made up would be another one each time.
    fn identify(&self, requests: &mut [AppendRequest]) {
        for event in requests.iter_mut().flat_map(|request| &mut request.events).filter(|event| event.id.is_none()) {
            let number = self.ids.fetch_add(1, Ordering::Relaxed);
            event.id = Some(EventId::derived(&EventId::from("replay"), self.recorder.node.as_str(), 0, number));
        }
    }
}

impl Log for RecordingLog {
    fn append(&self, mut requests: Vec<AppendRequest>) -> BoxFuture<Vec<Result<Appended, AppendError>>> {
        self.identify(&mut requests);
        let (log, recorder) = (self.log.clone(), self.recorder.clone());
        let streams: Vec<String> = requests.iter().map(|request| request.stream.to_string()).collect();
        let appended = self.inner.append(requests);
        Box::pin(async move {
            let results = appended.await;
            for (result, stream) in results.iter().zip(streams) {
                match result {
                    Ok(appended) if appended.deduplicated => {}
                    Ok(appended) => {
                        let (first, last) = (appended.first_position.get(), appended.last_position.get());
                        for position in first..=last {
                            if let Ok(Some(event)) = log.event_at(Position::new(position)).await {
                                recorder.trace.add(&recorder.node, What::Appended { event });
                            }
                        }
                    }
                    Err(error) => {
                        let reason = error.to_string();
                        recorder.trace.add(&recorder.node, What::Refused { stream, reason });
                    }
                }
            }
            results
        })
    }

    fn read(&self, query: Query) -> BoxFuture<Result<Page, HandleError>> {
        self.inner.read(query)
    }

    fn subscribe(&self, filter: Filter, start: Start) -> Box<dyn Subscription> {
        // A position beyond the end is one of the log that is replayed: here history begins with the range.
        let start = match start {
            Start::Position(position) => Start::Position(position.min(self.inner.head().next())),
            other => other,
        };
        self.inner.subscribe(filter, start)
    }

    fn save_checkpoint(&self, name: &str, position: Position) -> BoxFuture<Result<(), HandleError>> {
        self.inner.save_checkpoint(name, position)
    }

    fn checkpoint(&self, name: &str) -> BoxFuture<Result<Option<Position>, HandleError>> {
        self.inner.checkpoint(name)
    }

    fn put(&self, changes: Vec<StateChange>) -> BoxFuture<Result<Durable, HandleError>> {
        self.inner.put(changes)
    }

    fn records(&self, prefix: &str) -> BoxFuture<Result<Records, HandleError>> {
        self.inner.records(prefix)
    }

    fn head(&self) -> Position {
        self.inner.head()
    }
}

impl Http for Recorder {
    /// As a service answers that took it: with an id, under the names that are usual.
    fn send(&self, request: HttpRequest) -> BoxFuture<Result<HttpResponse, HandleError>> {
        let HttpRequest { method, url, body, .. } = request;
        self.trace.add(&self.node, What::Requested { method, url, body: readable(&body) });
        let body = Bytes::from_static(br#"{"id":"withheld","iden":"withheld","withheld":true}"#);
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Box::pin(std::future::ready(Ok(HttpResponse { status: 200, headers, body })))
    }
}

impl LocalBroker for Recorder {
    /// Every connection ends here, so none is dialled.
    fn is_at(&self, _host: &str, _port: u16) -> bool {
        true
    }

    fn is_instant(&self) -> bool {
        true
    }

    fn link(&self) -> Arc<dyn LocalLink> {
        Arc::new(RecordingLink { recorder: self.clone(), notices: Mutex::default(), changed: Arc::default() })
    }
}

/// A connection to nobody: whatever is asked is granted, and no message ever comes.
struct RecordingLink {
    recorder: Recorder,
    notices: Mutex<VecDeque<LinkNotice>>,
    changed: Arc<Notify>,
}

impl RecordingLink {
    fn tell(&self, notice: LinkNotice) {
        self.notices.lock().push_back(notice);
        self.changed.notify_one();
    }

    fn published(&self, publication: Publication) {
        let Publication { topic, payload, qos, retain, .. } = publication;
        let (topic, payload, qos) = (topic.to_string(), readable(&payload), qos.as_u8());
        self.recorder.trace.add(&self.recorder.node, What::Published { topic, payload, qos, retain });
    }
}

impl LocalLink for RecordingLink {
    fn open(&self, _settings: LinkSettings) {
        self.tell(LinkNotice::Opened { session_present: false });
    }

    fn send(&self, requests: &mut Vec<LinkRequest>) {
        for request in requests.drain(..) {
            match request {
                LinkRequest::Subscribe { id, qos, .. } => self.tell(LinkNotice::Subscribed { id, answer: Ok(qos) }),
                LinkRequest::Publish { id, publication } => {
                    let asks = publication.qos != Qos::AtMostOnce;
                    self.published(publication);
                    if asks {
                        self.tell(LinkNotice::Published { id, reason: 0 });
                    }
                }
                LinkRequest::Close { .. } => self.tell(LinkNotice::Closed { reason: "closed".to_owned() }),
                LinkRequest::Unsubscribe { .. } | LinkRequest::Acknowledge { .. } => {}
            }
        }
    }

    fn take(&self, notices: &mut VecDeque<LinkNotice>) {
        notices.append(&mut self.notices.lock());
    }

    fn changed(&self) -> BoxFuture<()> {
        let changed = self.changed.clone();
        Box::pin(async move { changed.notified().await })
    }

    fn settled(&self) {}

    fn dropped(&self) -> u64 {
        0
    }
}

/// Says which secrets there are, and none of them.
pub struct Placeholders(pub Arc<dyn Credentials>);

impl Credentials for Placeholders {
    fn get(&self, node: &str, key: &str) -> Option<String> {
        self.0.get(node, key).map(|_| "withheld".to_owned())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::replay::clock::VirtualClock;

    #[test]
    fn a_connection_grants_everything_and_takes_down_what_is_published() {
        let trace = Arc::new(Trace::new(VirtualClock::starting_at(5), 10));
        let recorder = Recorder { node: "broker".into(), trace: trace.clone() };
        assert!(recorder.is_at("mqtt.example.org", 8883));
        let link = recorder.link();
        link.open(LinkSettings::default());
        let publication = Publication {
            topic: "valve/set".into(),
            payload: Bytes::from_static(b"open"),
            qos: Qos::AtLeastOnce,
            retain: false,
            properties: None,
        };
        link.send(&mut vec![LinkRequest::Publish { id: 7, publication }]);
        let mut notices = VecDeque::new();
        link.take(&mut notices);
        assert!(matches!(notices.pop_front(), Some(LinkNotice::Opened { .. })));
        assert!(matches!(notices.pop_front(), Some(LinkNotice::Published { id: 7, reason: 0 })));
        let shown = serde_json::to_value(trace.take()).unwrap();
        let expected = serde_json::json!([{"time": 5, "node": "broker", "kind": "published", "topic": "valve/set",
            "payload": "open", "qos": 1, "retain": false}]);
        assert_eq!(shown, expected);
    }
}
