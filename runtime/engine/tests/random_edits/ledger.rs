//! Which message was where, when, and whether that is how it should have been.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use tidewire_node_api::{AckSink, Outcome};
use tokio::sync::Notify;

use crate::flow::Wiring;
use crate::nodes;

/// One message at one node: its source, its number there, and the way it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Step {
    pub source: i64,
    pub number: i64,
    pub way: i64,
}

/// One step as it was taken.
struct Entry {
    node: u32,
    step: Step,
    /// The revision surely in force when the node worked on it.
    revision: usize,
    /// Which batch of its node it was in; the next one begins when this one's messages were sent.
    activation: usize,
    outputs: usize,
    /// It is sent on by work that outlasts the batch.
    later: bool,
}

#[derive(Default)]
struct Book {
    entries: Vec<Entry>,
    /// Per node and batch: the latest revision that can have been in force when it began.
    activations: HashMap<u32, Vec<usize>>,
    revisions: Vec<Arc<Wiring>>,
    /// Revisions that are in force; one more may be on its way.
    done: usize,
    names: Vec<String>,
    by_name: HashMap<String, u32>,
    /// Ways: the way before, and the node and port it went on from. Way 0 is none.
    ways: Vec<(i64, u32, usize, usize)>,
    by_way: HashMap<(i64, u32, usize), i64>,
    /// The last number seen, by node, source and way; in order over the whole run.
    last: HashMap<(u32, i64, i64), i64>,
    numbers: BTreeMap<&'static str, i64>,
    disorder: Option<String>,
}

/// See the module.
#[derive(Default)]
pub struct Ledger {
    pub lab: u64,
    pub pause: AtomicBool,
    book: Mutex<Book>,
    /// Messages fed whose every branch has not ended.
    open: AtomicI64,
    bad_ends: Mutex<Vec<(i64, u64, Outcome)>>,
    ended: Notify,
}

static LEDGERS: LazyLock<Mutex<HashMap<u64, Arc<Ledger>>>> = LazyLock::new(Mutex::default);

pub fn of_lab(lab: u64) -> Arc<Ledger> {
    let mut ledgers = LEDGERS.lock().unwrap();
    let new = || Arc::new(Ledger { lab, ..Ledger::default() });
    ledgers.entry(lab).or_insert_with(new).clone()
}

/// Hears how messages ended.
pub struct Acks(pub Arc<Ledger>, pub i64);

impl AckSink for Acks {
    fn complete(&self, id: u64, outcome: Outcome) {
        if outcome >= Outcome::Failed {
            self.0.bad_ends.lock().unwrap().push((self.1, id, outcome));
        }
        self.0.open.fetch_sub(1, Ordering::Relaxed);
        self.0.ended.notify_one();
    }
}

impl Book {
    fn name(&mut self, name: &str) -> u32 {
        if let Some(index) = self.by_name.get(name) {
            return *index;
        }
        let index = u32::try_from(self.names.len()).unwrap();
        self.names.push(name.to_owned());
        self.by_name.insert(name.to_owned(), index);
        index
    }

    fn way_text(&self, way: i64) -> String {
        let (before, node, port, _) = self.ways[usize::try_from(way).unwrap()];
        let last = format!("{}.{port}", self.names[node as usize]);
        if before == 0 { self.names[node as usize].clone() } else { format!("{} {last}", self.way_text(before)) }
    }

    fn way(&mut self, before: i64, node: u32, port: usize) -> i64 {
        if let Some(way) = self.by_way.get(&(before, node, port)) {
            return *way;
        }
        if self.ways.is_empty() {
            self.ways.push((0, 0, 0, 0));
        }
        let way = i64::try_from(self.ways.len()).unwrap();
        let length = self.ways[usize::try_from(before).unwrap()].3 + 1;
        self.ways.push((before, node, port, length));
        self.by_way.insert((before, node, port), way);
        way
    }
}

impl Ledger {
    /// The way of messages that come in at a source. Its port is no real one.
    pub fn root(&self, source: &str) -> i64 {
        let mut book = self.book.lock().unwrap();
        let node = book.name(source);
        book.way(0, node, usize::MAX)
    }

    pub fn next_numbers(&self, source: &'static str, count: i64) -> i64 {
        let mut book = self.book.lock().unwrap();
        let next = book.numbers.entry(source).or_default();
        *next += count;
        self.open.fetch_add(count, Ordering::Relaxed);
        *next - count
    }

    pub fn under_way(&self) -> i64 {
        self.open.load(Ordering::Relaxed)
    }

    /// A node works on a batch. Gives back the ways that its messages go on, one per output; none where they end.
    pub fn enter(&self, node: &str, steps: &[Step], outputs: usize, later: bool) -> Vec<Vec<i64>> {
        let mut book = self.book.lock().unwrap();
        let book = &mut *book;
        let node = book.name(node);
        let started = book.revisions.len() - 1;
        let activations = book.activations.entry(node).or_default();
        activations.push(started);
        let activation = activations.len();
        let mut all = Vec::with_capacity(steps.len());
        for step in steps {
            let last = book.last.insert((node, step.source, step.way), step.number);
            if last.is_some_and(|last| last >= step.number) && book.disorder.is_none() {
                let name = book.names[node as usize].clone();
                let way = book.way_text(step.way);
                book.disorder = Some(format!("{step:?} came to {name} after number {last:?}, by way of {way}"));
            }
            let ends = nodes::ends(book.ways[usize::try_from(step.way).unwrap()].3);
            let outputs = if ends { 0 } else { outputs };
            let revision = book.done;
            book.entries.push(Entry { node, step: *step, revision, activation, outputs, later });
            all.push((0..outputs).map(|port| book.way(step.way, node, port)).collect());
        }
        all
    }

