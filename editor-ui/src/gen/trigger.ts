/* Made by npm run gen: do not edit. */

/**
 * Sends a message at once and another one later; or blocks, or sends again and again.
 * 
 * What it waits for is kept through restarts and deploys; what came due meanwhile is sent at once. Messages that come
 * while it waits are ignored, unless they extend the wait. Text may hold `{{properties}}` of the message.
 * 
 * A message with `reset`, or with the payload chosen below, ends the wait and nothing is sent.
 */
export interface TriggerConfig {
/**
 * What is sent at once.
 */
op1?: string
/**
 * What is sent later.
 */
op2?: string
/**
 * Type of the first: also pay (the payload that came), nul (nothing), val (text, true, false or null).
 */
op1type?: string
/**
 * Type of the second: also payl (the latest message).
 */
op2type?: string
/**
 * How long it waits. 0 blocks until it is reset; a negative time sends the first message again and again.
 */
duration?: (number | string | null)
/**
 * Unit of that time.
 */
units?: ("ms" | "s" | "min" | "hr")
/**
 * Begin the wait anew with each message.
 */
extend?: (boolean | string | number | null)
/**
 * Let `msg.delay` say how long it waits, in milliseconds.
 */
overrideDelay?: (boolean | string | number | null)
/**
 * Payload that ends the wait, as text.
 */
reset?: (string | number | boolean | null)
/**
 * All messages together (`all`), or each topic for itself (`topic`).
 */
bytopic?: string
/**
 * Property that tells topics apart.
 */
topic?: string
/**
 * Number of outputs. With 2, the second message leaves on the second.
 */
outputs?: (number | string | null)
/**
 * When the source of a message hears that it is in good hands.
 */
ack?: ("accept" | "through")
}
