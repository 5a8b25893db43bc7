/* Made by npm run gen: do not edit. */

/**
 * Receives messages from an MQTT broker.
 * 
 * Each message has `topic`, `payload`, `qos` and `retain`; with MQTT 5 also `responseTopic`, `correlationData`,
 * `contentType`, `userProperties` and `messageExpiryInterval` where they were sent.
 * 
 * Messages of QoS 1 and 2 are acknowledged to the broker only when the flow has dealt with them: when they are stored,
 * sent on, or dropped on purpose. What happens when a flow fails on one is set at the broker connection.
 * 
 * With **dynamic subscriptions** the node has an input and subscribes as messages tell it: `action` is `subscribe`,
 * `unsubscribe`, `getSubscriptions`, `connect` or `disconnect`; `topic` is a filter, an object
 * `{topic, qos, datatype, nl, rap, rh}`, a list of these, or `true` for all.
 */
export interface MqttInConfig {
/**
 * Connection to the broker.
 */
broker?: string
/**
 * Topic to listen to. `+` stands for one level, `#` at the end for all below.
 */
topic?: string
/**
 * Guarantee asked for: 0 at most once, 1 at least once, 2 exactly once.
 */
qos?: (string | number | boolean | null)
/**
 * What the payload becomes: auto-detect (JSON, text or bytes), auto (text or bytes), utf8, buffer, base64, json.
 */
datatype?: string
/**
 * MQTT 5: leave out what this connection published itself.
 */
nl?: (boolean | string | number | null)
/**
 * MQTT 5: keep the retain flag as it was published.
 */
rap?: (boolean | string | number | null)
/**
 * MQTT 5: retained messages come 0 always, 1 with a new subscription only, 2 never.
 */
rh?: (number | string | null)
/**
 * 1: subscribe as messages tell it.
 */
inputs?: (number | string | null)
}