    /// A deploy of this wiring begins.
    pub fn begin(&self, wiring: Wiring) {
        self.book.lock().unwrap().revisions.push(Arc::new(wiring));
    }

    /// It is in force.
    pub fn done(&self) {
        let mut book = self.book.lock().unwrap();
        book.done = book.revisions.len() - 1;
    }

    /// Waits until every message has ended everywhere.
    pub async fn wait_until_empty(&self) -> Result<(), String> {
        let until = Instant::now() + Duration::from_secs(20);
        while self.under_way() > 0 {
            let _ = tokio::time::timeout(Duration::from_millis(50), self.ended.notified()).await;
            if Instant::now() > until {
                return Err(format!("{} messages have not ended anywhere", self.under_way()));
            }
        }
        let bad = self.bad_ends.lock().unwrap();
        if bad.is_empty() { Ok(()) } else { Err(format!("{} messages were lost, or failed: {bad:?}", bad.len())) }
    }

    /// Checks every step, and begins a new page. Says how many steps there were.
    pub fn check(&self) -> Result<usize, String> {
        let mut book = self.book.lock().unwrap();
        if let Some(text) = book.disorder.take() {
            return Err(text);
        }
        let mut came: HashMap<Step, Vec<u32>> = HashMap::new();
        for entry in &book.entries {
            let nodes = came.entry(entry.step).or_default();
            if nodes.contains(&entry.node) {
                return Err(format!("{:?} came twice to {}", entry.step, book.names[entry.node as usize]));
            }
            nodes.push(entry.node);
        }
        for entry in &book.entries {
            for port in 0..entry.outputs {
                let way = book.by_way[&(entry.step.way, entry.node, port)];
                let next = came.remove(&Step { way, ..entry.step }).unwrap_or_default();
                check_step(&book, entry, port, &next)?;
            }
        }
        // What is left are the first steps, at the sources.
        for (step, nodes) in came {
            let (before, source, ..) = book.ways[usize::try_from(step.way).unwrap()];
            if before != 0 || nodes != [source] {
                return Err(format!("{step:?} came from nowhere to {nodes:?}"));
            }
        }
        let count = book.entries.len();
        book.entries.clear();
        book.activations.clear();
        let current = book.revisions.pop().unwrap();
        book.revisions = vec![current];
        book.done = 0;
        self.pause.store(false, Ordering::Relaxed);
        Ok(count)
    }
}

/// Checks where a message went from one output of one node.
fn check_step(book: &Book, entry: &Entry, port: usize, next: &[u32]) -> Result<(), String> {
    let node = &book.names[entry.node as usize];
    let last = book.revisions.len() - 1;
    let sent = if entry.later { None } else { book.activations[&entry.node].get(entry.activation).copied() };
    let sent = sent.unwrap_or(last);
    let window = expected(book, node, port, entry.revision, sent);
    // Where subflow instances lead: they pass on when they come to it.
    let entries = |instance: &str, revision: usize| book.revisions[revision].entries.get(instance);
    let (mut allowed, mut demanded) = (BTreeSet::new(), BTreeSet::new());
    let is_instance = |id: &String| (entry.revision..=last).any(|revision| entries(id, revision).is_some());
    for target in window.iter().flatten() {
        let always = window.iter().all(|targets| targets.contains(target));
        if !is_instance(target) {
            allowed.insert(target.clone());
            if always {
                demanded.insert(target.clone());
            }
            continue;
        }
        let inner: BTreeSet<&String> =
            (entry.revision..=last).filter_map(|revision| entries(target, revision)).flatten().collect();
        for id in inner {
            allowed.insert(id.clone());
            let there = |revision| entries(target, revision).is_some_and(|inner| inner.contains(id));
            if always && (entry.revision..=last).all(there) {
                demanded.insert(id.clone());
            }
        }
    }
    let came: BTreeSet<String> = next.iter().map(|node| book.names[*node as usize].clone()).collect();
    let tell = |what: &str| {
        Err(format!(
            "{:?} went from {node}.{port} to {came:?}, {what}; wires in force (revisions {}..={sent} of {last}): {window:?}",
            entry.step, entry.revision
        ))
    };
    if !demanded.is_subset(&came) {
        return tell("but was to go to all that are wired throughout");
    }
    if !came.is_subset(&allowed) {
        return tell("where no wire led");
    }
    let somewhere = window.iter().all(|targets| !targets.is_empty() && !targets.iter().any(is_instance));
    if somewhere && came.is_empty() { tell("to nobody, although it was wired all the time") } else { Ok(()) }
}

/// Where each of these revisions leads the messages of an output. A node that is gone still works off what it has, and
/// sends it where it last led, as far as that is still there.
fn expected(book: &Book, node: &str, port: usize, from: usize, to: usize) -> Vec<BTreeSet<String>> {
    let key = (node.to_owned(), port);
    let mut targets: BTreeSet<String> = BTreeSet::new();
    let mut window = Vec::new();
    for (revision, wiring) in book.revisions.iter().enumerate().take(to + 1) {
        if wiring.live.contains(node) {
            targets = wiring.targets.get(&key).cloned().unwrap_or_default();
        } else {
            targets.retain(|id| wiring.live.contains(id));
        }
        if revision >= from {
            window.push(targets.clone());
        }
    }
    window
}
