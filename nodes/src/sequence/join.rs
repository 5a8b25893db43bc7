//! `join` puts the messages of a sequence together to one.

mod config;
mod group;
mod place;

use std::collections::HashMap;

use compact_str::CompactString;
use serde_json::{Map as JsonMap, Value as Json};
use tidewire_model::value::Path;
use tidewire_model::{Message, Problem, Value};
use tidewire_node_api::{
    BuildEnv, BuildError, Category, Ctx, Kind, Meta, Node, NodeError, NodeType, Outcome, Role, Signal, State,
    StopReason, Token,
};

use crate::shared::held::{Entry, Held, Holder, NEVER};
use config::{Build, JoinConfig, Mode};
use group::{Added, Group};
use place::{Found, Place};

/// Records of one group beyond which they are written anew as one, if they are twice as many as its values.
const RECORDS_MIN: usize = 64;

pub(crate) struct Join {
    auto: bool,
    build: Build,
    /// What is put together; none is the whole message.
    property: Option<Path>,
    /// Property that the result goes to, unless `parts.property` says.
    target: CompactString,
    key: Path,
    key_text: String,
    glue: Value,
    /// Number of messages; NaN or 0 is none.
    count: f64,
    /// No count was given: that of `msg.parts` counts, and its sequences are told apart.
    count_from_parts: bool,
    use_parts: bool,
    accumulates: bool,
    timeout_ms: f64,
    holder: Holder,
    groups: HashMap<CompactString, Group>,
    /// Groups by the key of their timer.
    timers: HashMap<u64, CompactString>,
    rank: i64,
}

impl NodeType for Join {
    type Config = JoinConfig;

    const META: Meta = Meta {
        icon: "join",
        keywords: &["merge", "combine", "collect", "concatenate", "aggregate", "reassemble", "batch"],
        ..Meta::new("join", "Join", Category::Sequence, Role::Logic, Kind::Stateful)
    };

    fn derived(config: &JoinConfig) -> JsonMap<String, Json> {
        let numbers = [("count", config.count_number()), ("timer", config.timeout_ms())];
        numbers.into_iter().map(|(name, number)| (name.to_owned(), number.into())).collect()
    }

    fn check(config: &JoinConfig) -> Vec<Problem> {
        Join::compile(config).err().unwrap_or_default()
    }

    fn build(config: JoinConfig, _env: &BuildEnv) -> Result<Self, BuildError> {
        Join::compile(&config).map_err(BuildError)
    }
}

impl Join {
    fn compile(config: &JoinConfig) -> Result<Join, Vec<Problem>> {
        if config.mode == Mode::Reduce {
            let text = "JSONata expressions are not supported yet, so a sequence cannot be reduced; join it to an array \
                        and work on that";
            return Err(vec![Problem::error("/mode", text)]);
        }
        let one = |problem: Problem| vec![problem];
        let (path, target) = config.target().map_err(one)?;
        Ok(Join {
            auto: config.mode == Mode::Auto,
            build: config.build,
            property: (!config.is_full()).then_some(path),
            target: target.into(),
            key: config.key_path().map_err(one)?,
            key_text: config.key.clone(),
            glue: config.glue().map_err(one)?,
            count: config.count_number(),
            count_from_parts: config.count_is_blank(),
            use_parts: config.useparts,
            accumulates: config.accumulate && config.mode == Mode::Custom,
            timeout_ms: config.timeout_ms(),
            holder: Holder::new(config.ack),
            groups: HashMap::new(),
            timers: HashMap::new(),
            rank: 0,
        })
    }

    /// When a group that begins or is restarted now is sent at the latest.
    fn deadline(&self, ctx: &Ctx<'_>) -> i64 {
        if self.timeout_ms > 0.0 { ctx.now_ms().saturating_add(self.timeout_ms.min(1e14).ceil() as i64) } else { NEVER }
    }

    fn set_deadline(&mut self, id: &str, due: i64, ctx: &Ctx<'_>) {
        let Some(group) = self.groups.get_mut(id) else { return };
        group.due = due;
        if due == NEVER {
            ctx.cancel_timer(group.timer);
        } else {
            self.timers.insert(group.timer, id.into());
            ctx.set_timer(group.timer, due);
        }
    }

    fn remove_group(&mut self, id: &str, ctx: &Ctx<'_>) -> Option<Group> {
        let group = self.groups.remove(id)?;
        self.timers.remove(&group.timer);
        ctx.cancel_timer(group.timer);
        Some(group)
    }

