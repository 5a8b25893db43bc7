//! What is done to the data of events on their way in and out.
//!
//! In: it is checked, encrypted when its stream holds personal data, and put into a file of its own when it is large.
//! Out: it is put together again, and brought into the form of the latest schema. In between, in the journal, in the
//! store and in memory, events lie as [`Body::Stored`] says.

use std::borrow::Cow;
use std::collections::HashSet;
use std::path::Path;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use compact_str::CompactString;
use parking_lot::RwLock;
use tidewire_model::append::{AppendError, AppendRequest};
use tidewire_model::event::{Body, ContentRef, Event, EventId, Extensions, NewEvent, StoredBody, StreamName};
use tidewire_model::query::wildcard_matches;

use crate::content::{ContentStore, INLINE_MAX, PutError};
use crate::keys::{self, Found, Keys};
use crate::plan::{MAX_BYTES, wall_clock};
use crate::{LogError, Swept};

/// Checks a proposal before it is appended, and may name the schema that it follows.
pub type Check = Arc<dyn Fn(&StreamName, &mut NewEvent) -> Result<(), AppendError> + Send + Sync>;

/// Brings an event into the form of the latest schema; `None` leaves it as it is.
pub type Upcaster = Arc<dyn Fn(&Arc<Event>) -> Option<Arc<Event>> + Send + Sync>;

/// What others have a say in.
#[derive(Clone, Default)]
pub struct Hooks {
    /// Before an event is appended.
    pub check: Option<Check>,
    /// Before an event is handed out.
    pub upcast: Option<Upcaster>,
}

/// What is done to data on its way in and out. One for each log.
pub struct Bodies {
    content: Option<ContentStore>,
    pub(crate) keys: Keys,
    keys_folder: Option<PathBuf>,
    personal: RwLock<Arc<[CompactString]>>,
    /// Patterns that hold whatever is set.
    always_personal: Vec<CompactString>,
    /// What stands before the name of another stream, in the names of streams that belong to it.
    belonging: OnceLock<Vec<CompactString>>,
    /// Whether it is known which streams are personal.
    settled: AtomicBool,
    hooks: RwLock<Hooks>,
    /// Whether there are such hooks: nearly always there are none.
    checks: AtomicBool,
    upcasts: AtomicBool,
    /// One erasure or change of patterns at a time.
    pub(crate) changing: tokio::sync::Mutex<()>,
}

impl Bodies {
    /// For a log in memory.
    pub(crate) fn in_memory() -> Self {
        let bodies = Self::new(None, None, Vec::new());
        bodies.settled.store(true, Ordering::Release);
        bodies
    }

    /// For a log in a folder. Which streams are personal has to be said with `settle`.
    pub(crate) fn in_folders(log: &Path, keys: PathBuf, always_personal: Vec<CompactString>) -> Self {
        Self::new(Some(ContentStore::new(log)), Some(keys), always_personal)
    }

    fn new(content: Option<ContentStore>, keys_folder: Option<PathBuf>, always_personal: Vec<CompactString>) -> Self {
        Self {
            content,
            keys: Keys::new(keys_folder.clone()),
            keys_folder,
            personal: RwLock::new(Arc::from(always_personal.clone())),
            always_personal,
            belonging: OnceLock::new(),
            settled: AtomicBool::new(false),
            hooks: RwLock::default(),
            checks: AtomicBool::new(false),
            upcasts: AtomicBool::new(false),
            changing: tokio::sync::Mutex::default(),
        }
    }

    /// Puts hooks in place of those there are.
    pub fn set_hooks(&self, hooks: Hooks) {
        let (checks, upcasts) = (hooks.check.is_some(), hooks.upcast.is_some());
        *self.hooks.write() = hooks;
        self.checks.store(checks, Ordering::Release);
        self.upcasts.store(upcasts, Ordering::Release);
    }

