//! The broker of the same process: no socket, the same promises.

use super::{broker::Mosquitto, *};
use crate::network::mqtt::{core::Core, local::LinkLocal};
use std::io::{Read, Write};
use std::net::TcpStream;
use tidewire_broker::{Broker, BrokerSettings};
use tidewire_engine::log_handle::LogHandle;
use tidewire_log::MemoryLog;
use tidewire_node_api::handles::Log;

fn broker() -> Broker {
    Broker::start(BrokerSettings::new(([127, 0, 0, 1], 0).into())).unwrap()
}

fn around(broker: Option<&Broker>, log: &Arc<dyn Log>) -> Surroundings {
    Surroundings { broker: broker.map(Broker::local), log: Some(Arc::clone(log)), name: "node".to_owned() }
}

fn log() -> Arc<dyn Log> {
    Arc::new(LogHandle::new(Arc::new(MemoryLog::new())))
}

/// Connected without a socket: the broker counts those.
fn near(broker: &Broker, client_id: &str, clean: bool, log: &Arc<dyn Log>) -> Client {
    let mut settings = settings(broker.local_addr().port());
    settings.client_id = client_id.into();
    settings.clean_session = clean;
    let client = Client::prepare_in(settings, around(Some(broker), log));
    client.connection.connect();
    client.connected();
    assert_eq!(broker.stats().clients, 0);
    client
}

/// A device with its own socket, so that it can be watched packet by packet.
struct Device(TcpStream);

impl Device {
    fn connect(broker: &Broker) -> Device {
        let socket = TcpStream::connect(broker.local_addr()).unwrap();
        socket.set_read_timeout(Some(SOON)).unwrap();
        let mut device = Device(socket);
        device.0.write_all(&[0x10, 13, 0, 4, b'M', b'Q', b'T', b'T', 4, 0, 0, 0, 0, 1, b'd']).unwrap();
        assert_eq!(device.read()[0], 0x20);
        device
    }

    fn publish(&mut self, id: u8, duplicate: bool, qos: u8) {
        let first = 0x30 | u8::from(duplicate) << 3 | qos << 1;
        self.0.write_all(&[first, 7, 0, 2, b'i', b'n', 0, id, b'0' + id % 10]).unwrap();
    }

    fn read(&mut self) -> [u8; 4] {
        let mut packet = [0; 4];
        self.0.read_exact(&mut packet).unwrap();
        packet
    }

    fn silent(&mut self) {
        self.0.set_read_timeout(Some(NOT)).unwrap();
        assert!(self.0.read(&mut [0]).is_err(), "nothing is acknowledged yet");
        self.0.set_read_timeout(Some(SOON)).unwrap();
    }
}

#[test]
fn messages_go_both_ways_and_report_what_became_of_them() {
    let (broker, log) = (broker(), log());
    let (one, two) = (near(&broker, "one", true, &log), near(&broker, "two", true, &log));
    let sub = Sub::to(&two.connection, "in/#", Qos::ExactlyOnce).granted();
    let outcome = |told: Receiver<PublishOutcome>| told.recv_timeout(SOON).unwrap();
    assert_eq!(outcome(one.publish("in/x", "0", Qos::AtMostOnce)), PublishOutcome::Sent);
    assert_eq!(outcome(one.publish("in/x", "1", Qos::AtLeastOnce)), PublishOutcome::Acknowledged { reason: 0 });
    assert_eq!(outcome(one.publish("in/x", "2", Qos::ExactlyOnce)), PublishOutcome::Acknowledged { reason: 0 });
    assert_eq!(outcome(one.publish("in/#", "3", Qos::AtLeastOnce)), PublishOutcome::Refused { reason: 0x90 });
    assert_eq!([sub.next(), sub.next(), sub.next()], ["in/x=0", "in/x=1", "in/x=2"]);
}

#[test]
fn the_device_is_acknowledged_when_the_message_is_done() {
    let (broker, log) = (broker(), log());
    let flow = near(&broker, "flow", true, &log);
    let sub = Sub::to(&flow.connection, "in", Qos::ExactlyOnce).granted();
    let mut device = Device::connect(&broker);
    for id in 1..=3 {
        device.publish(id, false, 1);
    }
    let mut came: Vec<_> = (0..3).map(|_| sub.messages.recv_timeout(SOON).unwrap()).collect();
    let identities: Vec<_> = came.iter().map(|message| message.identity.clone().unwrap()).collect();
    assert!(identities[0] != identities[1] && identities[1] != identities[2]);
    came.remove(1).ack.unwrap().complete(AckOutcome::Done);
    device.silent();
    came.remove(0).ack.unwrap().complete(AckOutcome::Dropped);
    assert_eq!([device.read(), device.read()], [[0x40, 2, 0, 1], [0x40, 2, 0, 2]]);
    came.remove(0).ack.unwrap().complete(AckOutcome::Done);
    assert_eq!(device.read(), [0x40, 2, 0, 3]);
}

