/* Made by npm run gen: do not edit. */

/**
 * Takes a message apart into a sequence of messages.
 * 
 * Text and bytes are cut at a separator or into pieces of a length, arrays into items or groups of items, objects into
 * properties. Each part is a message of its own and tells its place in `msg.parts`; join puts them together again.
 * 
 * As a stream, what is left over at the end goes before the next message; it is kept through restarts.
 */
export interface SplitConfig {
/**
 * Separator of text and bytes (`\n`, `\r` and `\t` are known; bytes as `[13,10]`), or length of the pieces.
 */
splt?: (string | number | boolean | null)
/**
 * How text and bytes are cut.
 */
spltType?: ("str" | "bin" | "len")
/**
 * Items of an array in each part; one item is sent as it is.
 */
arraySplt?: (number | string | null)
/**
 * How arrays are cut: `len`.
 */
arraySpltType?: string
/**
 * What is left over goes before the next message.
 */
stream?: (boolean | string | number | null)
/**
 * Property that takes the name of each property of an object; empty for none.
 */
addname?: string
/**
 * What is taken apart.
 */
property?: string
/**
 * When the source of a message hears that what is left of it is in good hands.
 */
ack?: ("accept" | "through")
}
