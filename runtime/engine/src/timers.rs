//! Timers of all nodes, served by one task.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tidewire_node_api::Signal;
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::inbox::Inbox;

/// Owner of a timer: the number of a node instance.
pub type Instance = u64;

#[derive(Default)]
struct Schedule {
    /// Due time and a serial number, so that timers of one moment fire in the order they were set.
    due: BTreeMap<(i64, u64), (Instance, u64, Weak<Inbox>)>,
    by_key: HashMap<(Instance, u64), (i64, u64)>,
    serial: u64,
}

/// See the module. The task ends with the last handle.
pub struct Timers {
    schedule: Arc<Mutex<Schedule>>,
    changed: Arc<Notify>,
}

impl Timers {
    pub fn new(clock: Arc<dyn Clock>, runtime: &tokio::runtime::Handle) -> Self {
        let timers = Timers { schedule: Arc::default(), changed: Arc::new(Notify::new()) };
        let (schedule, changed) = (Arc::downgrade(&timers.schedule), timers.changed.clone());
        runtime.spawn(async move {
            while let Some(next) = fire_due(&schedule, clock.as_ref()) {
                tokio::select! {
                    () = clock.until(next.unwrap_or_default()), if next.is_some() => {}
                    () = changed.notified() => {}
                }
            }
        });
        timers
    }

    pub fn set(&self, instance: Instance, key: u64, at_ms: i64, inbox: &Arc<Inbox>) {
        let mut schedule = self.schedule.lock();
        remove(&mut schedule, instance, key);
        schedule.serial += 1;
        let place = (at_ms, schedule.serial);
        schedule.due.insert(place, (instance, key, Arc::downgrade(inbox)));
        schedule.by_key.insert((instance, key), place);
        let first = schedule.due.keys().next() == Some(&place);
        drop(schedule);
        if first {
            self.changed.notify_one();
        }
    }

    pub fn cancel(&self, instance: Instance, key: u64) {
        remove(&mut self.schedule.lock(), instance, key);
    }

    /// The instance ended: its timers go with it.
    pub fn cancel_all(&self, instance: Instance) {
        let mut schedule = self.schedule.lock();
        let keys: Vec<u64> =
            schedule.by_key.keys().filter(|(owner, _)| *owner == instance).map(|(_, key)| *key).collect();
        for key in keys {
            remove(&mut schedule, instance, key);
        }
    }
}

impl Drop for Timers {
    fn drop(&mut self) {
        self.changed.notify_one();
    }
}

fn remove(schedule: &mut Schedule, instance: Instance, key: u64) {
    if let Some(place) = schedule.by_key.remove(&(instance, key)) {
        schedule.due.remove(&place);
    }
}

/// Fires what is due; the time of the next timer, if there is one, or `None` when nobody can set timers any more.
fn fire_due(schedule: &Weak<Mutex<Schedule>>, clock: &dyn Clock) -> Option<Option<i64>> {
    let schedule = schedule.upgrade()?;
    loop {
        let mut guard = schedule.lock();
        let Some((&(at, serial), _)) = guard.due.first_key_value() else { return Some(None) };
        if at > clock.now_ms() {
            return Some(Some(at));
        }
        let Some((instance, key, inbox)) = guard.due.remove(&(at, serial)) else { continue };
        guard.by_key.remove(&(instance, key));
        drop(guard);
        if let Some(inbox) = inbox.upgrade() {
            inbox.signal(Signal::Timer(key));
        }
    }
}