    /// Patterns of the streams that hold personal data.
    pub fn personal(&self) -> Arc<[CompactString]> {
        Arc::clone(&self.personal.read())
    }

    /// Where keys lie, unless they are in memory only.
    pub fn keys_folder(&self) -> Option<&Path> {
        self.keys_folder.as_deref()
    }

    /// Says which streams hold what was made of another one: those whose names are one of these and then the other's. They
    /// are encrypted with its key, and erased with it. To be said before anything is appended.
    pub fn set_belonging(&self, prefixes: Vec<CompactString>) {
        // It is said once.
        let _ = self.belonging.set(prefixes);
    }

    /// The streams that belong to one.
    pub fn belonging_to(&self, stream: &StreamName) -> Vec<StreamName> {
        let prefixes = self.belonging.get().into_iter().flatten();
        prefixes.filter_map(|prefix| StreamName::reserved(format!("{prefix}{stream}")).ok()).collect()
    }

    /// The stream that one belongs to.
    fn owner(&self, stream: &StreamName) -> Option<StreamName> {
        let mut prefixes = self.belonging.get().into_iter().flatten();
        prefixes.find_map(|prefix| StreamName::reserved(stream.as_str().strip_prefix(prefix.as_str())?).ok())
    }

    /// The stream whose key is that of one.
    fn key_of<'a>(&self, stream: &'a StreamName) -> Cow<'a, StreamName> {
        self.owner(stream).map_or(Cow::Borrowed(stream), Cow::Owned)
    }

    /// Whether what is appended to a stream now is encrypted.
    pub fn is_personal(&self, stream: &StreamName) -> bool {
        let matches =
            |stream: &StreamName| self.personal.read().iter().any(|pattern| wildcard_matches(pattern, stream.as_str()));
        // One that was personal once may still have something that is to be erased.
        let has_key = |owner: &StreamName| self.keys.id_of(owner).is_ok_and(|key| key.is_some());
        matches(stream) || self.owner(stream).is_some_and(|owner| matches(&owner) || has_key(&owner))
    }

    /// Says which streams are personal from now on, beside those that always are.
    pub(crate) fn settle(&self, patterns: Vec<CompactString>) {
        let mut all = self.always_personal.clone();
        all.extend(patterns);
        all.sort_unstable();
        all.dedup();
        *self.personal.write() = Arc::from(all);
        self.settled.store(true, Ordering::Release);
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.settled.load(Ordering::Acquire)
    }

    /// Lets the hook look at what is to be appended.
    pub(crate) fn check(&self, request: &mut AppendRequest) -> Result<(), AppendError> {
        if !self.checks.load(Ordering::Acquire) {
            return Ok(());
        }
        let Some(check) = self.hooks.read().check.clone() else { return Ok(()) };
        request.events.iter_mut().try_for_each(|event| check(&request.stream, event))
    }

    /// Whether requests need [`Bodies::prepare`].
    pub(crate) fn concern(&self, requests: &[AppendRequest]) -> bool {
        let large = |event: &NewEvent| {
            event.data.len() > INLINE_MAX || event.raw.as_ref().is_some_and(|raw| raw.payload.len() > INLINE_MAX)
        };
        let personal = !self.personal.read().is_empty() || self.belonging.get().is_some();
        requests.iter().any(|request| {
            self.content.is_some() && request.events.iter().any(large) || personal && self.is_personal(&request.stream)
        })
    }

    /// Whether preparing a request takes the disk.
    pub(crate) fn takes_disk(&self, requests: &[AppendRequest]) -> bool {
        let large = |event: &NewEvent| {
            let raw = event.raw.as_ref().map_or(0, |raw| raw.payload.len() + raw.topic.len());
            // Encryption adds a little and puts both together.
            event.data.len() + raw > INLINE_MAX - 128
        };
        self.content.is_some()
            && requests.iter().any(|request| {
                request.events.iter().any(large)
                    || self.is_personal(&request.stream) && self.keys.at_hand(&self.key_of(&request.stream)).is_none()
            })
    }

    /// Encrypts what is personal and stores what is large, for each request by itself. Blocks on the disk. What is too
    /// large as a whole stays as it is, to be refused.
    pub(crate) fn prepare(&self, mut requests: Vec<AppendRequest>) -> Vec<Result<AppendRequest, AppendError>> {
        let fit: Vec<_> = requests.iter().map(|request| request.size() <= MAX_BYTES).collect();
        let seal = |(request, fits): (&mut AppendRequest, &bool)| {
            if !fits || !self.is_personal(&request.stream) {
                return Ok(());
            }
            request.events.iter_mut().try_for_each(|event| self.seal(&request.stream, event))
        };
        let mut outcomes: Vec<_> = requests.iter_mut().zip(&fit).map(seal).collect();
        if let Some(content) = &self.content {
            let all = requests.iter_mut().zip(fit).zip(&mut outcomes);
            let stored = all.filter(|((_, fits), outcome)| *fits && outcome.is_ok());
            store_large(content, stored.map(|((request, _), outcome)| (request, outcome)).collect());
        }
        requests.into_iter().zip(outcomes).map(|(request, outcome)| outcome.map(|()| request)).collect()
    }

    fn seal(&self, stream: &StreamName, event: &mut NewEvent) -> Result<(), AppendError> {
        let failed = |reason: String| AppendError::Storage { reason };
        let key = self.keys.current(&self.key_of(stream), wall_clock()).map_err(failed)?;
        // The id is part of what the encryption protects, so it has to be known now.
        let id = event.id.get_or_insert_with(|| EventId::from(ulid::Ulid::new())).clone();
        event.data = keys::seal(&key, stream, &id, event).map_err(failed)?;
        event.raw = None;
        event.extensions = Extensions::NONE;
        event.key_id = Some(key.id.clone());
        event.body = Body::Stored(Arc::default());
        Ok(())
    }

    /// Notes that events which refer to content files were refused.
    pub(crate) fn note_refused(&self, bytes: u64) {
        if let Some(content) = &self.content {
            content.note_orphans(bytes);
        }
    }

    /// How many bytes of content no event refers to, as far as is known.
    pub(crate) fn orphaned(&self) -> u64 {
        self.content.as_ref().map_or(0, ContentStore::orphaned)
    }

    /// Whether an event can be handed out without the disk.
    pub(crate) fn at_hand(&self, event: &Event) -> bool {
        let Body::Stored(stored) = &event.body else { return true };
        let mut content = stored.content();
        content.all(|content| self.content.as_ref().is_some_and(|store| store.at_hand(content)))
            && (event.key_id.is_none() || self.keys.at_hand(&self.key_of(&event.stream)).is_some())
    }

    /// An event as it is handed out: with its data, in the form of the latest schema. May block on the disk. What
    /// cannot be read is told in the event itself.
    pub(crate) fn whole(&self, event: Arc<Event>) -> Arc<Event> {
        let whole = match &event.body {
            Body::Stored(stored) => Arc::new(self.put_together(&event, stored)),
            _ => event,
        };
        if !self.upcasts.load(Ordering::Acquire) || whole.body != Body::Whole {
            return whole;
        }
        let upcast = self.hooks.read().upcast.clone();
        upcast.and_then(|upcast| upcast(&whole)).unwrap_or(whole)
    }

    fn put_together(&self, event: &Event, stored: &StoredBody) -> Event {
        let whole = match &event.key_id {
            Some(id) => self.unseal(event, id, stored),
            None => self.load(event, stored),
        };
        let without = |body: Body| Event { data: Bytes::new(), raw: None, body, ..event.clone() };
        match whole {
            Ok(Some(whole)) => whole,
            Ok(None) => without(Body::Erased),
            Err(reason) => {
                let (position, id) = (event.position.get(), &event.id);
                tracing::error!(position, %id, reason, "data of an event cannot be read");
                without(Body::Unreadable(Arc::from(format!("event {id} at position {position}: {reason}"))))
            }
        }
    }

    fn content(&self, content: ContentRef) -> Result<Bytes, String> {
        let store = self.content.as_ref().ok_or("it refers to a file, and this log has none")?;
        store.get(content)
    }

    fn load(&self, event: &Event, stored: &StoredBody) -> Result<Option<Event>, String> {
        let mut whole = Event { body: Body::Whole, ..event.clone() };
        if let Some(content) = stored.data {
            whole.data = self.content(content)?;
        }
        if let (Some(raw), Some(content)) = (&mut whole.raw, stored.raw) {
            raw.payload = self.content(content)?;
        }
        Ok(Some(whole))
    }

    fn unseal(&self, event: &Event, key_id: &str, stored: &StoredBody) -> Result<Option<Event>, String> {
        let key = match self.keys.find(&self.key_of(&event.stream), key_id) {
            Found::Key(key) => key,
            Found::Erased => return Ok(None),
            Found::Missing(reason) => return Err(reason),
        };
        let sealed = stored.data.map_or_else(|| Ok(event.data.clone()), |content| self.content(content))?;
        keys::open(&key, event, &sealed).map(Some)
    }

    /// Begins a collection of content files; `None` when this log has none.
    pub(crate) fn begin_sweep(&self) -> Option<()> {
        self.content.as_ref().filter(|content| content.is_used()).map(ContentStore::begin_sweep)
    }

    /// Ends a collection that removed nothing, or is done.
    pub(crate) fn give_up_sweep(&self) {
        if let Some(content) = &self.content {
            content.give_up_sweep();
        }
    }

    /// Removes content files that are neither referred to nor put since the collection began.
    pub(crate) fn sweep(&self, referred: &HashSet<ContentRef>) -> Result<Swept, LogError> {
        self.content.as_ref().map_or(Ok(Swept::default()), |content| content.sweep(referred))
    }
}

