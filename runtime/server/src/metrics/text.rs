//! All figures as text.

use std::fmt::Write as _;

use tidewire_engine::Stats;
use tidewire_log::EventLog as _;

use crate::app::{AppState, Core};

/// One page for Prometheus.
pub fn render(app: &AppState, core: &Core) -> String {
    let mut out = String::with_capacity(16 * 1024);
    let stats = core.engine.stats();
    nodes(&stats, &mut out);
    wires(&stats, &mut out);
    core.log.append_seconds.write("tidewire_log_append_seconds", "Time from append to acknowledgement.", &mut out);
    single(&mut out, "tidewire_log_position", "gauge", "Position of the last event.", core.log.head().get() as f64);
    let lag = core.log.health().store_lag as f64;
    single(&mut out, "tidewire_log_store_lag", "gauge", "Events that are not in the indexed store yet.", lag);
    projections(core, &mut out);
    if let Some(broker) = core.broker_stats() {
        for (name, kind, help, value) in [
            ("clients", "gauge", "Connected clients.", broker.clients as f64),
            ("messages_received_total", "counter", "Messages published by clients.", broker.messages_received as f64),
            ("messages_sent_total", "counter", "Messages delivered to clients.", broker.messages_sent as f64),
            ("bytes_received_total", "counter", "Payload bytes published.", broker.bytes_received as f64),
            ("bytes_sent_total", "counter", "Payload bytes delivered.", broker.bytes_sent as f64),
            (
                "messages_dropped_total",
                "counter",
                "Messages dropped for slow or absent clients.",
                broker.messages_dropped as f64,
            ),
            ("retained", "gauge", "Retained messages.", broker.retained as f64),
        ] {
            single(&mut out, &format!("tidewire_mqtt_{name}"), kind, help, value);
        }
    }
    head(&mut out, "tidewire_http_requests_total", "counter", "Answers by class of status.");
    for (class, count) in app.http.classes() {
        let _ = writeln!(out, "tidewire_http_requests_total{{status=\"{class}\"}} {count}");
    }
    app.http.seconds.write("tidewire_http_seconds", "Time from request to answer.", &mut out);
    process(app, &mut out);
    out
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn single(out: &mut String, name: &str, kind: &str, help: &str, value: f64) {
    head(out, name, kind, help);
    let _ = writeln!(out, "{name} {value}");
}

/// A label value: node ids are any text.
fn label(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn nodes(stats: &Stats, out: &mut String) {
    head(out, "tidewire_node_messages_total", "counter", "Messages in and out of nodes.");
    for node in &stats.nodes {
        let (id, kind) = (label(node.id.as_str()), label(&node.type_name));
        let sent: u64 = node.sent.iter().sum();
        for (dir, count) in [("in", node.received), ("out", sent)] {
            let _ =
                writeln!(out, "tidewire_node_messages_total{{node=\"{id}\",type=\"{kind}\",dir=\"{dir}\"}} {count}");
        }
    }
    head(out, "tidewire_node_errors_total", "counter", "Errors of nodes.");
    for node in &stats.nodes {
        let _ = writeln!(out, "tidewire_node_errors_total{{node=\"{}\"}} {}", label(node.id.as_str()), node.errors);
    }
    head(out, "tidewire_inbox_length", "gauge", "Messages that wait in front of a node.");
    for node in &stats.nodes {
        let _ = writeln!(out, "tidewire_inbox_length{{node=\"{}\"}} {}", label(node.id.as_str()), node.queue);
    }
    head(out, "tidewire_node_seconds", "counter", "Time that nodes spent working.");
    for node in &stats.nodes {
        let seconds = node.busy_ns as f64 / 1e9;
        let _ = writeln!(out, "tidewire_node_seconds{{node=\"{}\"}} {seconds}", label(node.id.as_str()));
    }
}

fn wires(stats: &Stats, out: &mut String) {
    head(out, "tidewire_wire_dropped_total", "counter", "Messages that a wire dropped.");
    for wire in &stats.wires {
        let (from, to) = (label(wire.from.as_str()), label(wire.to.as_str()));
        let (port, dropped) = (wire.port, wire.dropped);
        let _ = writeln!(out, "tidewire_wire_dropped_total{{from=\"{from}\",port=\"{port}\",to=\"{to}\"}} {dropped}");
    }
}

fn projections(core: &Core, out: &mut String) {
    head(out, "tidewire_projection_lag", "gauge", "Events that a read model is behind.");
    for name in core.projections.names().unwrap_or_default() {
        if let Ok(Some(status)) = core.projections.status(&name) {
            let _ = writeln!(out, "tidewire_projection_lag{{projection=\"{}\"}} {}", label(&name), status.lag);
        }
    }
}

fn process(app: &AppState, out: &mut String) {
    let uptime = app.started.elapsed().as_secs_f64();
    single(out, "process_uptime_seconds", "gauge", "Time since the start.", uptime);
    if let Some(bytes) = resident_bytes() {
        single(out, "process_resident_memory_bytes", "gauge", "Resident memory.", bytes as f64);
    }
    if let Some(seconds) = cpu_seconds() {
        single(out, "process_cpu_seconds_total", "counter", "Processor time.", seconds);
    }
    if let Ok(files) = std::fs::read_dir("/proc/self/fd") {
        single(out, "process_open_fds", "gauge", "Open files.", files.count() as f64);
    }
}

/// Resident memory of this process; `None` where the operating system does not tell.
pub fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

fn cpu_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The command's name stands in parentheses and may hold anything.
    let mut fields = text.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / rustix::param::clock_ticks_per_second() as f64)
}
