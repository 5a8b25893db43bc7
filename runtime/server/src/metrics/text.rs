//! All figures as text.

use std::fmt::Write as _;

use tidewire_engine::{NodeStats, Stats, WireStats};
use tidewire_log::consumers::GroupStatus;
use tidewire_log::{EventLog as _, Usage};

use crate::app::{AppState, Core};

/// One page for Prometheus.
pub fn render(app: &AppState, core: &Core, usage: Option<&Usage>, groups: &[GroupStatus]) -> String {
    let mut out = String::with_capacity(16 * 1024);
    let stats = core.engine.stats();
    nodes(&stats, &mut out);
    wires(&stats, &mut out);
    core.log.append_seconds.write("tidewire_log_append_seconds", "Time from append to acknowledgement.", &mut out);
    single(&mut out, "tidewire_log_position", "gauge", "Position of the last event.", core.log.head().get() as f64);
    let lag = core.log.health().store_lag as f64;
    single(&mut out, "tidewire_log_store_lag", "gauge", "Events that are not in the indexed store yet.", lag);
    usage.iter().for_each(|usage| log_usage(usage, &mut out));
    projections(core, &mut out);
    followers(core, groups, &mut out);
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

/// Who follows the log, and how far behind.
fn followers(core: &Core, groups: &[GroupStatus], out: &mut String) {
    let log_head = core.log.head().get();
    let open = core.followers.list();
    let of = |kind: &'static str| open.iter().filter(move |follower| follower.kind == kind);
    head(out, "tidewire_followers", "gauge", "Clients that follow the log.");
    for kind in ["sse", "socket"] {
        let _ = writeln!(out, "tidewire_followers{{kind=\"{kind}\"}} {}", of(kind).count());
    }
    head(out, "tidewire_follower_lag_max", "gauge", "Positions that the slowest client is behind the log.");
    for kind in ["sse", "socket"] {
        let lag = of(kind).map(|follower| log_head.saturating_sub(follower.position().get())).max().unwrap_or(0);
        let _ = writeln!(out, "tidewire_follower_lag_max{{kind=\"{kind}\"}} {lag}");
    }
    type Figure = (&'static str, &'static str, &'static str, fn(&GroupStatus) -> u64);
    let figures: [Figure; 5] = [
        ("lag", "gauge", "Positions that a consumer group is behind the log.", |group| group.lag),
        ("in_flight", "gauge", "Events that members of a consumer group hold.", |group| group.in_flight),
        ("parked", "gauge", "Events that a consumer group has put aside.", |group| group.parked),
        ("delivered_total", "counter", "Events that a consumer group handed out.", |group| group.delivered),
        ("redelivered_total", "counter", "Events that it handed out again.", |group| group.redelivered),
    ];
    for (name, kind, help, figure) in figures {
        head(out, &format!("tidewire_consumer_{name}"), kind, help);
        for group in groups {
            let _ = writeln!(out, "tidewire_consumer_{name}{{group=\"{}\"}} {}", group.name, figure(group));
        }
    }
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
    per_node(stats, out, "tidewire_inbox_length", "gauge", "Messages that wait in front of a node.", |node| {
        node.queue as f64
    });
    per_node(
        stats,
        out,
        "tidewire_inbox_bytes",
        "gauge",
        "Size of the messages that wait in front of a node.",
        |node| node.queue_bytes as f64,
    );
    per_node(
        stats,
        out,
        "tidewire_inbox_overflow",
        "gauge",
        "Messages beyond the limit, from wires of loops.",
        |node| node.overflow as f64,
    );
    per_node(stats, out, "tidewire_node_seconds", "counter", "Time that nodes spent working.", |node| {
        node.busy_ns as f64 / 1e9
    });
    head(out, "tidewire_node_sent_total", "counter", "Messages out of each output of a node.");
    for node in &stats.nodes {
        for (port, count) in node.sent.iter().enumerate() {
            let id = label(node.id.as_str());
            let _ = writeln!(out, "tidewire_node_sent_total{{node=\"{id}\",port=\"{port}\"}} {count}");
        }
    }
    batches(stats, out);
    let (used, limit) = (stats.inbox_bytes as f64, stats.inbox_bytes_limit as f64);
    single(out, "tidewire_inbox_memory_bytes", "gauge", "Size of all messages that wait in front of nodes.", used);
    let help = "Sources take nothing in while 80 % of this is used.";
    single(out, "tidewire_inbox_memory_limit_bytes", "gauge", help, limit);
}

fn per_node(stats: &Stats, out: &mut String, name: &str, kind: &str, help: &str, value: fn(&NodeStats) -> f64) {
    head(out, name, kind, help);
    for node in &stats.nodes {
        let _ = writeln!(out, "{name}{{node=\"{}\"}} {}", label(node.id.as_str()), value(node));
    }
}

/// How many messages nodes are given at once; only of nodes that were given any.
fn batches(stats: &Stats, out: &mut String) {
    let name = "tidewire_node_batch_messages";
    head(out, name, "histogram", "Messages that a node is given at once.");
    for node in stats.nodes.iter().filter(|node| node.received > 0) {
        let id = label(node.id.as_str());
        let mut below = 0;
        for (class, count) in node.batches.iter().enumerate() {
            below += count;
            // The last class has no upper end.
            let end =
                if class + 1 < node.batches.len() { ((2u64 << class) - 1).to_string() } else { "+Inf".to_owned() };
            let _ = writeln!(out, "{name}_bucket{{node=\"{id}\",le=\"{end}\"}} {below}");
        }
        let _ = writeln!(out, "{name}_sum{{node=\"{id}\"}} {}\n{name}_count{{node=\"{id}\"}} {below}", node.received);
    }
}

/// Name, kind, help and value of a figure of wires.
type WireFigure = (&'static str, &'static str, &'static str, fn(&WireStats) -> f64);

fn wires(stats: &Stats, out: &mut String) {
    let figures: [WireFigure; 5] = [
        ("messages_total", "counter", "Messages put on a wire.", |wire| wire.total as f64),
        ("dropped_total", "counter", "Messages that a wire dropped.", |wire| wire.dropped as f64),
        ("blocked_seconds_total", "counter", "Time that the sender of a wire waited.", |wire| {
            wire.blocked_ns as f64 / 1e9
        }),
        ("queue_length", "gauge", "Messages from a wire that wait in front of its target.", |wire| wire.queue as f64),
        ("queue_bytes", "gauge", "Their size.", |wire| wire.queue_bytes as f64),
    ];
    for (name, kind, help, value) in figures {
        head(out, &format!("tidewire_wire_{name}"), kind, help);
        for wire in &stats.wires {
            let (from, to, port) = (label(wire.from.as_str()), label(wire.to.as_str()), wire.port);
            let _ =
                writeln!(out, "tidewire_wire_{name}{{from=\"{from}\",port=\"{port}\",to=\"{to}\"}} {}", value(wire));
        }
    }
}

fn log_usage(usage: &Usage, out: &mut String) {
    let name = "tidewire_log_bytes";
    head(out, name, "gauge", "Bytes on disk of the event log's parts.");
    for (part, bytes) in [
        ("journal", usage.journal_bytes),
        ("archive", usage.archive_bytes),
        ("content", usage.content_bytes),
        ("store", usage.store_bytes),
    ] {
        let _ = writeln!(out, "{name}{{part=\"{part}\"}} {bytes}");
    }
    if let Some(free) = usage.disk_free_bytes {
        single(out, "tidewire_log_disk_free_bytes", "gauge", "Bytes that the event log's disk has left.", free as f64);
    }
    if let Some(days) = usage.days_left {
        let help = "Days until the event log takes no more events, at the rate of the last days.";
        single(out, "tidewire_log_days_left", "gauge", help, days);
    }
    let help = "0: enough room, 1: soon too little, 2: new events are refused.";
    single(out, "tidewire_log_space_level", "gauge", help, f64::from(usage.level as u8));
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
