//! An actuator and a simulated valve on a real broker, which is not ours.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tidewire_node_api::bench::Bench;

use super::actuator_out::ActuatorOut;
use super::simulator::Simulator;
use super::testing::{TestHttp, TestLog, nudge, services};
use crate::network::mqtt_broker::tests::link_to;

const PATIENCE: Duration = Duration::from_secs(20);

/// A mosquitto process on a free port, ended by its own process id.
struct Mosquitto {
    child: Child,
    port: u16,
}

impl Mosquitto {
    fn start() -> Mosquitto {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let program =
            if std::path::Path::new("/usr/sbin/mosquitto").exists() { "/usr/sbin/mosquitto" } else { "mosquitto" };
        let mut command = Command::new(program);
        command.args(["-p", &port.to_string()]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("mosquitto is installed; see `make test`");
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "mosquitto does not listen");
            std::thread::yield_now();
        }
        Mosquitto { child, port }
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lets a node take what has come in until something holds.
fn until(mut bench: Bench, what: &str, holds: impl Fn() -> bool) -> Bench {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        bench = nudge(bench);
        std::thread::yield_now();
    }
    bench
}

fn run(version_5: bool) {
    let broker = Mosquitto::start();
    let (at_actuator, at_valve) = (link_to(broker.port, version_5), link_to(broker.port, version_5));
    let (log, http) = (Arc::new(TestLog::default()), Arc::new(TestHttp::default()));
    let valve = json!({"broker": "b", "prefix": "gh", "things": [{"id": "v", "kind": "valve", "every": 5}]});
    let mut valve = Bench::of::<Simulator>(valve).with_resource("b", at_valve.clone()).started_with(None);
    let actuator = json!({
        "broker": "b", "topic": "gh/v/valve/set", "confirmTopic": "gh/v/valve",
        "payload": r#"{"valve":"{{payload}}","command":"{{command}}"}"#, "confirmPayload": r#"{"valve":"{{payload}}"}"#,
    });
    let mut actuator = Bench::of::<ActuatorOut>(actuator)
        .with_services(services(&log, &http))
        .with_resource("b", at_actuator.clone())
        .started_with(None);
    let connected = |link: &crate::network::mqtt_broker::BrokerLink| {
        link.state() == crate::network::mqtt_broker::LinkState::Connected
    };
    valve = until(valve, "the valve's connection", || connected(&at_valve));
    actuator = until(actuator, "the actuator's connection", || connected(&at_actuator));
    actuator = actuator.send("open");
    actuator = until(actuator, "the broker's word", || log.kinds().contains(&"delivered".to_owned()));
    // The valve hears of it at some moment, and then takes up to two seconds of its own time.
    let deadline = Instant::now() + PATIENCE;
    while !log.kinds().contains(&"confirmed".to_owned()) {
        assert!(Instant::now() < deadline, "no confirmation: {:?}", log.seen());
        valve = nudge(valve).after_ms(100);
        actuator = nudge(actuator);
        std::thread::yield_now();
    }
    assert_eq!(log.kinds(), ["requested", "sent", "delivered", "confirmed"]);
    let id = log.seen()[0].1["id"].as_str().unwrap().to_owned();
    let answer = log.seen()[3].1["payload"].as_str().unwrap().to_owned();
    assert_eq!(answer, json!({"valve": "open", "command": id}).to_string());
    assert_eq!(actuator.take()[0].0, 0);
}

#[test]
fn a_command_reaches_the_device_and_its_answer_comes_back_over_mqtt_3() {
    run(false);
}

#[test]
fn a_command_reaches_the_device_and_its_answer_comes_back_over_mqtt_5() {
    run(true);
}
