//! A running `tidewire`, started as a person would start it and killed by its own process id only.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value as Json;
use tempfile::TempDir;

use crate::http::Http;
use crate::{PATIENCE, port};

/// The binary under test: beside this test binary, or where `TIDEWIRE_BIN` says.
///
/// # Panics
/// When it has not been built.
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("TIDEWIRE_BIN") {
        return PathBuf::from(path);
    }
    let here = std::env::current_exe().unwrap();
    let path = here.parent().and_then(Path::parent).unwrap().join("tidewire");
    assert!(path.exists(), "{} is missing: run `make test`, or `cargo build -p tidewire` first", path.display());
    path
}

/// Runs a command of the binary to its end.
pub fn command(arguments: &[&str]) -> std::process::Output {
    Command::new(binary()).args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// What a command printed, its errors last.
pub fn text(output: &std::process::Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// How to start a server.
pub struct Options {
    arguments: Vec<String>,
    auth: bool,
    demo: bool,
    data: Option<PathBuf>,
    broker: bool,
    files: Vec<(String, String)>,
}

/// A server process and the folder it works in. Dropping it kills the process.
pub struct Server {
    child: Child,
    folder: Arc<TempDir>,
    data: PathBuf,
    arguments: Vec<String>,
    output: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
    pub http_port: u16,
    pub mqtt_port: u16,
    /// From the start of the process to its first readiness.
    pub startup: Duration,
}

impl Options {
    /// With users and set-up, as it is delivered. Otherwise `--auth off`.
    #[must_use]
    pub fn auth(mut self) -> Self {
        self.auth = true;
        self
    }

    #[must_use]
    pub fn demo(mut self) -> Self {
        self.demo = true;
        self
    }

    /// Without the embedded broker.
    #[must_use]
    pub fn no_broker(mut self) -> Self {
        self.broker = false;
        self
    }

    #[must_use]
    pub fn data(mut self, data: impl Into<PathBuf>) -> Self {
        self.data = Some(data.into());
        self
    }

    #[must_use]
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Starts with this flow file.
    #[must_use]
    pub fn flows(mut self, flows: &Json) -> Self {
        self.files.push(("flows.json".to_owned(), flows.to_string()));
        self
    }

    fn prepare(self) -> Server {
        let folder = Arc::new(TempDir::with_prefix("tidewire-test-").unwrap());
        let data = self.data.unwrap_or_else(|| folder.path().join("data"));
        let (http_port, mqtt_port) = (port::free(), port::free());
        let mut arguments = vec![
            "--data-dir".to_owned(),
            data.display().to_string(),
            "--http".to_owned(),
            format!("127.0.0.1:{http_port}"),
            "--mqtt".to_owned(),
            if self.broker { format!("127.0.0.1:{mqtt_port}") } else { "off".to_owned() },
        ];
        if !self.auth {
            arguments.extend(["--auth".to_owned(), "off".to_owned()]);
        }
        if !self.demo {
            arguments.push("--no-demo".to_owned());
        }
        arguments.extend(self.arguments);
        for (name, text) in &self.files {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            arguments.extend(["--flows".to_owned(), path.display().to_string()]);
        }
        let output = Arc::new(Mutex::new(String::new()));
        let (child, readers) = spawn(&arguments, folder.path(), &output);
        Server { child, folder, data, arguments, output, readers, http_port, mqtt_port, startup: Duration::ZERO }
    }

    /// Starts and waits until it is ready.
    ///
    /// # Panics
    /// When it ends or does not become ready.
    pub async fn start(self) -> Server {
        let mut server = self.prepare();
        server.wait_ready().await;
        server
    }

    /// Starts one that is expected to end by itself; gives its exit status and what it printed.
    pub fn start_in_vain(self) -> (ExitStatus, String) {
        let mut server = self.prepare();
        let status = server.wait_exit(PATIENCE);
        server.readers.drain(..).for_each(|reader| reader.join().unwrap());
        (status, server.output())
    }
}

fn spawn(arguments: &[String], folder: &Path, output: &Arc<Mutex<String>>) -> (Child, Vec<JoinHandle<()>>) {
    let mut child = Command::new(binary())
        .args(arguments)
        .current_dir(folder)
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", binary().display()));
    let readers = vec![collect(child.stdout.take().unwrap(), output), collect(child.stderr.take().unwrap(), output)];
    (child, readers)
}

fn collect(from: impl Read + Send + 'static, output: &Arc<Mutex<String>>) -> JoinHandle<()> {
    let output = Arc::clone(output);
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            let mut output = output.lock().unwrap();
            output.push_str(&line);
            output.push('\n');
        }
    })
}