/// What is too large to stand in the event itself.
fn large_parts(event: &mut NewEvent) -> [Option<&mut Bytes>; 2] {
    let raw = event.raw.as_mut().map(|raw| &mut raw.payload);
    [Some(&mut event.data), raw].map(|part| part.filter(|bytes| bytes.len() > INLINE_MAX))
}

/// Puts large payloads into files, those of all requests together.
fn store_large(content: &ContentStore, mut requests: Vec<(&mut AppendRequest, &mut Result<(), AppendError>)>) {
    let events = requests.iter_mut().flat_map(|(request, _)| &mut request.events);
    let payloads: Vec<Bytes> = events.flat_map(large_parts).flatten().map(|bytes| bytes.clone()).collect();
    if payloads.is_empty() {
        return;
    }
    let mut stored = content.put_all(&payloads).into_iter();
    for (request, outcome) in requests {
        let mut names = Vec::new();
        for event in &mut request.events {
            let mut put = |part: Option<&mut Bytes>| match part.and_then(|bytes| Some((bytes, stored.next()?))) {
                Some((bytes, Ok(name))) => {
                    *bytes = Bytes::new();
                    names.push(name);
                    Some(name)
                }
                Some((_, Err(PutError::Full))) => {
                    *outcome = Err(AppendError::DiskFull);
                    None
                }
                Some((_, Err(PutError::Failed(reason)))) => {
                    *outcome = Err(AppendError::Storage { reason: format!("a content file: {reason}") });
                    None
                }
                None => None,
            };
            let [data, raw] = large_parts(event).map(&mut put);
            let stored = StoredBody { data, raw };
            if stored != StoredBody::default() {
                event.body = Body::Stored(Arc::new(stored));
            }
        }
        if outcome.is_err() {
            content.note_orphans(names.iter().map(|name| name.len).sum());
        }
    }
}