    /// Drops a group; the work on its messages has ended.
    fn drop_group(&mut self, id: &str, ctx: &mut Ctx<'_>) {
        let Some(mut group) = self.remove_group(id, ctx) else { return };
        for token in group.tokens() {
            token.finish(Outcome::Dropped);
        }
        for record in group.records {
            self.holder.remove(record, ctx);
        }
        for deferred in group.open {
            ctx.finish(deferred, Outcome::Dropped);
        }
    }

    /// The group of a message, begun if there is none.
    fn group(&mut self, place: &Place, message: &Message, ctx: &Ctx<'_>) -> &mut Group {
        if !self.groups.contains_key(&place.group) {
            self.groups.insert(place.group.clone(), Group::new(place, message.clone(), ctx.next_id()));
            let due = self.deadline(ctx);
            self.set_deadline(&place.group, due, ctx);
        }
        match self.groups.get_mut(&place.group) {
            Some(group) => group,
            None => unreachable!("the group was just found or made"),
        }
    }

    /// Sends what a group has become, and forgets the group unless it goes on. `token`: that of the message at hand.
    fn send(&mut self, id: &str, token: Option<Token>, ctx: &mut Ctx<'_>) {
        let goes_on = self.accumulates && self.groups.get(id).is_some_and(|group| !group.told_complete());
        let (result, token, open) = if goes_on {
            let Some(group) = self.groups.get_mut(id) else { return };
            // Its messages stay, whether or not their sources waited for this result.
            let mut tokens: Vec<Token> = token.into_iter().collect();
            for Held { entry, token } in std::mem::take(&mut group.waiting) {
                tokens.extend(token);
                group.take(self.holder.keep(entry, None, ctx));
            }
            let token = (!tokens.is_empty()).then(|| self.holder.release(None, tokens));
            (group.result(), token, std::mem::take(&mut group.open))
        } else {
            let Some(mut group) = self.remove_group(id, ctx) else { return };
            let (result, tokens) = (group.result(), group.tokens());
            let token = self.holder.release(group.records, tokens.into_iter().chain(token));
            (result, Some(token), group.open)
        };
        ctx.emit_with(0, result, token);
        open.into_iter().for_each(|deferred| ctx.finish(deferred, Outcome::Done));
    }

    /// A message without a name for its value has no place in an object; it may still say that all is there.
    fn without_key(&mut self, place: &Place, message: &Message, ctx: &mut Ctx<'_>) {
        if self.auto {
            ctx.warn("Message missing 'msg.parts.key' property - cannot add to object");
        } else if let Some(complete) = message.get("complete") {
            let Some(group) = self.groups.get_mut(&place.group) else { return };
            group.tell_complete(complete.clone());
            let token = ctx.split_token();
            self.send(&place.group, token, ctx);
        } else {
            ctx.warn(format!("Message missing key property 'msg.{}' - cannot add to object", self.key_text));
        }
    }

    /// Puts a message into its group, and sends the group if it is complete.
    fn add(&mut self, place: &Place, original: Message, message: &Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        let complete = message.body().contains_key("complete");
        let added = self.group(place, message, ctx).add(place, message);
        match added {
            Added::Refused(text) => {
                return Err(NodeError::new(text).with_code("join.errors.invalid-type").on(original));
            }
            Added::Warned(text) if !complete => ctx.warn(text),
            Added::Warned(_) | Added::Well => {}
        }
        let mut deferred = ctx.defer();
        let mut token = deferred.token.take();
        let Some(group) = self.groups.get_mut(&place.group) else { return Ok(()) };
        group.open.push(deferred);
        let sends = complete || group.is_complete();
        let due = group.due;
        if !sends || (self.accumulates && !complete) {
            self.rank += 1;
            let entry =
                Entry { id: ctx.next_id(), rank: self.rank, due, label: place.group.clone(), message: original };
            // A result that goes out now has a share in the message.
            let kept = if sends { token.as_ref().map(Token::split) } else { token.take() };
            let held = if sends { self.holder.keep(entry, kept, ctx) } else { self.holder.hold(entry, kept, ctx) };
            group.take(held);
            self.compact(&place.group, false, ctx);
        }
        if sends {
            self.send(&place.group, token, ctx);
        }
        Ok(())
    }

