/* Made by npm run gen: do not edit. */

/**
 * Holds messages back: each for a time, or all together to a rate.
 * 
 * A message that waits is kept through restarts and deploys; one whose time came meanwhile leaves at once. With a rate,
 * the first message passes at once and the others follow one per interval; or what comes too soon is left out. The queue
 * modes keep the latest message of each topic.
 * 
 * A message with `reset` drops what waits; one with `flush` sends it now, all of it or as many messages as the number
 * says. `toFront` (true) puts a message first where there is a rate.
 */
export interface DelayConfig {
/**
 * How long messages wait.
 */
pauseType?: ("delay" | "delayv" | "random" | "rate" | "queue" | "timed")
/**
 * Time that each message waits.
 */
timeout?: (number | string | null)
/**
 * Unit of that time.
 */
timeoutUnits?: ("milliseconds" | "seconds" | "minutes" | "hours" | "days")
/**
 * Number of messages per interval.
 */
rate?: (number | string | null)
/**
 * Length of the interval.
 */
nbRateUnits?: (number | string | null)
/**
 * Unit of the interval.
 */
rateUnits?: ("second" | "minute" | "hour" | "day")
/**
 * Shortest wait.
 */
randomFirst?: (number | string | null)
/**
 * Longest wait.
 */
randomLast?: (number | string | null)
/**
 * Unit of both.
 */
randomUnits?: ("milliseconds" | "seconds" | "minutes" | "hours" | "days")
/**
 * Leave out what comes too soon, rather than let it wait.
 */
drop?: (boolean | string | number | null)
/**
 * Let `msg.rate` set the interval, in milliseconds.
 */
allowrate?: (boolean | string | number | null)
/**
 * Number of outputs. With 2, what is left out or replaced leaves on the second.
 */
outputs?: (number | string | null)
/**
 * When the source of a message hears that it is in good hands.
 */
ack?: ("accept" | "through")
}
