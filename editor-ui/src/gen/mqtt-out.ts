/* Made by npm run gen: do not edit. */

/**
 * Sends messages to an MQTT broker.
 * 
 * The payload is sent as text or bytes; objects as JSON. What is left empty here is taken from the message: `topic`,
 * `qos`, `retain`, and with MQTT 5 `responseTopic`, `contentType`, `userProperties`, `correlationData` and
 * `messageExpiryInterval`. A message without a payload is not sent.
 * 
 * While the broker is away messages wait; those of QoS 1 and 2 until the broker has confirmed them, of QoS 0 the
 * newest are kept. A message with `action` `connect` or `disconnect` does that instead.
 */
export interface MqttOutConfig {
/**
 * Connection to the broker.
 */
broker?: string
/**
 * Topic to publish to; empty: that of the message.
 */
topic?: string
/**
 * Guarantee: 0 at most once, 1 at least once, 2 exactly once; empty: that of the message, else 0.
 */
qos?: (string | number | boolean | null)
/**
 * Have the broker keep the message for later subscribers: true, false, or empty for that of the message.
 */
retain?: (string | number | boolean | null)
/**
 * MQTT 5: where an answer should go.
 */
respTopic?: string
/**
 * MQTT 5: MIME type of the payload.
 */
contentType?: string
/**
 * MQTT 5: user properties, as a JSON object.
 */
userProps?: string
/**
 * MQTT 5: ties an answer to its request.
 */
correl?: (string | number | boolean | null)
/**
 * MQTT 5: seconds after which the message is of no use.
 */
expiry?: (number | string | null)
}
