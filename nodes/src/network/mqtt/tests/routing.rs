//! Several subscribers share one connection.

use super::{broker::*, *};

fn both_versions(test: impl Fn(ConnectionSettings)) {
    let broker = Mosquitto::start();
    for protocol in [Protocol::V4, Protocol::V5] {
        let mut settings = settings(broker.port);
        settings.protocol = protocol;
        test(settings);
    }
}

#[test]
fn overlapping_subscriptions_get_each_message_once() {
    both_versions(|settings| {
        let client = Client::connect(settings);
        let wide = Sub::to(&client.connection, "a/#", Qos::AtMostOnce).granted();
        let narrow = Sub::to(&client.connection, "a/b", Qos::AtLeastOnce).granted();
        client.publish("a/b", "1", Qos::AtLeastOnce);
        client.publish("a/c", "2", Qos::AtLeastOnce);
        client.publish("a/end", "", Qos::AtLeastOnce);
        assert_eq!([wide.next(), wide.next(), wide.next()], ["a/b=1", "a/c=2", "a/end="]);
        assert_eq!(narrow.next(), "a/b=1");
        narrow.nothing_more();
        wide.nothing_more();
    });
}

#[test]
fn a_newcomer_gets_retained_messages_and_the_others_not_again() {
    both_versions(|settings| {
        let client = Client::connect(settings);
        let mut message = Outgoing::new("kept/x", "7", Qos::AtLeastOnce);
        message.retain = true;
        client.send(message).recv_timeout(SOON).unwrap();
        let first = Sub::to(&client.connection, "kept/#", Qos::AtLeastOnce).granted();
        assert_eq!(first.next(), "kept/x=7");
        let same = Sub::to(&client.connection, "kept/#", Qos::AtLeastOnce).granted();
        assert_eq!(same.next(), "kept/x=7");
        let narrow = Sub::to(&client.connection, "kept/x", Qos::AtLeastOnce).granted();
        assert_eq!(narrow.next(), "kept/x=7");
        first.nothing_more();
    });
}

#[test]
fn the_end_of_a_wide_subscription_leaves_the_narrow_one() {
    both_versions(|settings| {
        let client = Client::connect(settings);
        let wide = Sub::to(&client.connection, "a/#", Qos::AtLeastOnce).granted();
        let narrow = Sub::to(&client.connection, "a/b", Qos::AtLeastOnce).granted();
        drop(wide);
        let marker = Sub::to(&client.connection, "marker", Qos::AtLeastOnce).granted();
        client.publish("a/b", "1", Qos::AtLeastOnce);
        client.publish("marker", "", Qos::AtLeastOnce);
        assert_eq!(narrow.next(), "a/b=1");
        assert_eq!(marker.next(), "marker=");
    });
}

#[test]
fn shared_subscriptions_split_the_load() {
    let broker = Mosquitto::start();
    let [one, two] = [(); 2].map(|()| Client::connect(settings(broker.port)));
    let subs = [&one, &two].map(|c| Sub::to(&c.connection, "$share/team/job/+", Qos::AtLeastOnce).granted());
    for number in 0..40 {
        one.publish("job/x", &number.to_string(), Qos::AtLeastOnce);
    }
    let counts = subs.map(|sub| {
        std::iter::from_fn(|| sub.messages.recv_timeout(NOT).ok())
            .inspect(|message| assert!(message.ack.is_some()))
            .map(|message| message.ack.unwrap().complete(AckOutcome::Done))
            .count()
    });
    assert_eq!(counts.iter().sum::<usize>(), 40);
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
}
