//! Talking to a running server over the socket in its data folder, or doing the same without one.
//!
//! The client speaks just enough HTTP: one request per connection, the whole answer in memory.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::{Failure, Outcome};
use crate::app::{Core, CoreError, CoreParts, LogClock};
use crate::auth::Auth;
use crate::files::{DataDir, DataDirLock};
use crate::secrets::Secrets;
use crate::settings::{LogKind, Settings};
use tidewire_engine::schemas::Schemas;
use tidewire_engine::{Clock as _, SystemClock};
use tidewire_log::EventLog;

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Either the running server, or the data folder locked for ourselves.
pub(super) enum Place {
    Server(Client),
    Folder(DataDir, DataDirLock),
}

/// Finds out whether a server runs on the data folder.
pub(super) fn place(settings: &Settings) -> Result<Place, Failure> {
    let data = DataDir::new(&settings.data_dir);
    if data.is_locked() {
        return Ok(Place::Server(Client { socket: data.socket() }));
    }
    if !data.path().exists() {
        let text = format!("there is no data folder {}; name one with --data-dir", data.path().display());
        return Err(Failure::usage(text));
    }
    let lock = data.lock()?;
    Ok(Place::Folder(data, lock))
}

/// As [`place`], but makes the folder when there is none.
pub(super) fn place_or_new(settings: &Settings) -> Result<Place, Failure> {
    if settings.data_dir.exists() {
        return place(settings);
    }
    let data = DataDir::new(&settings.data_dir);
    let lock = data.lock()?;
    Ok(Place::Folder(data, lock))
}

/// Users, sessions and tokens of a folder without server.
pub(super) fn auth(data: &DataDir) -> Result<Auth, Failure> {
    Ok(Auth::open(data.path(), true, SystemClock.now_ms())?)
}

/// Opens the log of a folder without server. To be called on a runtime.
pub(super) fn open_log(data: &DataDir, kind: LogKind) -> Result<Arc<dyn EventLog>, Failure> {
    Ok(Core::open_log(data, kind, &[], None, LogClock::default())?)
}

/// Runs work with the log alone of a folder without server.
pub(super) fn with_log<T>(
    data: &DataDir,
    work: impl AsyncFnOnce(&dyn EventLog) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let log = open_log(data, LogKind::Sled)?;
        let result = work(&*log).await;
        log.close().await;
        result
    })
}

/// Runs work with log and engine of a folder without server; no flow runs meanwhile.
pub(super) fn with_core<T>(
    data: &DataDir,
    work: impl AsyncFnOnce(&Arc<Core>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let log = open_log(data, LogKind::Sled)?;
        let secrets = Arc::new(Secrets::open(data.path())?);
        let graph = tokio::runtime::Handle::current();
        let schemas = Schemas::open(Arc::clone(&log)).await.map_err(CoreError::Log)?;
        let core = Arc::new(Core::build(
            log,
            schemas,
            CoreParts { secrets, broker: None, graph, safe: true, history: Default::default() },
        )?);
        core.load(None, None).await?;
        let result = work(&core).await;
        core.stop(Duration::ZERO).await;
        result
    })
}

/// The running server.
pub(super) struct Client {
    socket: std::path::PathBuf,
}

impl Client {
    pub fn get(&self, path: &str) -> Result<Value, Failure> {
        self.send("GET", path, None, &[])
    }

    /// Sends a request; errors of the server come back in its own words.
    pub fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> Result<Value, Failure> {
        let (status, text) =
            self.exchange(method, path, body, headers).map_err(|error| unreachable_server(&self.socket, &error))?;
        let json = serde_json::from_str::<Value>(&text).unwrap_or(Value::Null);
        if (200..300).contains(&status) {
            return Ok(json);
        }
        let detail = json.get("detail").and_then(Value::as_str);
        Err(Failure::usage(detail.unwrap_or("the server refused without saying why")))
    }

    fn exchange(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> std::io::Result<(u16, String)> {
        let mut stream = UnixStream::connect(&self.socket)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut request = format!("{method} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\n");
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let answer = String::from_utf8_lossy(&answer);
        let broken = || std::io::Error::other("the answer is not HTTP");
        let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(broken)?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(broken)?;
        Ok((status, body.to_owned()))
    }
}

fn unreachable_server(socket: &Path, error: &std::io::Error) -> Failure {
    Failure::usage(format!("a server uses this data folder, but {} does not answer: {error}", socket.display()))
}

/// Percent-encodes a path segment or query value.
pub(super) fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}

/// Prints a JSON value for people.
pub(super) fn print(value: &Value) -> Outcome {
    let text = serde_json::to_string_pretty(value)?;
    unless_closed(writeln!(std::io::stdout(), "{text}")).map(drop)
}

/// Whether something was written: whoever reads the output may stop before its end.
pub(super) fn unless_closed(result: std::io::Result<()>) -> Result<bool, Failure> {
    match result {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        other => other.map(|()| true).map_err(Failure::from),
    }
}