    /// Writes a group's records anew as one, once they are many more than it has values; or `now`.
    fn compact(&mut self, id: &str, now: bool, ctx: &Ctx<'_>) {
        let Some(group) = self.groups.get_mut(id) else { return };
        if !now && group.records.len() <= RECORDS_MIN.max(2 * group.len()) {
            return;
        }
        self.rank += 1;
        let message = group.snapshot();
        let entry = Entry { id: ctx.next_id(), rank: self.rank, due: group.due, label: id.into(), message };
        let held = self.holder.keep(entry, None, ctx);
        for record in std::mem::replace(&mut group.records, vec![held.entry.id]) {
            self.holder.remove(record, ctx);
        }
    }

    /// Puts a message back that was kept.
    fn restore(&mut self, entry: Entry, ctx: &Ctx<'_>) {
        self.rank = self.rank.max(entry.rank);
        if let Some(group) = Group::from_snapshot(&entry.message, ctx.next_id()) {
            // Whatever came before is in it.
            let earlier = self.remove_group(&entry.label, ctx);
            for record in earlier.map(|group| group.records).unwrap_or_default() {
                self.holder.remove(record, ctx);
            }
            self.groups.insert(entry.label.clone(), group);
            self.put_back(&entry.label.clone(), entry, ctx);
            return;
        }
        let mut message = entry.message.clone();
        match self.place(&mut message) {
            Found::Place(place) => {
                self.group(&place, &message, ctx).add(&place, &message);
                self.put_back(&place.group, entry, ctx);
            }
            // The flow has changed since: nothing here takes it any more.
            _ => self.holder.remove(entry.id, ctx),
        }
    }

    fn put_back(&mut self, id: &str, entry: Entry, ctx: &Ctx<'_>) {
        if entry.due != NEVER || self.accumulates {
            self.set_deadline(id, entry.due, ctx);
        }
        if let Some(group) = self.groups.get_mut(id) {
            group.take(Held { entry, token: None });
        }
    }
}

impl Node for Join {
    fn start(&mut self, state: Option<State>, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        for entry in self.holder.start(state.as_ref(), ctx) {
            self.restore(entry, ctx);
        }
        // Complete by now, if the flow asks for fewer than it did.
        let complete = self.groups.iter().filter(|(_, group)| !self.accumulates && group.is_complete());
        let complete: Vec<CompactString> = complete.map(|(id, _)| id.clone()).collect();
        complete.iter().for_each(|id| self.send(id, None, ctx));
        Ok(())
    }

    fn process(&mut self, message: Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        let original = message.clone();
        let mut message = message;
        let place = match self.place(&mut message) {
            Found::Place(place) => place,
            Found::Nothing(warning) => {
                ctx.warn(warning);
                ctx.drop_message();
                return Ok(());
            }
            Found::ResetAll => {
                let deferred = ctx.defer();
                let all: Vec<CompactString> = self.groups.keys().cloned().collect();
                all.iter().for_each(|id| self.drop_group(id, ctx));
                ctx.finish(deferred, Outcome::Done);
                return Ok(());
            }
        };
        if message.body().contains_key("restartTimeout") && self.groups.contains_key(&place.group) {
            let due = self.deadline(ctx);
            self.set_deadline(&place.group, due, ctx);
        }
        if message.body().contains_key("reset") {
            let deferred = ctx.defer();
            self.drop_group(&place.group, ctx);
            ctx.finish(deferred, Outcome::Done);
            return Ok(());
        }
        if place.lacks_key() {
            self.without_key(&place, &message, ctx);
            return Ok(());
        }
        self.add(&place, original, &message, ctx)
    }

    fn signal(&mut self, signal: Signal, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        let Signal::Timer(timer) = signal else { return Ok(()) };
        if let Some(id) = self.timers.remove(&timer) {
            if let Some(group) = self.groups.get_mut(&id) {
                group.due = NEVER;
            }
            self.send(&id, None, ctx);
            // A group that goes on is not sent again for its time.
            self.compact(&id, true, ctx);
        }
        Ok(())
    }

    fn stop(&mut self, _reason: StopReason, ctx: &mut Ctx<'_>) -> Option<State> {
        for (_, group) in self.groups.drain() {
            for held in group.waiting {
                self.holder.put_away(held, ctx);
            }
            group.open.into_iter().for_each(|deferred| ctx.finish(deferred, Outcome::Done));
        }
        self.holder.stop()
    }
}

#[cfg(test)]
mod tests;