#[test]
fn what_failed_comes_again_or_not_as_the_settings_have_it() {
    let (broker, log) = (broker(), log());
    let mut settings = settings(broker.local_addr().port());
    settings.on_failed = OnFailed::Acknowledge;
    let lenient = Client::prepare_in(settings.clone(), around(Some(&broker), &log));
    lenient.connection.connect();
    let sub = Sub::to(&lenient.connection, "in", Qos::AtLeastOnce).granted();
    let mut device = Device::connect(&broker);
    device.publish(1, false, 1);
    sub.messages.recv_timeout(SOON).unwrap().ack.unwrap().complete(AckOutcome::Failed);
    assert_eq!(device.read(), [0x40, 2, 0, 1]);
    // Cut off is not failed: that comes again whatever the settings.
    device.publish(2, false, 1);
    let first = sub.messages.recv_timeout(SOON).unwrap();
    let identity = first.identity.clone();
    drop(first);
    let again = sub.messages.recv_timeout(SOON).unwrap();
    assert!(again.duplicate && again.identity == identity);
    device.silent();
    again.ack.unwrap().complete(AckOutcome::Done);
    assert_eq!(device.read(), [0x40, 2, 0, 2]);
}

#[test]
fn a_device_that_repeats_after_a_crash_is_recognised() {
    for qos in [1, 2] {
        let log = log();
        let first = broker();
        let flow = near(&first, "", true, &log);
        let sub = Sub::to(&flow.connection, "in", Qos::ExactlyOnce).granted();
        let mut device = Device::connect(&first);
        let identities: Vec<_> = (1..=100)
            .map(|id| {
                device.publish(id, false, qos);
                let message = sub.messages.recv_timeout(SOON).unwrap();
                let identity = message.identity.clone().unwrap();
                // The process is killed before anything is acknowledged.
                std::mem::forget(message.ack);
                identity
            })
            .collect();
        device.silent();
        drop((first, device));
        let second = broker();
        let flow = near(&second, "", true, &log);
        let sub = Sub::to(&flow.connection, "in", Qos::ExactlyOnce).granted();
        let mut device = Device::connect(&second);
        (1..=100).for_each(|id| device.publish(id, true, qos));
        for (id, identity) in (1..=100).zip(identities) {
            let message = sub.messages.recv_timeout(SOON).unwrap();
            assert_eq!(message.identity, Some(identity));
            message.ack.unwrap().complete(AckOutcome::Done);
            assert_eq!(device.read(), [if qos == 1 { 0x40 } else { 0x50 }, 2, 0, id]);
        }
    }
}

#[test]
fn a_device_that_did_not_get_its_answers_is_recognised() {
    let log = log();
    let first = broker();
    let flow = near(&first, "", true, &log);
    let sub = Sub::to(&flow.connection, "in", Qos::AtLeastOnce).granted();
    let mut device = Device::connect(&first);
    let take = |sub: &Sub| {
        let message = sub.messages.recv_timeout(SOON).unwrap();
        message.ack.unwrap().complete(AckOutcome::Done);
        message.identity.unwrap()
    };
    let mut identities = Vec::new();
    for id in 1..=9 {
        device.publish(id, false, 1);
        identities.push(take(&sub));
        // It is on its way, and lost with the connection.
        assert_eq!(device.read(), [0x40, 2, 0, id]);
    }
    drop(device);
    let mut device = Device::connect(&first);
    (6..=9).for_each(|id| device.publish(id, true, 1));
    assert_eq!((6..=9).map(|_| take(&sub)).collect::<Vec<_>>(), identities[5..], "after a cut");
    device.publish(10, false, 1);
    take(&sub);
    drop((first, device));
    let second = broker();
    let flow = near(&second, "", true, &log);
    let sub = Sub::to(&flow.connection, "in", Qos::AtLeastOnce).granted();
    let mut device = Device::connect(&second);
    (6..=9).for_each(|id| device.publish(id, true, 1));
    assert_eq!((6..=9).map(|_| take(&sub)).collect::<Vec<_>>(), identities[5..], "after a crash");
}

