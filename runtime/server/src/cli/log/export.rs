//! `tidewire log read`: events as JSON Lines or CSV, to the terminal or into a file, page by page.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::Value;
use tidewire_log::EventLog as _;
use tidewire_model::event::Event;
use tidewire_model::event::json::parse_event;
use tidewire_model::position::Position;
use tidewire_model::query::Query;

use super::super::local::{self, Place};
use super::super::progress::Line;
use super::super::{Failure, Outcome};
use super::Filter;
use crate::app::CoreError;
use crate::settings::Settings;
use crate::tabular::{Columns, Format};

/// Events read at a time.
const PAGE: usize = 1_000;
/// Events that are shown unless something else is said.
const SHOWN: usize = 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// One JSON object a line
    Json,
    /// A table for spreadsheets
    Csv,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// Only events after this position
    #[arg(long, default_value_t = 0)]
    after: u64,
    /// How events are written
    #[arg(long, value_enum, default_value = "json")]
    format: Kind,
    /// Columns of CSV, such as time,subject,data.temperature
    #[arg(long, default_value = "")]
    columns: String,
    /// Write all of them into this file instead of showing the first ones
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Where events are written to.
struct Sink {
    format: Format,
    out: Box<dyn Write>,
    /// Shows how far it is, when it goes into a file.
    line: Option<Line>,
    written: usize,
    head: u64,
}

impl Sink {
    fn write(&mut self, events: &[Event]) -> std::io::Result<()> {
        let mut text = Vec::with_capacity(events.len() * 200);
        events.iter().for_each(|event| self.format.row(event, &mut text));
        self.out.write_all(&text)?;
        self.written += events.len();
        if let (Some(line), Some(last)) = (&mut self.line, events.last()) {
            let position = last.position.get();
            line.bar(position as f64 / self.head.max(position) as f64, &format!("{} events", self.written));
        }
        Ok(())
    }
}

pub(super) fn run(settings: &Settings, filter: &Filter, export: &Export) -> Outcome {
    let columns = || Columns::parse(&export.columns).map_err(|text| Failure::usage(format!("--columns: {text}")));
    let format = if export.format == Kind::Csv { Format::Csv(columns()?) } else { Format::JsonLines };
    let cannot = |path: &PathBuf, error: std::io::Error| {
        Failure::usage(format!("cannot write {}: {error}; name another file with --out", path.display()))
    };
    let out: Box<dyn Write> = match &export.out {
        Some(path) => Box::new(BufWriter::new(File::create(path).map_err(|error| cannot(path, error))?)),
        None => Box::new(std::io::stdout().lock()),
    };
    let line = export.out.as_ref().map(|_| Line::new("writing"));
    let mut sink = Sink { format, out, line, written: 0, head: 0 };
    let limit = filter.limit.unwrap_or(if export.out.is_some() { usize::MAX } else { SHOWN });
    if let Some(head) = sink.format.head()
        && !local::unless_closed(sink.out.write_all(head.as_bytes()))?
    {
        return Ok(());
    }
    match local::place(settings)? {
        Place::Server(server) => from_server(&server, filter, export.after, limit, &mut sink)?,
        Place::Folder(data, _lock) => local::with_core(&data, async |core| {
            sink.head = core.log.head().get();
            let mut query = Query::forwards(filter.to_log()?, Position::new(export.after).next(), PAGE);
            loop {
                query.limit = limit.saturating_sub(sink.written).min(PAGE);
                let page = core.log.read(query.clone()).await.map_err(CoreError::Log)?;
                let events: Vec<Event> = page.events.iter().map(|event| Event::clone(event)).collect();
                match page.next.filter(|_| sink.written + events.len() < limit) {
                    Some(next) if local::unless_closed(sink.write(&events))? => query.from = next,
                    Some(_) => return Ok(()),
                    None => return local::unless_closed(sink.write(&events)).map(drop),
                }
            }
        })?,
    }
    local::unless_closed(sink.out.flush())?;
    sink.line = None;
    if let Some(path) = &export.out {
        eprintln!("{} events written to {}", sink.written, path.display());
    }
    Ok(())
}

fn from_server(
    server: &local::Client,
    filter: &Filter,
    after: u64,
    limit: usize,
    sink: &mut Sink,
) -> Result<(), Failure> {
    let last = server.get("/api/events?order=desc&limit=1")?;
    let head = last.pointer("/items/0/position").and_then(Value::as_str).and_then(|text| text.parse().ok());
    sink.head = head.unwrap_or(0);
    let mut cursor = String::new();
    while sink.written < limit {
        let wanted = (limit - sink.written).min(PAGE);
        let query = filter.query();
        let page = server.get(&format!("/api/events?order=asc&after={after}&limit={wanted}{query}{cursor}"))?;
        let items = page.get("items").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let events = items.iter().map(|item| parse_event(item.to_string().as_bytes()));
        let events: Vec<Event> = events
            .collect::<Result<_, _>>()
            .map_err(|error| Failure::usage(format!("the server sent an event that cannot be read: {error}")))?;
        if !local::unless_closed(sink.write(&events))? {
            return Ok(());
        }
        let Some(next) = page.get("next").and_then(Value::as_str) else { break };
        cursor = format!("&cursor={next}");
    }
    Ok(())
}
