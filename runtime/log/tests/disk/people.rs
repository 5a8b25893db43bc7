//! Streams with personal data, which are erased while the process is killed, and what must not be left of them.
//!
//! Every fifth commit is about one of a few people. A read model remembers what was last said of each, in clear.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use compact_str::CompactString;
use memchr::memmem;
use tidewire_log::{EventLog, JournalLog, PersonalError, erase, erased_keys, finish_erasure, unfinished_erasures};
use tidewire_model::event::{Body, Event, StreamName};
use tidewire_model::position::Position;
use tokio::sync::Mutex;

use crate::life::History;
use crate::plain;
use crate::writer::say;

/// The streams that are encrypted.
pub const PATTERN: &str = "person-*";
const PEOPLE: u64 = 3;
const READ_MODEL: &str = "people";

/// The stream of an event of a commit about people.
pub fn stream_of(c: u64, i: u64) -> Option<String> {
    (c % 5 == 1).then(|| format!("person-{}", (c / 5 + i / 2) % PEOPLE))
}

/// What nobody but the key's owner may read, if the commit is about people.
pub fn text(c: u64, i: u64) -> String {
    format!("secret-{c}-{i}-of-{}", stream_of(c, i).unwrap_or_default())
}

/// The read model of a process, and who erases.
pub struct People {
    log: Arc<JournalLog>,
    /// Held by who writes the read model or clears it.
    model: Mutex<()>,
}

impl People {
    pub fn new(log: Arc<JournalLog>) -> Arc<Self> {
        Arc::new(Self { log, model: Mutex::new(()) })
    }

    /// Puts what a commit said into the read model, as far as it can still be read.
    pub async fn remember(&self, c: u64) {
        let Some(stream) = stream_of(c, 0) else { return };
        let _alone = self.model.lock().await;
        let Ok(Some(event)) = self.log.event_by_id(format!("c{c}-0").as_str().into()).await else { return };
        if event.body == Body::Whole {
            let change = vec![(stream.into(), Some(event.data.clone()))];
            let models = self.log.projections();
            let position = models.load(READ_MODEL).ok().flatten().map_or(Position::ZERO, |info| info.checkpoint);
            // Where that fails, the next one makes up for it.
            drop(models.commit(READ_MODEL, "1", change, position.max(event.position)));
        }
    }

    /// Removes the traces of what was erased, as every start does.
    pub async fn clean(&self) {
        let _alone = self.model.lock().await;
        for (key, _) in unfinished_erasures(&*self.log).await.unwrap_or_default() {
            if let Err(error) = clean(&self.log, &key).await {
                return say(&format!("error {error}"));
            }
            say(&format!("clean {key}"));
        }
    }

