//! MQTT 3.1.1 through the library.

use super::{
    ConnectionSettings, Error, Outgoing, Qos,
    acks::Slot,
    link::{Event, Link, Lost, Offer, REQUEST_BATCH, REQUESTS_MAX, Received, Sender},
    registry::Wanted,
    stream::GatheringStream,
};
use rumqttc_v4::{
    AckMode, AsyncClient, Broker, ClientError, ConnectionError, Event as LibraryEvent, EventLoop, LastWill, ManualAck,
    MqttOptions, Outgoing as LibraryOutgoing, Packet, PubAck, PubRec, PublishOptions, QoS, SubscribeReasonCode,
    TlsConfiguration, Transport, default_socket_connect,
};

pub(super) struct LinkV4 {
    client: AsyncClient,
    events: EventLoop,
}

impl LinkV4 {
    pub(super) fn new(settings: &ConnectionSettings, client_id: &str) -> Result<Self, Error> {
        let mut options = MqttOptions::new(client_id, Broker::tcp(settings.host.clone(), settings.port));
        let bytes_max = usize::try_from(settings.packet_bytes_max).unwrap_or(usize::MAX);
        options
            .set_keep_alive(settings.keep_alive)
            .set_clean_session(settings.clean_session)
            .set_max_packet_size(bytes_max, bytes_max)
            .set_max_request_batch(REQUEST_BATCH)
            .set_inflight(settings.inflight_max.max(1))
            .set_ack_mode(AckMode::Manual);
        if let Some(username) = &settings.username {
            options.set_credentials(username.clone(), settings.password.clone().unwrap_or_default());
        }
        options.set_socket_connector(|host, network| async move {
            Ok(GatheringStream::new(default_socket_connect(host, network).await?))
        });
        if let Some(tls) = &settings.tls {
            options.set_transport(Transport::Tls(TlsConfiguration::Rustls(tls.clone())));
        }
        if let Some(will) = &settings.will {
            options.set_last_will(LastWill::new(&will.topic, will.payload.to_vec(), to_qos(will.qos), will.retain));
        }
        let (client, mut events) = AsyncClient::builder(options)
            .capacity(REQUESTS_MAX)
            .try_build()
            .map_err(|error| Error::Settings { reason: error.to_string() })?;
        events.network_options.set_tcp_nodelay(true);
        Ok(Self { client, events })
    }
}

impl Link for LinkV4 {
    type Sender = SenderV4;

    fn sender(&self) -> SenderV4 {
        SenderV4(self.client.clone())
    }

    async fn poll(&mut self) -> Result<Event, Lost> {
        match self.events.poll().await {
            Ok(event) => Ok(translate(event)),
            Err(error) => {
                Err(Lost { ended: matches!(error, ConnectionError::RequestsDone), reason: error.to_string() })
            }
        }
    }

    fn buffered(&mut self) -> Option<Event> {
        self.events.state.events.pop_front().map(translate)
    }

    fn drop_network(&mut self) {
        self.events.clean();
    }
}

fn translate(event: LibraryEvent) -> Event {
    match event {
        LibraryEvent::Incoming(Packet::Publish(publish)) => Event::Message(Received {
            topic: publish.topic,
            payload: publish.payload,
            qos: from_qos(publish.qos),
            retain: publish.retain,
            duplicate: publish.dup,
            packet_id: publish.pkid,
            properties: None,
            local: None,
            identity: None,
        }),
        LibraryEvent::Outgoing(LibraryOutgoing::Publish(packet_id)) if packet_id != 0 => Event::Sent(packet_id),
        LibraryEvent::Incoming(Packet::PubAck(ack)) => Event::Acknowledged { packet_id: ack.pkid, reason: 0 },
        LibraryEvent::Incoming(Packet::PubComp(comp)) => Event::Acknowledged { packet_id: comp.pkid, reason: 0 },
        LibraryEvent::Incoming(Packet::ConnAck(ack)) => {
            Event::Connected { session_present: ack.session_present, subscription_ids: false, receive_max: u16::MAX }
        }
        _ => Event::Other,
    }
}

#[derive(Clone)]
pub(super) struct SenderV4(AsyncClient);

impl Sender for SenderV4 {
    fn publish(&self, message: &Outgoing) -> Offer {
        let options = PublishOptions::new(to_qos(message.qos)).retain(message.retain);
        match self.0.try_publish(&*message.topic, message.payload.clone(), options) {
            Ok(()) => Offer::Taken,
            Err(ClientError::RequestChannelFull(_) | ClientError::RequestChannelDisconnected(_)) => Offer::Full,
            Err(_) => Offer::Invalid,
        }
    }

    fn acknowledge(&self, slot: Slot) -> bool {
        let ack = if slot.exactly_once {
            ManualAck::PubRec(PubRec::new(slot.packet_id))
        } else {
            ManualAck::PubAck(PubAck::new(slot.packet_id))
        };
        self.0.try_manual_ack(ack).is_ok()
    }

    fn subscribe(
        &self,
        wanted: &Wanted,
        _identified: bool,
    ) -> Result<std::pin::Pin<Box<dyn Future<Output = Option<Result<Qos, u8>>>>>, ()> {
        let subscription = &wanted.subscription;
        let notice =
            self.0.try_subscribe_tracked(subscription.filter.clone(), to_qos(subscription.qos)).map_err(|_| ())?;
        Ok(Box::pin(async move {
            Some(match notice.wait_async().await.ok()?.return_codes.first()? {
                SubscribeReasonCode::Success(qos) => Ok(from_qos(*qos)),
                SubscribeReasonCode::Failure => Err(0x80),
            })
        }))
    }

    fn unsubscribe(&self, filter: &str) -> bool {
        self.0.try_unsubscribe(filter).is_ok()
    }

    fn disconnect(&self) {
        // A full channel: the deadline of the stop ends the connection instead.
        let _ = self.0.try_disconnect();
    }
}

fn to_qos(qos: Qos) -> QoS {
    match qos {
        Qos::AtMostOnce => QoS::AtMostOnce,
        Qos::AtLeastOnce => QoS::AtLeastOnce,
        Qos::ExactlyOnce => QoS::ExactlyOnce,
    }
}

fn from_qos(qos: QoS) -> Qos {
    match qos {
        QoS::AtMostOnce => Qos::AtMostOnce,
        QoS::AtLeastOnce => Qos::AtLeastOnce,
        QoS::ExactlyOnce => Qos::ExactlyOnce,
    }
}
