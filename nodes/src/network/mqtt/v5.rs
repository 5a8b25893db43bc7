//! MQTT 5 through the library.

use super::{
    ConnectionSettings, Error, Outgoing, Properties, Qos, Will,
    acks::Slot,
    link::{Event, Link, Lost, Offer, REQUEST_BATCH, REQUESTS_MAX, Received, Sender},
    registry::{RetainHandling, Wanted},
    stream::GatheringStream,
};
use rumqttc_v5::{
    AckMode, AsyncClient, Broker, BrokerSessionResumePolicy, ClientError, ConnectionError, Event as LibraryEvent,
    EventLoop, IncomingPacketSizeLimit, ManualAck, MqttOptions, PersistedAckMode, PersistedSession, PublishNotice,
    PublishNoticeError, PublishOptions, PublishResult, SessionStore, SessionStoreError, SessionStoreKey,
    TlsConfiguration, Transport, default_socket_connect,
    mqttbytes::{
        QoS,
        v5::{
            LastWill, LastWillProperties, Packet, PubAck, PubRec, PublishProperties, RetainForwardRule,
            SubscribeFilter, SubscribeProperties, SubscribeReasonCode,
        },
    },
};
use std::pin::Pin;

/// MQTT 5 messages of QoS 1 and 2 that the broker may send before it waits for acknowledgements. The same order as the
/// graph's inboxes, so that the window, not memory, holds back a fast broker.
const RECEIVE_MAX: u16 = 1_024;
/// A session without a stated expiry is kept for as long as MQTT allows when it is not clean.
const EXPIRY_NEVER: u32 = u32::MAX;

/// MQTT 5: Retain not supported.
const RETAIN_NOT_SUPPORTED: u8 = 0x9A;

pub(super) struct LinkV5 {
    client: AsyncClient,
    events: EventLoop,
}

impl LinkV5 {
    pub(super) fn new(settings: &ConnectionSettings, client_id: &str) -> Result<Self, Error> {
        let mut options = MqttOptions::new(client_id, Broker::tcp(settings.host.clone(), settings.port));
        let expiry = settings.session_expiry.or((!settings.clean_session).then_some(EXPIRY_NEVER));
        options
            .set_keep_alive(settings.keep_alive)
            .set_clean_start(settings.clean_session)
            .set_broker_session_resume_policy(BrokerSessionResumePolicy::AllowBrokerOnly)
            .set_session_expiry_interval(expiry)
            .set_receive_maximum(Some(RECEIVE_MAX))
            .set_max_packet_size(Some(settings.packet_bytes_max))
            .set_incoming_packet_size_limit(IncomingPacketSizeLimit::Bytes(settings.packet_bytes_max))
            .set_max_request_batch(REQUEST_BATCH)
            .set_outgoing_inflight_upper_limit(settings.inflight_max.max(1))
            .set_ack_mode(AckMode::Manual);
        if !settings.user_properties.is_empty() {
            options.set_user_properties(settings.user_properties.clone());
        }
        match (&settings.username, &settings.password) {
            (Some(username), Some(password)) => {
                options.set_credentials(username.clone(), password.clone());
            }
            (Some(username), None) => {
                options.set_username(username.clone());
            }
            (None, Some(password)) => {
                options.set_password(password.clone());
            }
            (None, None) => {}
        }
        options.set_socket_connector(|host, network| async move {
            Ok(GatheringStream::new(default_socket_connect(host, network).await?))
        });
        if let Some(tls) = &settings.tls {
            options.set_transport(Transport::Tls(TlsConfiguration::Rustls(tls.clone())));
        }
        if let Some(will) = &settings.will {
            options.set_last_will(to_will(will));
        }
        let mut network = options.network_options();
        network.set_tcp_nodelay(true);
        options.set_network_options(network);
        if !settings.clean_session {
            let nothing = NothingUnderWay::new(&options);
            options.set_session_store(nothing);
        }
        let (client, events) = AsyncClient::builder(options)
            .capacity(REQUESTS_MAX)
            .try_build()
            .map_err(|error| Error::Settings { reason: error.to_string() })?;
        Ok(Self { client, events })
    }
}

impl Link for LinkV5 {
    type Sender = SenderV5;

