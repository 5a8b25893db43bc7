/* Made by npm run gen: do not edit. */

/**
 * Stores each message as an event in the event log.
 * 
 * The event goes into a *stream*, the history of one thing. By default that is `thing-` and the topic, so a message on
 * `greenhouse/soil` goes into `thing-greenhouse/soil`: slashes stay as they are. What has happened is said by the event
 * type, in the past tense.
 * 
 * The first output sends the message on once its event is on disk, with `msg.event` (`id`, `position`, `version`,
 * `stream`, `type`). The second one sends messages that were refused, with the reason in `msg.error`: the stream was not
 * at the expected version, the event id is taken, or a name cannot be used.
 * 
 * **Extensions** are attributes of CloudEvents with names of your own, lower-case letters and digits. The log keeps them
 * with the event, and gives them back as `msg.event.extensions` and in every export. Each is a text, a whole number of 32
 * bits, true or false; a property that the message does not have is left out.
 * 
 * The time of the event is `msg.time` or `msg.payload.time` when that is a credible time, else now. Storing the same
 * event id again does nothing and gives the first result. Without an id of your own, a message that was made from an
 * event gets an id derived from that event, so that a repetition after a crash is stored once.
 */
export interface EventStoreAppendConfig {
/**
 * The stream, such as `thing-{{topic}}`.
 */
stream?: string
/**
 * What happened, in the past tense; may contain `{{…}}`.
 */
eventType?: string
/**
 * What is stored as the event's data.
 */
data?: string
/**
 * Type of `data`.
 */
dataType?: string
/**
 * What the stream's version has to be: `any`, `none` (no event yet), `exists`, a number, or a property such as
 * `msg.event.version`.
 */
expectedVersion?: (string | number | boolean | null)
/**
 * Id of the event; empty: made by the node.
 */
eventId?: string
/**
 * Type of `eventId`.
 */
eventIdType?: string
/**
 * Extension attributes, such as `traceparent`: what is said of the event beside its data.
 * 
 * @maxItems 32
 */
extensions?: {
/**
 * Lower-case letters and digits.
 */
name?: string
/**
 * What it says.
 */
value?: string
/**
 * Type of the value.
 */
valueType?: string
}[]
}
