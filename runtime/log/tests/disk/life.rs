//! One process that writes, from its start to its end.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::shim::Disk;

/// Longer than a process takes for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a process ends.
#[derive(Debug, Clone, Copy, Default)]
pub enum Ending {
    /// By itself, after so many commits.
    AfterCommits(u64),
    /// By itself.
    ByItself,
    /// By kill -9 so long after its start.
    AfterStart(Duration),
    /// By kill -9 so long after its log has opened.
    AfterOpen(Duration),
    /// At once at this call that writes, syncs or changes names.
    AtCall(u64),
    /// When the test says so.
    #[default]
    Later,
}

/// A call that fails.
#[derive(Debug, Clone, Copy)]
pub struct Failure {
    /// Which calls count; see disk.c.
    pub kinds: &'static str,
    /// Which of them fails first.
    pub at: u64,
    /// The error number; 0 ends the process.
    pub error: i32,
}

/// What a process does and how it ends.
#[derive(Debug, Clone, Default)]
pub struct Life {
    pub ending: Ending,
    /// The store is deleted first.
    pub rebuild: bool,
    /// It makes archives of closed segments at once.
    pub archive: bool,
    /// It backs the log up, over and over.
    pub back_up: bool,
    /// It drops old events, over and over.
    pub compact: bool,
    /// It erases people, so often.
    pub erase: usize,
    /// The disk lies about what it has synced.
    pub lies: bool,
    /// How many write side by side; 0 is the usual number.
    pub writers: u64,
    /// How long a sync takes, in milliseconds.
    pub delay: u64,
    /// Every event is so large that it is a file of its own.
    pub large: bool,
    /// It says how long large payloads take, and nothing else.
    pub measure: bool,
    /// No event is so large that it is a file of its own.
    pub small: bool,
    pub failure: Option<Failure>,
}

/// What all processes that wrote into a folder said.
#[derive(Debug, Default)]
pub struct History {
    /// Commits that were begun.
    pub begun: BTreeSet<u64>,
    /// Acknowledged commits with the position of their first event.
    pub acks: BTreeMap<u64, u64>,
    /// The last position that a subscriber saw.
    pub seen: u64,
    /// The last position of the last backup that was said to be complete.
    pub backed_up: u64,
    /// How many steps the clock is ahead.
    pub day: i64,
    /// Commits that were begun since it went ahead: too young to be dropped.
    pub young: BTreeSet<u64>,
    /// Commits that were given again, whose state may be older than that of others.
    pub retried: BTreeSet<u64>,
    /// How many events were said to be dropped.
    pub dropped: u64,
    /// The keys that were said to be erased.
    pub erased: BTreeSet<String>,
    /// Those of them whose traces were said to be removed.
    pub clean: BTreeSet<String>,
    /// How long something took, in milliseconds.
    pub took: Vec<(String, u64)>,
    /// What was refused, with the number of acknowledgements before.
    pub errors: Vec<(usize, String)>,
    /// Why the log did not open, or was read-only, the last time.
    pub refused: Option<String>,
}

impl History {
    pub fn acknowledged(&self) -> usize {
        self.acks.len()
    }

    fn note(&mut self, line: &str) {
        let Some(line) = line.strip_prefix('@') else { return };
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let number = |index: usize| rest.split(' ').nth(index).unwrap().parse::<u64>().unwrap();
        match word {
            "begin" => {
                // What is given again may have been stored long ago.
                if self.begun.insert(number(0)) {
                    self.young.insert(number(0));
                }
            }
            "day" => {
                self.day = number(0) as i64;
                self.young.clear();
            }
            "took" => self.took.push((rest.split(' ').next().unwrap().to_owned(), number(1))),
            "erased" => drop(self.erased.insert(rest.to_owned())),
            "clean" => drop(self.clean.insert(rest.to_owned())),
            "dropped" => self.dropped += number(0),
            "ack" => {
                let known = self.acks.insert(number(0), number(1));
                assert!(known.is_none_or(|known| known == number(1)), "acknowledged at two places: {line}");
            }
            "seen" => self.seen = self.seen.max(number(0)),
            "backup" => self.backed_up = number(0),
            "error" => self.errors.push((self.acks.len(), rest.to_owned())),
            "refused" => self.refused = Some(rest.to_owned()),
            "open" | "done" => {}
            _ => panic!("unknown: {line}"),
        }
    }
}

