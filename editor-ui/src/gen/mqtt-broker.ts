/* Made by npm run gen: do not edit. */

/**
 * A connection to an MQTT broker.
 * 
 * It is opened when a node uses it, and opened again when it is lost. Messages that are sent meanwhile wait; those of
 * QoS 1 and 2 are kept until the broker has confirmed them.
 * 
 * With **Clean session** off and a client id, the broker keeps messages of QoS 1 and 2 while the connection is away.
 */
export interface MqttBrokerConfig {
/**
 * Name or address of the broker, or a URL such as `mqtts://hub.example:8883`.
 */
broker?: string
/**
 * TCP port; 1883, or 8883 with TLS.
 */
port?: (number | string | null)
/**
 * Connect as soon as a node uses it. Otherwise a message with `action` `connect` does.
 */
autoConnect?: (boolean | string | number | null)
/**
 * Encrypt the connection.
 */
usetls?: (boolean | string | number | null)
/**
 * Refuse a broker whose certificate is not valid.
 */
verifyservercert?: (boolean | string | number | null)
/**
 * Id of a TLS configuration node. Not supported yet: the certificates of the operating system are used.
 */
tls?: string
/**
 * MQTT version: 4 is 3.1.1, 5 is 5.0.
 */
protocolVersion?: (string | number | boolean | null)
/**
 * Name under which the broker knows this client; empty: a made-up one.
 */
clientid?: string
/**
 * Seconds between signs of life.
 */
keepalive?: (number | string | null)
/**
 * Let the broker forget this client when the connection ends.
 */
cleansession?: (boolean | string | number | null)
/**
 * Unsubscribe when a node stops.
 */
autoUnsubscribe?: (boolean | string | number | null)
/**
 * What happens to a message of QoS 1 or 2 that a flow failed on.
 */
onFailed?: ("acknowledge" | "redeliver")
/**
 * MQTT 5: seconds for which the broker keeps the session.
 */
sessionExpiry?: (number | string | null)
/**
 * MQTT 5: user properties of the connection.
 */
userProps?: {
[k: string]: unknown
}
/**
 * Published after each connect: topic. Empty: nothing.
 */
birthTopic?: string
/**
 * Published after each connect: QoS.
 */
birthQos?: (number | string | null)
/**
 * Published after each connect: kept by the broker.
 */
birthRetain?: (boolean | string | number | null)
/**
 * Published after each connect: payload.
 */
birthPayload?: (string | number | boolean | null)
/**
 * Published after each connect: MQTT 5 properties.
 */
birthMsg?: {
[k: string]: unknown
}
/**
 * Published before a wanted disconnect: topic. Empty: nothing.
 */
closeTopic?: string
/**
 * Published before a wanted disconnect: QoS.
 */
closeQos?: (number | string | null)
/**
 * Published before a wanted disconnect: kept by the broker.
 */
closeRetain?: (boolean | string | number | null)
/**
 * Published before a wanted disconnect: payload.
 */
closePayload?: (string | number | boolean | null)
/**
 * Published before a wanted disconnect: MQTT 5 properties.
 */
closeMsg?: {
[k: string]: unknown
}
/**
 * Published by the broker when the connection is lost: topic. Empty: nothing.
 */
willTopic?: string
/**
 * Published by the broker when the connection is lost: QoS.
 */
willQos?: (number | string | null)
/**
 * Published by the broker when the connection is lost: kept by the broker.
 */
willRetain?: (boolean | string | number | null)
/**
 * Published by the broker when the connection is lost: payload.
 */
willPayload?: (string | number | boolean | null)
/**
 * Published by the broker when the connection is lost: MQTT 5 properties.
 */
willMsg?: {
[k: string]: unknown
}
/**
 * User name, if the broker asks for one. Stored encrypted, never in the flow.
 */
user?: {
[k: string]: unknown
}
/**
 * Password, if the broker asks for one. Stored encrypted, never in the flow.
 */
password?: {
[k: string]: unknown
}
}
