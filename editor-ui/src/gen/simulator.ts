/* Made by npm run gen: do not edit. */

/**
 * Virtual things that speak MQTT like real ones, to try flows without hardware.
 * 
 * The readings depend on the seed and the time alone: the same seed gives the same readings.
 */
export interface SimulatorConfig {
/**
 * Connection to the broker on which the things publish.
 */
broker?: string
/**
 * The things.
 */
things?: {
/**
 * Identity, part of its topics.
 */
id?: string
/**
 * What it is.
 */
kind?: ("soil" | "temperature" | "humidity" | "door" | "valve")
/**
 * Seconds between readings.
 */
every?: (number | string | null)
/**
 * Soil: identity of the valve that waters it; empty means the first valve.
 */
valve?: string
}[]
/**
 * How they speak.
 */
convention?: ("plain" | "homie")
/**
 * First part of all topics; empty means `sim`, or `homie` for that convention.
 */
prefix?: string
/**
 * Number from which all readings are drawn.
 */
seed?: (number | string | null)
/**
 * How much faster than in reality soil dries, rooms warm up and doors move. The pace of the readings stays.
 */
speed?: (number | string | null)
}