    /// Erases one after the other, so often.
    pub async fn erase_all(&self, times: usize) {
        for n in (0..PEOPLE).cycle().take(times) {
            let stream = StreamName::new(format!("person-{n}")).unwrap();
            match erase(&*self.log, &stream, "test").await {
                Ok(erasure) => say(&format!("erased {}", erasure.key_id)),
                Err(PersonalError::NotPersonal(_)) => {}
                Err(error) => return say(&format!("error {error}")),
            }
            self.clean().await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn clean(log: &JournalLog, key: &str) -> Result<(), String> {
    let models = log.projections();
    let cleared = models.drop_projection(READ_MODEL).and_then(|()| models.renew());
    cleared.map_err(|error| error.full_text())?;
    finish_erasure(log, key).await.map_err(|error| error.to_string())
}

/// What a log holds of people.
#[derive(Default)]
pub struct Traces {
    /// Whether the events of a key can be read, by key.
    keys: BTreeMap<CompactString, BTreeSet<bool>>,
    /// The key of each event.
    of: BTreeMap<(u64, u64), CompactString>,
}

impl Traces {
    /// Takes an event in. Answers its place in its commit.
    pub fn take(&mut self, event: &Event) -> Result<(u64, u64), String> {
        let position = event.position;
        let id = event.id.to_string();
        let place = id.strip_prefix('c').and_then(|id| id.split_once('-'));
        let place = place.and_then(|(c, i)| Some((c.parse().ok()?, i.parse().ok()?)));
        let place: (u64, u64) = place.ok_or(format!("nobody wrote {id} at {position}"))?;
        if stream_of(place.0, place.1).is_some() != event.key_id.is_some() {
            return Err(format!("{id} at {position} of {} is encrypted with {:?}", event.stream, event.key_id));
        }
        if let Some(key) = &event.key_id {
            self.keys.entry(key.clone()).or_default().insert(event.body == Body::Whole);
            self.of.insert(place, key.clone());
        }
        match &event.body {
            Body::Whole => {
                let data = event.data_json().map_err(|error| format!("the data at {position}: {error}"))?;
                let is_it = data["c"] == place.0 && data["i"] == place.1 && data["text"] == text(place.0, place.1);
                if is_it { Ok(place) } else { Err(format!("{id} at {position} holds {data}")) }
            }
            Body::Erased => Ok(place),
            other => Err(format!("{id} at {position}: {other:?}")),
        }
    }

    /// Whatever was erased is so as a whole, and only that; then removes what read models hold of it.
    pub async fn fit(&self, log: &JournalLog, folder: &Path, history: &History) -> Result<(), String> {
        let erased = erased_keys(log).await.map_err(|error| error.full_text())?;
        if let Some(key) = history.erased.iter().find(|key| !erased.contains(key.as_str())) {
            return Err(format!("the key {key} was said to be erased, and the log does not know that"));
        }
        for (key, readable) in &self.keys {
            if readable.len() > 1 || readable.contains(&erased.contains(key)) {
                let is = if erased.contains(key) { "erased" } else { "not erased" };
                return Err(format!("the key {key} is {is}; events can be read: {readable:?}"));
            }
        }
        for path in plain::files(&folder.join("keys")) {
            let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
            if let Some(key) = erased.iter().find(|key| text.contains(key.as_str())) {
                return Err(format!("the erased key {key} is still there"));
            }
            // A new key that was not on the disk yet was never used.
            if text.contains('\0') && path.extension().is_none_or(|ending| ending != "new") {
                return Err(format!("a key was left half destroyed: {}", path.display()));
            }
        }
        for (key, _) in unfinished_erasures(log).await.map_err(|error| error.full_text())? {
            clean(log, &key).await?;
        }
        let models = log.projections();
        models.drop_projection(READ_MODEL).and_then(|()| models.renew()).map_err(|error| error.full_text())
    }

    /// What was erased and cleared before the process died is nowhere in what that left.
    pub fn were_cleared(&self, left: &Plain, history: &History) -> Result<(), String> {
        let cleared =
            |(place, _): &(&(u64, u64), _)| self.of.get(place).is_some_and(|key| history.clean.contains(key.as_str()));
        let found = left.people.iter().find(cleared);
        found.map_or(Ok(()), |(place, file)| Err(format!("{place:?} was erased, and is in {}", file.display())))
    }
}

/// The texts that can be read in the files of a log.
#[derive(Default)]
pub struct Plain {
    /// Of people, in read models, and in which file.
    pub people: BTreeMap<(u64, u64), PathBuf>,
    /// Of others.
    pub others: HashSet<(u64, u64)>,
}

impl Plain {
    /// Reads every file. Only read models may hold anything of people.
    pub fn of(folder: &Path) -> Result<Self, String> {
        let mut plain = Self::default();
        for path in plain::files(folder) {
            let in_read_model = path.strip_prefix(folder).unwrap().starts_with("projections");
            for (c, i) in plain::texts(&path).iter().flat_map(|bytes| places(bytes)) {
                if stream_of(c, i).is_none() {
                    plain.others.insert((c, i));
                } else if in_read_model {
                    plain.people.insert((c, i), path.clone());
                } else {
                    return Err(format!("{} can be read in {}", text(c, i), path.display()));
                }
            }
        }
        Ok(plain)
    }
}

/// The texts in some bytes.
fn places(bytes: &[u8]) -> Vec<(u64, u64)> {
    const BEGIN: &[u8] = b"secret-";
    let place = |at: usize| {
        let rest = bytes[at + BEGIN.len()..].iter().take(40).map(|byte| char::from(*byte)).collect::<String>();
        let mut parts = rest.split('-');
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    };
    memmem::find_iter(bytes, BEGIN).filter_map(place).collect()
}
