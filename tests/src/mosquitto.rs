//! A broker that is not ours.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::port;

/// A mosquitto on a port of its own, with queues that never drop. Dropping it kills it.
pub struct Mosquitto {
    child: Child,
    folder: TempDir,
    pub port: u16,
}

impl Mosquitto {
    /// # Panics
    /// When it is not installed or does not start.
    pub fn start() -> Mosquitto {
        let folder = TempDir::with_prefix("tidewire-mosquitto-").unwrap();
        let port = port::free();
        let config = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\nmax_queued_bytes 0\n\
             max_inflight_messages 100\nset_tcp_nodelay true\npersistence false\nlog_dest none\n"
        );
        let path = folder.path().join("mosquitto.conf");
        std::fs::write(&path, config).unwrap();
        // Debian keeps it in sbin, which is not on everybody's path.
        let program = ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"]
            .into_iter()
            .find(|path| std::path::Path::new(path).exists())
            .unwrap_or("mosquitto");
        let child = Command::new(program)
            .arg("-c")
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}; `make test` installs what the tests need"));
        let broker = Mosquitto { child, folder, port };
        let began = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(began.elapsed() < Duration::from_secs(10), "mosquitto does not listen on {port}");
            std::thread::sleep(Duration::from_millis(10));
        }
        broker
    }

    /// The folder it works in.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