    fn sender(&self) -> SenderV5 {
        SenderV5(self.client.clone())
    }

    async fn poll(&mut self) -> Result<Event, Lost> {
        match self.events.poll().await {
            Ok(event) => {
                // Asked once; from then on it would only cost a snapshot of everything at every step.
                if self.events.options.session_store().is_some() {
                    self.events.options.clear_session_store();
                }
                Ok(translate(event))
            }
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
            properties: publish.properties.map(|properties| Box::new(from_properties(properties))),
            local: None,
            identity: None,
        }),
        LibraryEvent::Incoming(Packet::ConnAck(ack)) => Event::Connected {
            session_present: ack.session_present,
            receive_max: ack.properties.as_ref().and_then(|p| p.receive_max).unwrap_or(u16::MAX),
            subscription_ids: ack.properties.is_none_or(|p| p.subscription_identifiers_available != Some(0)),
        },
        _ => Event::Other,
    }
}

#[derive(Clone)]
pub(super) struct SenderV5(AsyncClient);

impl Sender for SenderV5 {
    fn publish(&self, message: &Outgoing) -> Offer {
        let mut options = PublishOptions::new(to_qos(message.qos)).retain(message.retain);
        if let Some(properties) = &message.properties {
            options = options.properties(to_properties(properties));
        }
        if message.qos != Qos::AtMostOnce {
            // The library forgets its events when a connection breaks, but never an answer that it promised.
            return match self.0.try_publish_tracked(&*message.topic, message.payload.clone(), options) {
                Ok(notice) => Offer::Tracked(Box::pin(answer(notice))),
                Err(ClientError::RequestChannelFull(_) | ClientError::RequestChannelDisconnected(_)) => Offer::Full,
                Err(_) => Offer::Invalid,
            };
        }
        match self.0.try_publish(&*message.topic, message.payload.clone(), options) {
            Ok(()) => Offer::Taken,
            Err(ClientError::RequestChannelFull(_) | ClientError::RequestChannelDisconnected(_)) => Offer::Full,
            Err(_) => Offer::Invalid,
        }
    }

    fn acknowledge(&self, slot: Slot) -> bool {
        let ack = if slot.exactly_once {
            ManualAck::PubRec(PubRec::new(slot.packet_id, None))
        } else {
            ManualAck::PubAck(PubAck::new(slot.packet_id, None))
        };
        self.0.try_manual_ack(ack).is_ok()
    }