impl Server {
    /// The usual server of a test: no users, no demo, embedded broker, a folder of its own.
    pub fn with() -> Options {
        Options { arguments: Vec::new(), auth: false, demo: false, data: None, broker: true, files: Vec::new() }
    }

    /// Starts the usual server with a flow file.
    pub async fn start(flows: &Json) -> Server {
        Server::with().flows(flows).start().await
    }

    /// A client without credentials.
    pub fn http(&self) -> Http {
        Http::new(format!("http://127.0.0.1:{}", self.http_port))
    }

    pub fn data(&self) -> &Path {
        &self.data
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything printed so far.
    pub fn output(&self) -> String {
        self.output.lock().unwrap().clone()
    }

    /// What follows `Open: ` in the last such line.
    pub fn open_line(&self) -> Option<String> {
        self.output().lines().rev().find_map(|line| line.strip_prefix("Open: ").map(str::to_owned))
    }

    /// Waits until it is ready.
    ///
    /// # Panics
    /// When it ends or does not become ready.
    pub async fn wait_ready(&mut self) {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the server ended with {status}:\n{}", self.output());
            }
            let answer = self.http().try_send(reqwest::Method::GET, "/readyz", None).await;
            if answer.is_some_and(|answer| answer.status == 200) && self.open_line().is_some() {
                self.startup = began.elapsed();
                return;
            }
            assert!(began.elapsed() < PATIENCE, "the server is not ready:\n{}", self.output());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Ends the process at once, as a crash would.
    pub fn kill9(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks the process to end, and waits for it.
    pub fn terminate(&mut self) -> ExitStatus {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        self.wait_exit(PATIENCE)
    }

    fn wait_exit(&mut self, limit: Duration) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(began.elapsed() < limit, "the server did not end within {limit:?}:\n{}", self.output());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Starts it again with the same folder, ports and arguments; `--flows` is left out, as the log has the flows now.
    pub async fn start_again(&mut self) {
        self.spawn_again();
        self.wait_ready().await;
    }

    /// As [`Server::start_again`], without waiting for it to be ready.
    pub fn spawn_again(&mut self) {
        let mut arguments = self.arguments.clone();
        if let Some(at) = arguments.iter().position(|argument| argument == "--flows") {
            arguments.drain(at..at + 2);
        }
        self.output.lock().unwrap().clear();
        (self.child, self.readers) = spawn(&arguments, self.folder.path(), &self.output);
    }

    /// Runs another command of the binary on this server's data folder.
    pub fn command(&self, arguments: &[&str]) -> std::process::Output {
        let data = self.data.display().to_string();
        let mut all: Vec<&str> = arguments.to_vec();
        all.extend(["--data-dir", &data]);
        command(&all)
    }

    /// As [`Server::command`], for what it printed.
    ///
    /// # Panics
    /// When it ends with another status.
    pub fn run(&self, arguments: &[&str], status: i32) -> String {
        let output = self.command(arguments);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {}", text(&output));
        text(&output)
    }

    /// The files in its data folder that hold a text.
    pub fn files_with(&self, text: &str) -> Vec<PathBuf> {
        holders(&self.data, text)
    }
}

fn holders(folder: &Path, text: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let within = |path: PathBuf| {
        if path.is_dir() {
            return holders(&path, text);
        }
        // Some go while one looks.
        let holds = std::fs::read(&path).is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(text));
        if holds { vec![path] } else { Vec::new() }
    };
    entries.flat_map(within).collect()
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let output = self.output();
            let tail: Vec<&str> = output.lines().rev().take(60).collect();
            eprintln!("--- the server's last lines ---");
            tail.iter().rev().for_each(|line| eprintln!("{line}"));
        }
    }
}
