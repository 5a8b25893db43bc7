//! A log as one would write it on one page: what every engine has to agree with.

use std::collections::BTreeMap;

use bytes::Bytes;
use compact_str::CompactString;
use tidewire_log::{Commit, StreamList};
use tidewire_model::append::{AppendError, AppendRequest, Appended};
use tidewire_model::event::{Event, EventId, NewEvent, StreamName, check_event_type};
use tidewire_model::position::Position;
use tidewire_model::query::{Direction, Filter, Query, Start, StreamHead};

/// What an event says, without an id that the engine made.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    pub position: u64,
    version: u64,
    stream: StreamName,
    event_type: CompactString,
    data: Bytes,
    time: i64,
    recorded_time: i64,
    id: Option<EventId>,
    correlation_id: Option<EventId>,
}

impl Seen {
    pub fn of(event: &Event) -> Self {
        Self {
            position: event.position.get(),
            version: event.version,
            stream: event.stream.clone(),
            event_type: event.event_type.clone(),
            data: event.data.clone(),
            time: event.time,
            recorded_time: event.recorded_time,
            id: Some(event.id.clone()).filter(|id| id.to_string().starts_with("event-")),
            correlation_id: event.correlation_id.clone(),
        }
    }

    fn matches(&self, filter: &Filter) -> bool {
        let (stream, lower) = (self.stream.as_str(), |text: &str| text.to_lowercase());
        let category = stream.split('-').next().unwrap();
        filter.stream.as_ref().is_none_or(|pattern| like(pattern, stream))
            && filter.category.as_ref().is_none_or(|wanted| wanted.trim_end_matches('-') == category)
            && (filter.event_types.is_empty() || filter.event_types.iter().any(|wanted| like(wanted, &self.event_type)))
            && filter.from_time.is_none_or(|time| self.recorded_time >= time)
            && filter.to_time.is_none_or(|time| self.recorded_time < time)
            && (filter.correlation_id.is_none() || filter.correlation_id == self.correlation_id)
            && filter.text.as_ref().is_none_or(|text| {
                let data = String::from_utf8(self.data.to_vec()).unwrap();
                [stream, &self.event_type, &data].iter().any(|within| lower(within).contains(&lower(text)))
            })
    }
}

/// Whether a text is like a pattern, letter by letter.
fn like(pattern: &str, text: &str) -> bool {
    match pattern.chars().next() {
        None => text.is_empty(),
        Some('*') => {
            let rest = &pattern[1..];
            (0..=text.len()).any(|skipped| like(rest, &text[skipped..]))
        }
        Some(letter) => text.strip_prefix(letter).is_some_and(|text| like(&pattern[letter.len_utf8()..], text)),
    }
}

#[derive(Debug, Clone, Default)]
pub struct Model {
    pub events: Vec<Seen>,
    pub state: BTreeMap<CompactString, Bytes>,
}

impl Model {
    pub fn commit(&mut self, commit: &Commit, now: i64) -> Result<Vec<Appended>, AppendError> {
        let (mut after, now) = (self.clone(), self.now(now));
        let appended = commit.requests.iter().map(|request| after.append(request, now)).collect::<Result<_, _>>()?;
        for change in &commit.state {
            match &change.value {
                Some(value) => drop(after.state.insert(change.key.clone(), value.clone())),
                None => drop(after.state.remove(&change.key)),
            }
        }
        *self = after;
        Ok(appended)
    }

    pub fn each(&mut self, requests: &[AppendRequest], now: i64) -> Vec<Result<Appended, AppendError>> {
        let now = self.now(now);
        let one = |request| {
            let commit = Commit { requests: vec![Clone::clone(request)], state: vec![] };
            self.commit(&commit, now).map(|appended| appended[0])
        };
        requests.iter().map(one).collect()
    }

    /// Recorded times never run back.
    fn now(&self, now: i64) -> i64 {
        self.events.last().map_or(now, |last| now.max(last.recorded_time))
    }

    fn version(&self, stream: &StreamName) -> u64 {
        self.events.iter().filter(|event| event.stream == *stream).count() as u64
    }

    pub fn by_id(&self, id: &EventId) -> Option<&Seen> {
        self.events.iter().find(|event| event.id.as_ref() == Some(id))
    }

