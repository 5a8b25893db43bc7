//! Retention in memory: the same rules, without archives.

use std::collections::BTreeMap;

use tidewire_model::position::Position;

use super::{MemoryLog, Records};
use crate::envelope::write_frame;
use crate::journal::summary::Dropped;
use crate::retention::{ByteCuts, Finds, Rules, holds, policies, record_of, spared};
use crate::{CompactOrder, Compacted, Dropping, EventLog, LogError};

impl MemoryLog {
    pub(super) async fn compact_events(&self, order: CompactOrder) -> Result<Compacted, LogError> {
        let policies = policies(self).await?;
        let held = holds(self, &order).await?;
        let needed = held.first().map_or(u64::MAX, |hold| hold.from.get());
        let now = (self.inner.clock)();
        let before = self.head().get();
        let mut wanted =
            Rules { policies: policies.clone(), now, before, cuts: Vec::new(), spared: spared(&order).await? };
        let (rules, found, more) = {
            let contents = self.inner.contents.read();
            contents.records.cut_bytes(&mut wanted);
            let rules = Rules { before: before.min(needed), ..wanted.clone() };
            let found = contents.records.look(&rules);
            (rules, found, contents.records.look(&wanted).tally.last_position())
        };
        let kept_back = |last: Position| held.iter().filter(|hold| hold.from <= last).cloned().collect();
        let compacted = Compacted {
            policies: found.tally.named(&policies),
            held_by: [more.map_or_else(Vec::new, kept_back), found.spared_by(&rules)].concat(),
            ..Compacted::default()
        };
        let Some(last) = found.tally.last_position().filter(|_| !order.dry_run) else { return Ok(compacted) };
        if let Some(before_drop) = &order.before_drop {
            before_drop(Dropping { through: last, groups: found.gone.list() }).await.map_err(LogError::Retention)?;
        }
        let rules = Rules { before: wanted.before.min(needed).min(last.get() + 1), ..wanted };
        {
            let records = &mut self.inner.contents.write().records;
            records.drop_events(&rules);
            records.gone.extend(&found.gone.list());
        }
        for drop in &compacted.policies {
            let dropped = Dropped {
                generation: 0,
                policy: drop.policy.clone(),
                actor: order.actor.to_string(),
                time: now,
                events: drop.events,
                bytes: drop.bytes,
                first_position: drop.first_position.get(),
                last_position: drop.last_position.get(),
            };
            let id = format!("compacted/{}/{}", self.head(), drop.policy);
            if let Some(request) = record_of(&dropped, id) {
                self.append(vec![request]).await.map_err(|error| LogError::Retention(error.to_string()))?;
            }
        }
        Ok(compacted)
    }
}

impl Records {
    fn cut_bytes(&self, rules: &mut Rules) {
        let mut cuts = ByteCuts::new(rules);
        for event in self.events.iter().rev() {
            cuts.add(event, write_frame(event, Vec::new()).len() as u64);
        }
    }

    fn look(&self, rules: &Rules) -> Finds {
        let mut finds = Finds::default();
        for event in &self.events {
            finds.add(rules, event, self.last_version(event), || write_frame(event, Vec::new()).len() as u64);
        }
        finds
    }

    fn last_version(&self, event: &tidewire_model::event::Event) -> u64 {
        self.streams.get(&event.stream).map_or(0, |stream| stream.head.version)
    }

    fn drop_events(&mut self, rules: &Rules) {
        let events = std::mem::take(&mut self.events);
        let (gone, kept): (Vec<_>, Vec<_>) =
            events.into_iter().partition(|event| rules.drops(event, self.last_version(event)).is_some());
        self.events = kept;
        let mut left: BTreeMap<_, Vec<Position>> = BTreeMap::new();
        for event in &gone {
            self.ids.remove(&event.id);
            left.entry(event.stream.clone()).or_default().push(event.position);
        }
        for (stream, gone) in left {
            if let Some(stream) = self.streams.get_mut(&stream) {
                stream.positions.retain(|position| gone.binary_search(position).is_err());
            }
        }
    }
}
