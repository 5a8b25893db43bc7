//! An MQTT 3.1.1 client for tests, polled in the background.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::indexing_slicing)]

use super::{NOT, SOON};
use rumqttc_v4::{AsyncClient, Broker, Event, Incoming, MqttOptions, Publish, PublishOptions, mqttbytes::qos as level};
use std::{collections::VecDeque, net::SocketAddr};
use tokio::{
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    task::JoinHandle,
    time::timeout,
};

pub struct V4 {
    pub client: AsyncClient,
    pub incoming: UnboundedReceiver<Incoming>,
    pub session_present: bool,
    held: VecDeque<Publish>,
    task: JoinHandle<()>,
}

/// Options for the broker at `address`.
pub fn options(address: SocketAddr, id: &str) -> MqttOptions {
    let mut options = MqttOptions::new(id, Broker::tcp(address.ip().to_string(), address.port()));
    options.set_max_packet_size(4 << 20, 4 << 20);
    options
}

impl V4 {
    pub async fn connect(options: MqttOptions) -> Self {
        let (client, mut events) = AsyncClient::builder(options).capacity(4_096).build();
        let (came, mut incoming) = unbounded_channel();
        let task = tokio::spawn(async move {
            while let Ok(event) = events.poll().await {
                if let Event::Incoming(packet) = event
                    && came.send(packet).is_err()
                {
                    return;
                }
            }
        });
        match timeout(SOON, incoming.recv()).await.unwrap() {
            Some(Incoming::ConnAck(ack)) => {
                Self { client, incoming, session_present: ack.session_present, held: VecDeque::new(), task }
            }
            other => panic!("not connected: {other:?}"),
        }
    }

    pub async fn to(address: SocketAddr, id: &str) -> Self {
        Self::connect(options(address, id)).await
    }

    pub async fn subscribe(&mut self, filter: &str, qos: u8) {
        self.client.subscribe(filter, level(qos).unwrap()).await.unwrap();
        self.until("SUBACK", |packet| matches!(packet, Incoming::SubAck(_))).await;
    }

    /// Publishes and waits until the broker has taken over.
    pub async fn publish(&mut self, topic: &str, payload: &str, qos: u8, retain: bool) {
        let options = PublishOptions::new(level(qos).unwrap()).retain(retain);
        self.client.publish(topic, payload.to_owned(), options).await.unwrap();
        match qos {
            1 => self.until("PUBACK", |packet| matches!(packet, Incoming::PubAck(_))).await,
            2 => self.until("PUBCOMP", |packet| matches!(packet, Incoming::PubComp(_))).await,
            _ => {}
        }
    }

    /// Waits for a packet; messages that come before it are kept for later.
    pub async fn until(&mut self, what: &str, wanted: impl Fn(&Incoming) -> bool) {
        loop {
            let packet = timeout(SOON, self.incoming.recv()).await.expect(what).expect(what);
            if wanted(&packet) {
                return;
            }
            if let Incoming::Publish(publish) = packet {
                self.held.push_back(publish);
            }
        }
    }

    pub async fn message(&mut self) -> Publish {
        if let Some(publish) = self.held.pop_front() {
            return publish;
        }
        loop {
            let packet = timeout(SOON, self.incoming.recv()).await.expect("a message").expect("a connection");
            if let Incoming::Publish(publish) = packet {
                return publish;
            }
        }
    }

    /// The next message as text.
    pub async fn next(&mut self) -> String {
        let message = self.message().await;
        format!("{}={}", String::from_utf8_lossy(&message.topic), String::from_utf8_lossy(&message.payload))
    }

    pub async fn nothing_more(&mut self) {
        assert!(self.held.is_empty(), "unexpected {:?}", self.held);
        while let Ok(Some(packet)) = timeout(NOT, self.incoming.recv()).await {
            assert!(!matches!(packet, Incoming::Publish(_)), "unexpected {packet:?}");
        }
    }

    /// Breaks the connection without a goodbye.
    pub async fn vanish(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    /// Says goodbye and waits until the connection is closed.
    pub async fn leave(mut self) {
        self.client.disconnect().await.unwrap();
        while let Ok(Some(_)) = timeout(SOON, self.incoming.recv()).await {}
    }
}
