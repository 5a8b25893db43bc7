//! Whatever is wrong is said in one clear sentence; nothing is lost and nothing half applied.

use std::net::TcpListener;
use std::path::Path;
use std::process::Output;

use serde_json::{Value as Json, json};
use tidewire_tests::{Flow, Mqtt, Server, flow, port, server, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// One line on stderr with these words in it, and exit status 2.
fn refuses(output: &Output, words: &[&str]) {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert_eq!(text.trim().lines().count(), 1, "one line:\n{text}");
    for word in words {
        assert!(text.contains(word), "{word:?} is not in: {text}");
    }
}

#[test]
fn flags_and_values() {
    refuses(&server::command(&["--no-such-flag"]), &["--no-such-flag", "--help"]);
    refuses(&server::command(&["run", "--http", "somewhere"]), &["http", "somewhere", "127.0.0.1:1880"]);
    refuses(&server::command(&["run", "--auth", "perhaps"]), &["auth", "perhaps", "on or off"]);
    refuses(&server::command(&["run", "--auth", "off", "--http", "0.0.0.0:1880"]), &["loopback", "127.0.0.1"]);
    refuses(&server::command(&["--config", "/no/such/file.toml"]), &["/no/such/file.toml"]);
    refuses(&server::command(&["check", "/no/such/flows.json"]), &["/no/such/flows.json"]);
    let (status, text) = Server::with().arg("--flows").arg("/no/such/flows.json").start_in_vain();
    assert_eq!(status.code(), Some(2), "{text}");
    assert!(text.contains("/no/such/flows.json"), "{text}");
}

#[test]
fn a_port_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for flag in ["--http", "--mqtt"] {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data").display().to_string();
        let other = if flag == "--http" { "--mqtt" } else { "--http" };
        let free = if other == "--mqtt" { "off".to_owned() } else { format!("127.0.0.1:{}", port::free()) };
        let output = server::command(&["run", "--no-demo", "--data-dir", &data, flag, &address, other, &free]);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{text}");
        let last = text.trim().lines().last().unwrap();
        assert!(last.contains(&address) && last.contains(flag), "{text}");
    }
}

#[test]
fn a_folder_that_cannot_be_used() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "not a folder").unwrap();
    let (status, text) = Server::with().data(&file).start_in_vain();
    assert_eq!(status.code(), Some(2), "{text}");
    assert!(text.contains(&file.display().to_string()), "{text}");
    // Even root may not write here.
    let (status, text) = Server::with().data("/proc/tidewire").start_in_vain();
    assert_eq!(status.code(), Some(2), "{text}");
    assert!(text.contains("/proc/tidewire"), "{text}");
}

#[tokio::test]
async fn a_second_server_on_one_folder() {
    let first = Server::with().start().await;
    let (status, text) = Server::with().data(first.data()).start_in_vain();
    assert_eq!(status.code(), Some(2), "{text}");
    assert!(text.contains(&first.data().display().to_string()), "{text}");
    first.http().get("/readyz").await.expect(200);
}