    fn subscribe(
        &self,
        wanted: &Wanted,
        identified: bool,
    ) -> Result<Pin<Box<dyn Future<Output = Option<Result<Qos, u8>>>>>, ()> {
        let subscription = &wanted.subscription;
        let mut filter = SubscribeFilter::new(subscription.filter.clone(), to_qos(subscription.qos));
        // No Local on a shared subscription is a protocol error.
        filter.nolocal = subscription.no_local && !subscription.filter.starts_with("$share/");
        filter.preserve_retain = subscription.retain_as_published;
        filter.retain_forward_rule = match subscription.retain_handling {
            RetainHandling::Send => RetainForwardRule::OnEverySubscribe,
            RetainHandling::SendIfNew => RetainForwardRule::OnNewSubscribe,
            RetainHandling::Never => RetainForwardRule::Never,
        };
        let id = identified.then_some(usize::try_from(wanted.id).unwrap_or(1));
        let properties = SubscribeProperties { id, user_properties: Vec::new() };
        let notice = self.0.try_subscribe_many_with_properties_tracked([filter], properties).map_err(|_| ())?;
        Ok(Box::pin(async move {
            Some(match notice.wait_async().await.ok()?.return_codes.first()? {
                SubscribeReasonCode::Success(qos) => Ok(from_qos(*qos)),
                refusal => Err(refusal_code(refusal)),
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

/// The reason code in the answer to a message; `None` when there will be no answer.
async fn answer(notice: PublishNotice) -> Option<u8> {
    match notice.wait_async().await {
        Ok(PublishResult::Qos1(ack)) => Some(ack.reason as u8),
        Ok(PublishResult::Qos2PubRecRejected(rec)) => Some(rec.reason as u8),
        Ok(_) => Some(0),
        Err(PublishNoticeError::V5PubAck(reason)) => Some(reason as u8),
        Err(PublishNoticeError::V5PubRec(reason)) => Some(reason as u8),
        // The broker was done with the message before the connection broke.
        Err(PublishNoticeError::V5PubComp(_)) => Some(0),
        Err(PublishNoticeError::RetainNotSupported) => Some(RETAIN_NOT_SUPPORTED),
        Err(_) => None,
    }
}

/// Tells the library that this client has nothing under way of the session that the broker kept. It has not: messages
/// not acknowledged wait in the outbox of a durable node, not here. Without this it would refuse to subscribe and to
/// publish on such a session.
#[derive(Debug)]
struct NothingUnderWay(PersistedSession);

impl NothingUnderWay {
    fn new(options: &MqttOptions) -> Self {
        Self(PersistedSession {
            format_version: 1,
            client_id: options.client_id(),
            clean_start: options.clean_start(),
            session_expiry_interval: None,
            outgoing_inflight_upper_limit: options.get_outgoing_inflight_upper_limit(),
            ack_mode: PersistedAckMode::Manual,
            last_pkid: 0,
            last_puback: 0,
            replay: Vec::new(),
            incoming_qos2: Vec::new(),
        })
    }
}

type Stored<'a, T> = Pin<Box<dyn Future<Output = Result<T, SessionStoreError>> + Send + 'a>>;

impl SessionStore for NothingUnderWay {
    fn load<'a>(&'a self, _key: &'a SessionStoreKey) -> Stored<'a, Option<PersistedSession>> {
        Box::pin(async { Ok(Some(self.0.clone())) })
    }

    fn save<'a>(&'a self, _key: &'a SessionStoreKey, _session: &'a PersistedSession) -> Stored<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn clear<'a>(&'a self, _key: &'a SessionStoreKey) -> Stored<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}

fn refusal_code(code: &SubscribeReasonCode) -> u8 {
    match code {
        SubscribeReasonCode::Success(qos) => *qos as u8,
        SubscribeReasonCode::Failure | SubscribeReasonCode::Unspecified => 0x80,
        SubscribeReasonCode::ImplementationSpecific => 0x83,
        SubscribeReasonCode::NotAuthorized => 0x87,
        SubscribeReasonCode::TopicFilterInvalid => 0x8F,
        SubscribeReasonCode::PkidInUse => 0x91,
        SubscribeReasonCode::QuotaExceeded => 0x97,
        SubscribeReasonCode::SharedSubscriptionsNotSupported => 0x9E,
        SubscribeReasonCode::SubscriptionIdNotSupported => 0xA1,
        SubscribeReasonCode::WildcardSubscriptionsNotSupported => 0xA2,
    }
}

fn to_will(will: &Will) -> LastWill {
    let given = will.properties.clone().unwrap_or_default();
    let properties = LastWillProperties {
        delay_interval: will.delay,
        payload_format_indicator: given.payload_format,
        message_expiry_interval: given.message_expiry,
        content_type: given.content_type,
        response_topic: given.response_topic,
        correlation_data: given.correlation_data,
        user_properties: given.user,
    };
    LastWill::new(&will.topic, will.payload.to_vec(), to_qos(will.qos), will.retain, Some(properties))
}

fn to_properties(properties: &Properties) -> PublishProperties {
    PublishProperties {
        payload_format_indicator: properties.payload_format,
        message_expiry_interval: properties.message_expiry,
        topic_alias: properties.topic_alias,
        response_topic: properties.response_topic.clone(),
        correlation_data: properties.correlation_data.clone(),
        user_properties: properties.user.clone(),
        subscription_identifiers: Vec::new(),
        content_type: properties.content_type.clone(),
    }
}

fn from_properties(properties: PublishProperties) -> Properties {
    Properties {
        payload_format: properties.payload_format_indicator,
        message_expiry: properties.message_expiry_interval,
        topic_alias: properties.topic_alias,
        response_topic: properties.response_topic,
        correlation_data: properties.correlation_data,
        user: properties.user_properties,
        subscription_ids: properties
            .subscription_identifiers
            .into_iter()
            .filter_map(|id| u32::try_from(id).ok())
            .collect(),
        content_type: properties.content_type,
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
