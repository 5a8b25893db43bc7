//! `split` takes a message apart into a sequence of messages.

mod config;
mod pieces;
mod stream;

use tidewire_model::value::Path;
use tidewire_model::{Map, Message, Problem, Value};
use tidewire_node_api::{
    BuildEnv, BuildError, Category, Ctx, Kind, Meta, Node, NodeError, NodeType, Outcome, Role, State, StopReason, Token,
};

use super::parts;
use crate::shared::typed_input::message_path;
use config::SplitConfig;
use pieces::{Run, Separator};
use stream::{Cut, Stream};

pub(crate) struct Split {
    separator: Separator,
    array_len: usize,
    property: Path,
    /// The property as text, where it is not the payload.
    told_property: Option<String>,
    add_name: Option<Path>,
    /// Present where what is left over goes before the next message.
    stream: Option<Stream>,
}

impl NodeType for Split {
    type Config = SplitConfig;

    const META: Meta = Meta {
        icon: "split",
        keywords: &["array", "lines", "each", "loop", "iterate", "separate", "explode", "chunk"],
        ..Meta::new("split", "Split", Category::Sequence, Role::Logic, Kind::Stateful)
    };

    fn check(config: &SplitConfig) -> Vec<Problem> {
        Split::compile(config).err().unwrap_or_default()
    }

    fn build(config: SplitConfig, _env: &BuildEnv) -> Result<Self, BuildError> {
        Split::compile(&config).map_err(BuildError)
    }
}

/// What all parts of one message have in common.
struct Whole<'m> {
    message: &'m Message,
    parts: Map,
}

impl Split {
    fn compile(config: &SplitConfig) -> Result<Split, Vec<Problem>> {
        let property = if config.property.is_empty() { "payload" } else { &config.property };
        let separator = config.separator().map_err(|problem| vec![problem])?;
        let array_len = config.array_len().map_err(|problem| vec![problem])?;
        let add_name = Some(&config.addname).filter(|name| !name.is_empty());
        Ok(Split {
            separator,
            array_len,
            property: message_path(property, "/property").map_err(|problem| vec![problem])?,
            told_property: (property != "payload").then(|| property.to_owned()),
            add_name: add_name
                .map(|name| message_path(name, "/addname"))
                .transpose()
                .map_err(|problem| vec![problem])?,
            stream: config.stream.then(|| Stream::new(config.ack)),
        })
    }

    fn whole<'m>(&self, message: &'m Message, kind: &str, ctx: &Ctx<'_>) -> Whole<'m> {
        let mut parts = parts::nested(message, ctx.next_id());
        if let Some(property) = &self.told_property {
            parts.insert("property", property.as_str());
        }
        parts.insert("type", kind);
        Whole { message, parts }
    }

    /// One part, a message of its own.
    fn part(&self, whole: &Whole<'_>, index: usize, value: Value, ctx: &Ctx<'_>) -> Message {
        let mut body = whole.message.body().clone();
        body.remove("_msgid");
        let mut parts = whole.parts.clone();
        parts.insert("index", index);
        body.insert("parts", parts);
        let mut part = whole.message.derive(ctx.next_id(), body);
        part.set_path(&self.property, value, true);
        part
    }

    fn split_array(&self, message: &Message, items: &[Value], ctx: &mut Ctx<'_>) {
        let mut whole = self.whole(message, "array", ctx);
        whole.parts.insert("count", items.len().div_ceil(self.array_len));
        whole.parts.insert("len", self.array_len);
        for (index, chunk) in items.chunks(self.array_len).enumerate() {
            let value = match chunk {
                [item] if self.array_len == 1 => item.clone(),
                chunk => Value::array(chunk.to_vec()),
            };
            let part = self.part(&whole, index, value, ctx);
            ctx.emit(0, part);
        }
    }

    fn split_object(&self, message: &Message, object: &Map, ctx: &mut Ctx<'_>) {
        let mut whole = self.whole(message, "object", ctx);
        let object: Vec<(&str, &Value)> = object.iter().filter(|(_, value)| !value.is_undefined()).collect();
        whole.parts.insert("count", object.len());
        for (index, (key, value)) in object.into_iter().enumerate() {
            whole.parts.insert("key", key);
            let mut part = self.part(&whole, index, value.clone(), ctx);
            if let Some(name) = &self.add_name {
                part.set_path(name, Value::from(key), true);
            }
            ctx.emit(0, part);
        }
    }

    /// Text or bytes.
    fn split_run(&mut self, message: &Message, run: Run, ctx: &mut Ctx<'_>) {
        if let Some(stream) = &mut self.stream {
            let cut = stream.take(message, run, &self.property, &self.separator, ctx);
            return self.send_cut(cut, ctx);
        }
        let pieces = run.cut(&self.separator);
        let mut whole = self.whole(message, run.kind(), ctx);
        self.separator.tell(&run, &mut whole.parts);
        // A text of no characters is one piece, but no length goes into it.
        let count = if run.is_empty() && self.separator.is_length() { 0 } else { pieces.len() };
        whole.parts.insert("count", count);
        for (index, piece) in pieces.into_iter().enumerate() {
            let part = self.part(&whole, index, piece, ctx);
            ctx.emit(0, part);
        }
    }

    /// Parts of a stream: how many there will be is not known.
    fn send_cut(&self, cut: Cut, ctx: &mut Ctx<'_>) {
        let mut whole = self.whole(&cut.message, cut.run.kind(), ctx);
        self.separator.tell(&cut.run, &mut whole.parts);
        for (index, piece) in cut.pieces.into_iter().enumerate() {
            let part = self.part(&whole, cut.index + index, piece, ctx);
            ctx.emit_with(0, part, cut.token.as_ref().map(Token::split));
        }
        if let Some(token) = cut.token {
            token.finish(Outcome::Done);
        }
    }
}

impl Node for Split {
    fn start(&mut self, state: Option<State>, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        if let Some(stream) = &mut self.stream {
            for cut in stream.start(state.as_ref(), &self.property, &self.separator, ctx) {
                self.send_cut(cut, ctx);
            }
        }
        Ok(())
    }

    fn process(&mut self, message: Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        let Some(value) = message.get_path(&self.property).cloned() else { return Ok(()) };
        match value.resolved() {
            Value::Array(items) => self.split_array(&message, items, ctx),
            Value::Object(object) => self.split_object(&message, object, ctx),
            value => match Run::of(value) {
                Some(run) => self.split_run(&message, run, ctx),
                None => ctx.drop_message(),
            },
        }
        Ok(())
    }

    fn stop(&mut self, _reason: StopReason, ctx: &mut Ctx<'_>) -> Option<State> {
        self.stream.as_mut()?.stop(ctx)
    }
}

#[cfg(test)]
mod tests;
