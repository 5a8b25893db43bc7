/* Made by npm run gen: do not edit. */

/**
 * Sends notifications to people: over ntfy, Pushbullet, or a webhook.
 * 
 * Every notification is written to the event log before it is sent, so that none is lost when the network or the
 * machine fails: it is tried again with growing pauses until its time is up. While the token is missing, the node shows
 * what it would send and sends it once there is one.
 * 
 * The first output gives what was sent, the second what could not be, both with the outcome in `msg.notification`.
 */
export interface NotifierConfig {
/**
 * Service that delivers the notification.
 */
channel?: ("ntfy" | "pushbullet" | "webhook")
/**
 * Headline. `{{topic}}` and `{{payload.x}}` insert what the message holds.
 */
title?: string
/**
 * Text of the notification, with the same placeholders.
 */
message?: string
/**
 * Access token: from your Pushbullet account, or for a protected ntfy topic (`tk_…`, or `user:password`). Stored
 * encrypted, never in the flow.
 */
token?: {
[k: string]: unknown
}
/**
 * ntfy: topic to publish to. Choose one that nobody guesses: on ntfy.sh whoever knows it can read it.
 */
topic?: string
/**
 * ntfy: from 1 (silent) to 5 (urgent); 3 is normal.
 */
priority?: (number | string | null)
/**
 * ntfy: tags, separated by commas. Names of emojis such as `warning` or `seedling` become pictures.
 */
tags?: string
/**
 * Address that opens when the notification is tapped.
 */
click?: string
/**
 * Pushbullet: identity of one device; empty means all your devices.
 */
device?: string
/**
 * Address of the service; empty means the public one (`https://ntfy.sh`, `https://api.pushbullet.com`).
 */
baseUrl?: string
/**
 * Webhook: address to ask. `{token}` stands for the token, so that the secret is not part of the flow.
 */
url?: string
/**
 * Webhook: method of the request.
 */
method?: ("POST" | "PUT" | "GET")
/**
 * Webhook: headers by name; `{token}` stands for the token.
 */
headers?: {
[k: string]: string
}
/**
 * Webhook: body, with placeholders; empty means JSON with `id`, `title` and `message`.
 */
body?: string
/**
 * Notifications with the same key are sent once within the time below; empty sends all. May have placeholders.
 */
key?: string
/**
 * Seconds for which a key holds others back.
 */
keyWindow?: (number | string | null)
/**
 * Seconds after which a notification that could not be sent is given up.
 */
ttl?: (number | string | null)
}
