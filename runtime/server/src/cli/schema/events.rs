//! Trying a file of events on schemas, part by part.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;

use serde_json::Value;
use tidewire_api::schema::{TriedEvent, TrySchemas};

use super::super::local::{self, Place};
use super::super::progress::Line;
use super::super::{Failure, Outcome};
use super::TryArgs;
use crate::routes::schemas;
use crate::settings::Settings;

/// Events and bytes that are tried at a time.
const EVENTS: usize = 500;
const BYTES: u64 = 2 * 1024 * 1024;

/// Checks a file; tells what is wrong with which event, and how many there are.
pub(super) fn check(settings: &Settings, args: &TryArgs) -> Outcome {
    let (mut good, mut bad, mut free) = (0_u64, 0_u64, 0_u64);
    each(settings, args, "checking", |number, tried| {
        match (&tried.schema, tried.problems.is_empty()) {
            (_, false) => bad += 1,
            (Some(_), true) => good += 1,
            (None, true) => free += 1,
        }
        let schema = tried.schema.as_deref().unwrap_or("");
        tried.problems.iter().for_each(|problem| println!("event {number} {schema}: {problem}"));
        Ok(true)
    })?;
    println!("{good} events follow their schema, {bad} do not, {free} have none");
    if bad == 0 { Ok(()) } else { Err(Failure { status: 1, text: String::new() }) }
}

/// Prints the data of the events of a file in its latest form.
pub(super) fn upcast(settings: &Settings, args: &TryArgs) -> Outcome {
    let mut failed = false;
    each(settings, args, "reading", |number, tried| {
        let problem = tried.upcast_problem.as_ref().or(tried.problems.first().filter(|_| tried.data.is_none()));
        if let Some(problem) = problem {
            eprintln!("event {number}: {problem}");
            failed = true;
            return Ok(true);
        }
        local::unless_closed(writeln!(std::io::stdout(), "{}", tried.data.as_ref().unwrap_or(&Value::Null)))
    })?;
    if failed { Err(Failure { status: 1, text: String::new() }) } else { Ok(()) }
}

/// Tries the events of a file and tells of each, with its number in the file, until somebody has heard enough.
fn each(
    settings: &Settings,
    args: &TryArgs,
    what: &'static str,
    mut tell: impl FnMut(u64, &TriedEvent) -> Result<bool, Failure>,
) -> Outcome {
    let mut file = Events::open(&args.file)?;
    let mut request = TrySchemas { with: args.with.clone(), ..TrySchemas::default() };
    let more = args.files.read()?;
    if request.with.is_none() && (more.schema.is_some() || more.upcast.is_some()) {
        return Err(Failure::usage("say with --with TYPE/VERSION what --schema and --upcast are for"));
    }
    (request.schema, request.upcast) = (more.schema, more.upcast);
    let mut line = Line::new(what);
    let mut number = 0;
    let mut part = |tried: Vec<TriedEvent>, progress: (u64, u64)| -> Result<bool, Failure> {
        line.draw(progress);
        for one in &tried {
            number += 1;
            if !tell(number, one)? {
                return Ok(false);
            }
        }
        Ok(true)
    };
    match local::place(settings)? {
        Place::Server(server) => loop {
            request.events = file.next_part()?;
            if request.events.is_empty() {
                return Ok(());
            }
            let answer = server.send("POST", "/api/events/try", Some(&serde_json::to_value(&request)?), &[])?;
            let items = answer.get("items").cloned().unwrap_or_default();
            if !part(serde_json::from_value(items)?, file.progress())? {
                return Ok(());
            }
        },
        Place::Folder(data, _lock) => local::with_core(&data, async |core| {
            loop {
                request.events = file.next_part()?;
                if request.events.is_empty() || !part(schemas::tried(core, &request)?, file.progress())? {
                    return Ok(());
                }
            }
        }),
    }
}

/// The events of a file: one a line, or a JSON array.
struct Events {
    name: String,
    lines: Box<dyn BufRead>,
    /// What an array held.
    array: Option<std::vec::IntoIter<Value>>,
    line: u64,
    done: u64,
    total: u64,
}

impl Events {
    fn open(path: &Path) -> Result<Events, Failure> {
        let name = path.display().to_string();
        let cannot = |error: std::io::Error| Failure::usage(format!("cannot read {name}: {error}"));
        let (mut lines, total): (Box<dyn BufRead>, u64) = if name == "-" {
            (Box::new(std::io::stdin().lock()), 0)
        } else {
            let file = File::open(path).map_err(cannot)?;
            let total = file.metadata().map_err(cannot)?.len();
            (Box::new(BufReader::new(file)), total)
        };
        let mut array = None;
        if lines.fill_buf().map_err(cannot)?.trim_ascii_start().starts_with(b"[") {
            let mut text = String::new();
            lines.read_to_string(&mut text).map_err(cannot)?;
            let all: Vec<Value> = serde_json::from_str(&text)
                .map_err(|error| Failure::usage(format!("{name} is no JSON array of events: {error}")))?;
            array = Some(all.into_iter());
        }
        Ok(Events { name, lines, array, line: 0, done: 0, total })
    }

    fn progress(&self) -> (u64, u64) {
        (self.done, self.total)
    }

    /// The next few; empty at the end.
    fn next_part(&mut self) -> Result<Vec<Value>, Failure> {
        if let Some(array) = &mut self.array {
            return Ok(array.take(EVENTS).collect());
        }
        let mut part = Vec::new();
        let end = self.done + BYTES;
        while part.len() < EVENTS && self.done < end {
            let mut text = String::new();
            let read = self.lines.read_line(&mut text);
            let read = read.map_err(|error| Failure::usage(format!("cannot read {}: {error}", self.name)))?;
            if read == 0 {
                break;
            }
            self.line += 1;
            self.done += read as u64;
            if !text.trim().is_empty() {
                let wrong = |error| Failure::usage(format!("{} line {}: no JSON: {error}", self.name, self.line));
                part.push(serde_json::from_str(&text).map_err(wrong)?);
            }
        }
        Ok(part)
    }
}