#[test]
fn a_broken_flow_file() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text, word) in [
        ("cut.json", r#"[{"id":"a","type":"tab""#, "line 1"),
        ("text.json", "hello", "line 1"),
        ("twice.json", r#"[{"id":"a","type":"tab"},{"id":"a","type":"debug","z":"a"}]"#, "\"a\""),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        let (status, output) = Server::with().arg("--flows").arg(path.display().to_string()).start_in_vain();
        assert_eq!(status.code(), Some(2), "{name}: {output}");
        assert!(output.contains(name) && output.contains(word), "{name}: {output}");
    }
}

#[tokio::test]
async fn broken_flows_over_http() {
    let server = Server::with().start().await;
    let http = server.http().with("node-red-api-version", "v2");
    let good = Flow::new().append("store", "thing-a").json();
    let rev = flow::deploy(&server.http(), &good).await;
    for body in ["", "{", "[]]", "{\"flows\":5}", "\"flows\"", "{\"flows\":[{\"id\":\"a\"}]}", "{\"flows\":[5]}"] {
        let json_http = http.clone().with("content-type", "application/json");
        let answer = json_http.send_bytes(reqwest::Method::POST, "/flows", body.as_bytes().to_vec()).await;
        assert!(!answer.problem(400).is_empty(), "{body}");
    }
    let now = http.json("/flows").await;
    assert_eq!((&now["flows"], now["rev"].as_str()), (&good, Some(rev.as_str())), "the old flows are in force");

    let half =
        Flow::new().append("store", "thing-a").node("bad", "rule", json!({"for": "soon"}), json!([[], []])).json();
    let answer = http.post("/flows", &json!({"flows": half})).await.expect(200).json();
    let problems = answer["problems"].as_array().unwrap();
    let problem = problems.iter().find(|problem| problem["node"] == "bad").unwrap_or_else(|| panic!("{problems:?}"));
    assert_eq!(problem["path"], "/for", "{problem}");
    http.post("/api/nodes/store/send", &json!({"payload": 1, "topic": "t"})).await.expect(202);
    until("the good node to work", || async {
        (!http.items("/api/events?stream=thing-a").await.is_empty()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn messages_that_are_no_messages() {
    let server = Server::start(&Flow::new().append("store", "thing-a").json()).await;
    let http = server.http().with("content-type", "application/json");
    for body in ["", "{", "5"] {
        let answer = http.send_bytes(reqwest::Method::POST, "/api/nodes/store/send", body.as_bytes().to_vec()).await;
        assert!(!answer.problem(400).is_empty(), "{body}");
    }
    assert!(!http.post("/api/nodes/nobody/send", &json!({})).await.problem(404).is_empty());
    let deep = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
    let answer = http.send_bytes(reqwest::Method::POST, "/api/nodes/store/send", deep.into_bytes()).await;
    assert!(answer.status.is_client_error());
    // The client hears the reason, although the server stops reading long before the end.
    for _ in 0..20 {
        let large = vec![b' '; 32 << 20];
        let answer = http.send_bytes(reqwest::Method::POST, "/api/nodes/store/send", large).await;
        assert_eq!(answer.status, 413, "{}", answer.text());
    }
    http.get("/readyz").await.expect(200);
}

#[tokio::test]
async fn garbage_on_the_mqtt_port() {
    let server = Server::with().start().await;
    let connect = [0x10, 13, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 60, 0, 1, b'x'];
    let mut kept = Mqtt::connect(server.mqtt_port, "kept").await;
    kept.subscribe("a").await;
    let mut samples: Vec<Vec<u8>> = vec![
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        vec![0xff; 64],
        vec![0x10, 0xff, 0xff, 0xff, 0x7f],
        vec![0x30, 5, 0, 200, b'a', b'b', b'c'],
        // Server-only packets, after a good greeting.
        [&connect[..], &[0x20, 2, 0, 0]].concat(),
        [&connect[..], &[0xd0, 0]].concat(),
        // A topic that is not UTF-8, and one with a wildcard.
        [&connect[..], &[0x30, 4, 0, 2, 0xc3, 0x28]].concat(),
        [&connect[..], &[0x30, 4, 0, 2, b'a', b'#']].concat(),
    ];
    samples.extend((1..connect.len()).map(|end| connect[..end].to_vec()));
    for sample in samples {
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", server.mqtt_port)).await.unwrap();
        stream.write_all(&sample).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let ended = tokio::time::timeout(tidewire_tests::PATIENCE, stream.read_to_end(&mut answer)).await;
        assert!(ended.is_ok(), "{sample:x?} keeps its connection");
    }
    kept.publish("a", "still here").await;
    assert_eq!(kept.next().await.text(), "still here");
    server.http().get("/readyz").await.expect(200);
}

/// A small file system of its own; `None` where mounting is not permitted.
struct SmallDisk {
    folder: tempfile::TempDir,
}

impl SmallDisk {
    fn mount(mebibytes: u32) -> Option<SmallDisk> {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={mebibytes}m");
        let mut mount = std::process::Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path()).output();
        let mounted = mounted.is_ok_and(|output| output.status.success());
        mounted.then_some(SmallDisk { folder })
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("--lazy").arg(self.folder.path()).output();
    }
}

#[tokio::test]
async fn a_full_disk() {
    let Some(disk) = SmallDisk::mount(24) else {
        println!("not permitted to mount a small file system here: the full disk is not tested");
        return;
    };
    let mut server = Server::with().data(disk.path().join("data")).start().await;
    let http = server.http();
    let event = |n: u64, filling: usize| {
        json!({"specversion": "1.0", "source": "/t", "type": "x-happened", "subject": "thing-disk", "id": format!("e{n}"),
            "data": {"n": n, "filling": noise(n, filling)}})
    };
    let append = async |n: u64| {
        http.clone().with("content-type", "application/cloudevents+json").post("/api/events", &event(n, 60_000)).await
    };
    let mut stored = Vec::new();
    let refusal = 'full: {
        for n in 1..2_000 {
            let answer = append(n).await;
            if answer.status != 201 {
                break 'full answer;
            }
            stored.push(n);
        }
        panic!("24 MiB took 120 MB");
    };
    let code = refusal.problem(507);
    assert_eq!(code, "disk_full");
    assert!(!stored.is_empty());
    let kept = async |http: &tidewire_tests::Http| -> Vec<u64> {
        let events: Vec<Json> = http.items("/api/events?stream=thing-disk&limit=20").await;
        events.iter().map(|event| event["data"]["n"].as_u64().unwrap()).collect()
    };
    assert_eq!(kept(&http).await, stored, "reading goes on");

    // More room: it recovers without a restart.
    let grow = std::process::Command::new("mount").args(["-o", "remount,size=128m"]).arg(disk.path()).output().unwrap();
    assert!(grow.status.success(), "{}", String::from_utf8_lossy(&grow.stderr));
    until("room to be used", || async { (append(5_000).await.status.is_success()).then_some(()) }).await;
    stored.push(5_000);
    assert_eq!(kept(&http).await, stored);
    server.kill9();
    server.start_again().await;
    until("all events after a restart", || async { (kept(&server.http()).await == stored).then_some(()) }).await;
}

/// Text that no compression makes much smaller.
fn noise(seed: u64, length: usize) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            char::from(b'!' + u8::try_from(state % 90).unwrap())
        })
        .map(|letter| if letter == '"' || letter == '\\' { '.' } else { letter })
        .collect()
}