/// A process at work.
pub struct Process {
    child: Child,
    lines: Receiver<String>,
}

impl Life {
    /// Starts it, waits for its end, and notes what it said.
    pub fn live(&self, disk: &Disk, history: &mut History) -> ExitStatus {
        let mut process = self.start(disk, history);
        match self.ending {
            Ending::AfterStart(wait) => std::thread::sleep(wait),
            Ending::AfterOpen(wait) => {
                process.until(history, |line| line.starts_with("@open") || line.starts_with("@refused"));
                std::thread::sleep(wait);
            }
            Ending::AfterCommits(_) | Ending::ByItself | Ending::AtCall(_) | Ending::Later => {
                return process.wait(history);
            }
        }
        process.kill(history)
    }

    pub fn start(&self, disk: &Disk, history: &mut History) -> Process {
        // What was not acknowledged is tried again, as a device would.
        let again: Vec<String> =
            history.begun.iter().filter(|c| !history.acks.contains_key(c)).map(ToString::to_string).collect();
        history.retried.extend(again.iter().map(|c| c.parse::<u64>().unwrap()));
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "writer_process", "--nocapture", "--quiet"]);
        command.env("WRITER_FOLDER", disk.folder()).env("RUST_BACKTRACE", "0");
        command.env("WRITER_AGAIN", again.join(","));
        command.env("WRITER_NEXT", history.begun.last().map_or(1, |last| last + 1).to_string());
        command.env("WRITER_DAY", history.day.to_string());
        disk.mount(&mut command);
        if self.rebuild {
            command.env("WRITER_REBUILD", "1");
        }
        if self.writers > 0 {
            command.env("WRITER_TASKS", self.writers.to_string());
        }
        if self.archive {
            command.env("WRITER_ARCHIVE", "1");
        }
        if self.back_up {
            command.env("WRITER_BACKUP", disk.backup());
        }
        if self.compact {
            command.env("WRITER_COMPACT", "1");
        }
        if self.erase > 0 {
            command.env("WRITER_ERASE", self.erase.to_string());
        }
        if self.large {
            command.env("WRITER_LARGE", "1");
        }
        if self.measure {
            command.env("WRITER_MEASURE", "1");
        }
        if self.small {
            command.env("WRITER_SMALL", "1");
        }
        if self.lies {
            command.env("DISK_LIES", "1");
        }
        if self.delay > 0 {
            command.env("DISK_DELAY", self.delay.to_string());
        }
        if let Ending::AfterCommits(commits) = self.ending {
            command.env("WRITER_COMMITS", commits.to_string());
        }
        if let Ending::AtCall(at) = self.ending {
            command.env("DISK_COUNT", "wstn").env("DISK_AT", at.to_string());
        }
        if let Some(failure) = &self.failure {
            command.env("DISK_COUNT", failure.kinds).env("DISK_AT", failure.at.to_string());
            command.env("DISK_ERROR", failure.error.to_string());
        }
        history.refused = None;
        history.errors.clear();
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Process { child, lines }
    }
}

impl Process {
    /// Notes what it says until a line of a kind comes, or it has ended.
    pub fn until(&mut self, history: &mut History, found: impl Fn(&str) -> bool) {
        let began = Instant::now();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => {
                    history.note(&line);
                    if found(&line) {
                        return;
                    }
                    assert!(began.elapsed() < 2 * PATIENCE, "the process does not say what it should");
                }
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    drop(self.child.kill());
                    panic!("the process says nothing any more");
                }
            }
        }
    }

    pub fn kill(mut self, history: &mut History) -> ExitStatus {
        self.child.kill().unwrap();
        self.wait(history)
    }

    pub fn wait(mut self, history: &mut History) -> ExitStatus {
        self.until(history, |_| false);
        self.child.wait().unwrap()
    }
}
