//! A mosquitto for tests, and a proxy before it that cuts connections and keeps what was sent.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// A running mosquitto.
pub(in crate::network) struct Mosquitto {
    process: Child,
    pub(in crate::network) port: u16,
    folder: tempfile::TempDir,
}

impl Mosquitto {
    pub(in crate::network) fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 0\n\
             set_tcp_nodelay true\nlog_dest none\npersistence false\n"
        );
        std::fs::write(folder.path().join("mosquitto.conf"), config).unwrap();
        let process = Self::spawn(folder.path());
        let broker = Self { process, port, folder };
        broker.wait();
        broker
    }

    fn spawn(folder: &Path) -> Child {
        let program = ["mosquitto", "/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"];
        program
            .iter()
            .find_map(|program| {
                let config = folder.join("mosquitto.conf");
                Command::new(program).arg("-c").arg(config).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()
            })
            .expect("mosquitto is not installed: apt-get install mosquitto")
    }

    fn wait(&self) {
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(began.elapsed() < super::SOON, "mosquitto did not start");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ends it without warning; what it had in memory is gone.
    pub(super) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    pub(super) fn start_again(&mut self) {
        self.process = Self::spawn(self.folder.path());
        self.wait();
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Forwards connections to a broker until it is told to cut them.
pub(in crate::network) struct Proxy {
    pub(in crate::network) port: u16,
    sockets: Arc<Mutex<Vec<TcpStream>>>,
    sent: Arc<Mutex<Vec<u8>>>,
    mute: Arc<AtomicBool>,
}

impl Proxy {
    pub(in crate::network) fn before(broker: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let sockets: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
        let sent: Arc<Mutex<Vec<u8>>> = Arc::default();
        let mute = Arc::<AtomicBool>::default();
        let (all, record, muted) = (Arc::clone(&sockets), Arc::clone(&sent), Arc::clone(&mute));
        thread::spawn(move || {
            for client in listener.incoming() {
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(("127.0.0.1", broker))) else { continue };
                all.lock().unwrap().extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
                record.lock().unwrap().clear();
                let record = Some((Arc::clone(&record), Arc::clone(&muted)));
                forward(client.try_clone().unwrap(), server.try_clone().unwrap(), record);
                forward(server, client, None);
            }
        });
        Self { port, sockets, sent, mute }
    }

    /// Lets nothing more through to the broker, or everything again.
    pub(in crate::network) fn mute(&self, mute: bool) {
        self.mute.store(mute, Ordering::Release);
    }

    /// Cuts all connections.
    pub(in crate::network) fn cut(&self) {
        for socket in self.sockets.lock().unwrap().drain(..) {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    /// Packet ids of the PUBACKs that the client sent on its last connection.
    pub(super) fn pubacks(&self) -> Vec<u16> {
        let sent = self.sent.lock().unwrap();
        let (mut at, mut ids) = (0, Vec::new());
        while let Some((length, width)) = remaining_length(&sent[at.min(sent.len())..]) {
            if sent[at] == 0x40 {
                ids.push(u16::from_be_bytes([sent[at + 2], sent[at + 3]]));
            }
            at += 1 + width + length;
        }
        ids
    }

    /// Whether the client said goodbye on its last connection.
    pub(super) fn said_goodbye(&self) -> bool {
        self.sent.lock().unwrap().ends_with(&[0xE0, 0])
    }
}

fn remaining_length(packet: &[u8]) -> Option<(usize, usize)> {
    let mut length = 0;
    for (index, byte) in packet.get(1..)?.iter().enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return (packet.len() > length + index + 1).then_some((length, index + 1));
        }
    }
    None
}

type Record = (Arc<Mutex<Vec<u8>>>, Arc<AtomicBool>);

fn forward(mut from: TcpStream, mut to: TcpStream, record: Option<Record>) {
    thread::spawn(move || {
        let mut buffer = [0; 16 * 1024];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            if let Some((record, mute)) = &record {
                if mute.load(Ordering::Acquire) {
                    continue;
                }
                record.lock().unwrap().extend_from_slice(&buffer[..length]);
            }
            if to.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
        let _ = from.shutdown(Shutdown::Both);
    });
}
