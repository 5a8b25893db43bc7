//! Configuration of the notifier.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use tidewire_model::Problem;
use tidewire_node_api::lenient;

use super::channel::Target;

/// How people are reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ChannelName {
    /// ntfy.sh or a server of your own: free, no account needed.
    #[default]
    Ntfy,
    /// Pushbullet: free for 500 notifications a month.
    Pushbullet,
    /// Any address that takes an HTTP request.
    Webhook,
}

/// Sends notifications to people: over ntfy, Pushbullet, or a webhook.
///
/// Every notification is written to the event log before it is sent, so that none is lost when the network or the
/// machine fails: it is tried again with growing pauses until its time is up. While the token is missing, the node shows
/// what it would send and sends it once there is one.
///
/// The first output gives what was sent, the second what could not be, both with the outcome in `msg.notification`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct NotifierConfig {
    /// Service that delivers the notification.
    #[schemars(extend("x-widget" = "select"))]
    pub(crate) channel: ChannelName,
    /// Headline. `{{topic}}` and `{{payload.x}}` insert what the message holds.
    #[schemars(extend("x-widget" = "text"))]
    pub(crate) title: String,
    /// Text of the notification, with the same placeholders.
    #[schemars(extend("x-widget" = "code", "x-language" = "mustache"))]
    pub(crate) message: String,
    /// Access token: from your Pushbullet account, or for a protected ntfy topic (`tk_…`, or `user:password`). Stored
    /// encrypted, never in the flow.
    #[serde(skip_serializing)]
    #[schemars(extend("x-widget" = "secret"))]
    pub(crate) token: Json,
    /// ntfy: topic to publish to. Choose one that nobody guesses: on ntfy.sh whoever knows it can read it.
    #[schemars(extend("x-widget" = "text", "x-show" = { "channel": ["ntfy"] }))]
    pub(crate) topic: String,
    /// ntfy: from 1 (silent) to 5 (urgent); 3 is normal.
    #[serde(deserialize_with = "lenient::number")]
    #[schemars(schema_with = "lenient::number_schema", extend("x-show" = { "channel": ["ntfy"] }))]
    pub(crate) priority: f64,
    /// ntfy: tags, separated by commas. Names of emojis such as `warning` or `seedling` become pictures.
    #[schemars(extend("x-widget" = "text", "x-show" = { "channel": ["ntfy"] }))]
    pub(crate) tags: String,
    /// Address that opens when the notification is tapped.
    #[schemars(extend("x-widget" = "text", "x-show" = { "channel": ["ntfy", "pushbullet"] }))]
    pub(crate) click: String,
    /// Pushbullet: identity of one device; empty means all your devices.
    #[schemars(extend("x-widget" = "text", "x-show" = { "channel": ["pushbullet"] }))]
    pub(crate) device: String,
    /// Address of the service; empty means the public one (`https://ntfy.sh`, `https://api.pushbullet.com`).
    #[schemars(extend("x-widget" = "text", "x-show" = { "channel": ["ntfy", "pushbullet"] }))]
    pub(crate) base_url: String,
    /// Webhook: address to ask. `{token}` stands for the token, so that the secret is not part of the flow.
    #[schemars(extend("x-widget" = "text", "x-show" = { "channel": ["webhook"] }))]
    pub(crate) url: String,
    /// Webhook: method of the request.
    #[schemars(extend("x-widget" = "select", "x-show" = { "channel": ["webhook"] }, "enum" = ["POST", "PUT", "GET"]))]
    pub(crate) method: String,
    /// Webhook: headers by name; `{token}` stands for the token.
    #[schemars(extend("x-widget" = "json", "x-show" = { "channel": ["webhook"] }))]
    pub(crate) headers: BTreeMap<String, String>,
    /// Webhook: body, with placeholders; empty means JSON with `id`, `title` and `message`.
    #[schemars(extend("x-widget" = "code", "x-language" = "mustache", "x-show" = { "channel": ["webhook"] }))]
    pub(crate) body: String,
    /// Notifications with the same key are sent once within the time below; empty sends all. May have placeholders.
    #[schemars(extend("x-widget" = "text"))]
    pub(crate) key: String,
    /// Seconds for which a key holds others back.
    #[serde(deserialize_with = "lenient::number")]
    #[schemars(schema_with = "lenient::number_schema", extend("x-widget" = "duration"))]
    pub(crate) key_window: f64,
    /// Seconds after which a notification that could not be sent is given up.
    #[serde(deserialize_with = "lenient::number")]
    #[schemars(schema_with = "lenient::number_schema", extend("x-widget" = "duration"))]
    pub(crate) ttl: f64,
}

impl Default for NotifierConfig {
    fn default() -> Self {
        NotifierConfig {
            channel: ChannelName::Ntfy,
            title: String::new(),
            message: "{{payload}}".to_owned(),
            token: Json::Null,
            topic: String::new(),
            priority: 3.0,
            tags: String::new(),
            click: String::new(),
            device: String::new(),
            base_url: String::new(),
            url: String::new(),
            method: "POST".to_owned(),
            headers: BTreeMap::new(),
            body: String::new(),
            key: String::new(),
            key_window: 300.0,
            ttl: 86_400.0,
        }
    }
}

impl NotifierConfig {
    /// Rules that the schema cannot say.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.token.as_str().is_some_and(|token| !token.is_empty()) {
            let text = "the token stands in the flow file, where everybody can read it, and is not used; enter it in the \
                        node's form, which stores it encrypted";
            problems.push(Problem::warning("/token", text));
        }
        if !(1.0..=5.0).contains(&self.priority) {
            problems.push(Problem::error("/priority", "the priority goes from 1 to 5; 3 is normal"));
        }
        if self.ttl <= 0.0 {
            problems.push(Problem::error("/ttl", "the time must be more than 0 seconds"));
        }
        for (path, url) in [("/baseUrl", &self.base_url), ("/url", &self.url)] {
            let url = url.trim();
            if !url.is_empty() && !url.starts_with("https://") && !url.starts_with("http://") {
                problems.push(Problem::error(path, "the address must start with https:// (or http://)"));
            }
        }
        problems
    }

    /// Where notices go, without the token.
    pub(super) fn target(&self) -> Target {
        let tags = self.tags.split(',').map(str::trim).filter(|tag| !tag.is_empty());
        Target {
            base_url: self.base_url.clone(),
            token: String::new(),
            topic: self.topic.clone(),
            priority: self.priority as u8,
            tags: tags.map(str::to_owned).collect(),
            device: self.device.clone(),
            url: self.url.clone(),
            method: self.method.clone(),
            headers: self.headers.clone().into_iter().collect(),
        }
    }
}