    fn append(&mut self, request: &AppendRequest, now: i64) -> Result<Appended, AppendError> {
        if request.events.is_empty() {
            return Err(AppendError::Empty);
        }
        for event in &request.events {
            check_event_type(&event.event_type)?;
        }
        if let Some(before) = self.appended_before(request)? {
            return Ok(before);
        }
        let mut version = self.version(&request.stream);
        if !request.expected.is_met_by(version) {
            let (stream, expected) = (request.stream.clone(), request.expected);
            return Err(AppendError::Conflict { stream, expected, actual: version });
        }
        let first = self.events.len() as u64 + 1;
        for event in &request.events {
            if let Some(id) = event.id.as_ref().filter(|id| self.by_id(id).is_some()) {
                return Err(AppendError::DuplicateId { id: id.clone(), position: Position::ZERO });
            }
            version += 1;
            self.push(&request.stream, event, version, now);
        }
        let last_position = Position::new(self.events.len() as u64);
        Ok(Appended { first_position: Position::new(first), last_position, version, deduplicated: false })
    }

    fn appended_before(&self, request: &AppendRequest) -> Result<Option<Appended>, AppendError> {
        let mut found = Vec::new();
        for (id, event) in request.events.iter().filter_map(|event| Some((event.id.clone()?, event))) {
            let Some(before) = self.by_id(&id) else { continue };
            let position = Position::new(before.position);
            let same =
                (&before.stream, &before.event_type, &before.data) == (&request.stream, &event.event_type, &event.data);
            if !same {
                return Err(AppendError::DuplicateId { id, position });
            }
            found.push((id, position, before.version));
        }
        let (Some(first), Some(last)) = (found.first(), found.last()) else { return Ok(None) };
        if found.len() < request.events.len() {
            return Err(AppendError::PartlyStored { id: first.0.clone(), position: first.1 });
        }
        Ok(Some(Appended { first_position: first.1, last_position: last.1, version: last.2, deduplicated: true }))
    }

    fn push(&mut self, stream: &StreamName, event: &NewEvent, version: u64, now: i64) {
        self.events.push(Seen {
            position: self.events.len() as u64 + 1,
            version,
            stream: stream.clone(),
            event_type: event.event_type.clone(),
            data: event.data.clone(),
            time: event.time.unwrap_or(now),
            recorded_time: now,
            id: event.id.clone(),
            correlation_id: event.correlation_id.clone(),
        });
    }

    pub fn read(&self, query: &Query) -> Vec<Seen> {
        let from = query.from.get();
        let matching = self.events.iter().filter(|event| event.matches(&query.filter)).cloned();
        match query.direction {
            Direction::Forwards => matching.filter(|event| event.position >= from).collect(),
            Direction::Backwards => matching.filter(|event| from == 0 || event.position <= from).rev().collect(),
        }
    }

    pub fn subscribe(&self, filter: &Filter, start: &Start) -> Vec<Seen> {
        let from = match start {
            Start::Beginning => Position::FIRST,
            Start::Position(position) => *position,
            Start::Time(time) => self.position_at_time(*time),
            Start::Now => return vec![],
            Start::Checkpoint(name) => {
                let stored = self.state.get(format!("checkpoint/{name}").as_str());
                stored
                    .map_or(Position::ZERO, |bytes| Position::new(u64::from_le_bytes(bytes[..8].try_into().unwrap())))
                    .next()
            }
        };
        self.read(&Query::forwards(filter.clone(), from, 0))
    }

    pub fn position_at_time(&self, time: i64) -> Position {
        let before = self.events.iter().filter(|event| event.recorded_time < time).count() as u64;
        Position::new(before + 1)
    }

    pub fn head_of(&self, stream: &StreamName) -> StreamHead {
        let last = self.events.iter().rfind(|event| event.stream == *stream);
        StreamHead {
            stream: stream.clone(),
            version: last.map_or(0, |last| last.version),
            position: Position::new(last.map_or(0, |last| last.position)),
            recorded_time: last.map_or(0, |last| last.recorded_time),
        }
    }

    pub fn streams(&self, list: &StreamList) -> Vec<StreamHead> {
        let mut names: Vec<_> = self.events.iter().map(|event| event.stream.clone()).collect();
        names.sort();
        names.dedup();
        names.retain(|name| list.pattern.as_ref().is_none_or(|pattern| like(pattern, name.as_str())));
        names.retain(|name| list.after.as_ref().is_none_or(|after| name.as_str() > after.name.as_str()));
        names.truncate(if list.limit == 0 { usize::MAX } else { list.limit });
        names.iter().map(|name| self.head_of(name)).collect()
    }

    pub fn states(&self, prefix: &str) -> Vec<(CompactString, Bytes)> {
        let found = self.state.iter().filter(|(key, _)| key.starts_with(prefix));
        found.map(|(key, value)| (key.clone(), value.clone())).collect()
    }
}
