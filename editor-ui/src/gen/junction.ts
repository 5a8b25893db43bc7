/* Made by npm run gen: do not edit. */

/**
 * A point where wires meet.
 * 
 * Every message that comes in goes out as it is.
 */
export interface JunctionConfig {

}