#[test]
fn what_the_broker_kept_for_its_receiver_is_recognised_after_a_crash() {
    let log = log();
    let broker = |port: u16| {
        let settings = BrokerSettings::new(([127, 0, 0, 1], port).into());
        Broker::start(BrokerSettings { log: Some(Arc::clone(&log)), ..settings }).unwrap()
    };
    let first = broker(0);
    let flow = near(&first, "flow", false, &log);
    std::mem::forget(Sub::to(&flow.connection, "in", Qos::AtLeastOnce).granted());
    flow.connection.close();
    let mut device = Device::connect(&first);
    for id in 1..=50 {
        device.publish(id, false, 1);
        assert_eq!(device.read(), [0x40, 2, 0, id]);
    }
    let come = |flow: &Client| {
        let sub = Sub::to(&flow.connection, "in", Qos::AtLeastOnce);
        flow.connection.connect();
        let messages: Vec<_> = (0..50).map(|_| sub.messages.recv_timeout(SOON).unwrap()).collect();
        // The process is killed before anything is acknowledged.
        let identity = |message: Incoming| {
            std::mem::forget(message.ack);
            message.identity.unwrap()
        };
        let identities: Vec<_> = messages.into_iter().map(identity).collect();
        std::mem::forget(sub);
        identities
    };
    let mut settings = settings(first.local_addr().port());
    (settings.client_id, settings.clean_session) = ("flow".into(), false);
    let flow = Client::prepare_in(settings.clone(), around(Some(&first), &log));
    let identities = come(&flow);
    drop(first);
    let second = broker(settings.port);
    assert_eq!(come(&Client::prepare_in(settings, around(Some(&second), &log))), identities);
}

#[test]
fn a_connection_with_messages_under_way_ends_in_time() {
    let broker = broker();
    let settings = Arc::new(settings(broker.local_addr().port()));
    let (link, shared) = (LinkLocal::new(broker.local().link(), &settings, "flow"), Arc::new(shared::Shared::new(10)));
    let ((taken, messages), (answered, answers), (ended, end)) = (channel(), channel(), channel());
    let subscriber = Arc::new(Taker(Mutex::new(taken), Mutex::new(answered)));
    let subscription = Subscription::new("in", Qos::AtLeastOnce);
    shared.command(shared::Command::Subscribe { id: 1, subscription, subscriber });
    shared.command(shared::Command::Connect);
    let of_thread = Arc::clone(&shared);
    std::thread::spawn(move || {
        let core = Core::new(of_thread, settings, link::Link::sender(&link), None);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(driver::run(link, core, Arc::new(|_| ())));
        ended.send(()).unwrap();
    });
    assert!(answers.recv_timeout(SOON).unwrap().is_ok());
    let mut device = Device::connect(&broker);
    device.publish(1, false, 1);
    let under_way = messages.recv_timeout(SOON).unwrap();
    // The thread learns of it by this alone: that it is interrupted as well may be noticed too early.
    shared.command(shared::Command::Stop);
    end.recv_timeout(SOON).expect("it waits for an acknowledgement that nobody gives");
    drop(under_way);
}

#[test]
fn a_session_without_its_client_keeps_messages() {
    let (broker, log) = (broker(), log());
    let flow = near(&broker, "flow", false, &log);
    // It outlives its connection, as a node that is stopped with the process does.
    std::mem::forget(Sub::to(&flow.connection, "in", Qos::AtLeastOnce).granted());
    flow.connection.close();
    let mut device = Device::connect(&broker);
    for id in 1..=3 {
        device.publish(id, false, 1);
        assert_eq!(device.read(), [0x40, 2, 0, id]);
    }
    let mut settings = settings(broker.local_addr().port());
    (settings.client_id, settings.clean_session) = ("flow".into(), false);
    let flow = Client::prepare_in(settings, around(Some(&broker), &log));
    let sub = Sub::to(&flow.connection, "in", Qos::AtLeastOnce);
    flow.connection.connect();
    assert!(flow.connected(), "the session was kept");
    assert_eq!([sub.next(), sub.next(), sub.next()], ["in=1", "in=2", "in=3"]);
}

#[test]
fn another_broker_is_reached_over_its_socket() {
    let (near, log) = (broker(), log());
    let far = Mosquitto::start();
    let client = Client::prepare_in(settings(far.port), around(Some(&near), &log));
    client.connection.connect();
    client.connected();
    let outcome = client.publish("in", "1", Qos::AtLeastOnce).recv_timeout(SOON).unwrap();
    assert_eq!(outcome, PublishOutcome::Acknowledged { reason: 0 });
    assert_eq!(near.stats().messages_received, 0);
}
