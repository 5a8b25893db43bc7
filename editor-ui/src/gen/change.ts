/* Made by npm run gen: do not edit. */

/**
 * Sets, changes, deletes and moves properties of messages, and values of the flow and global context.
 * 
 * The rules are applied in order. **Set** gives a property a value; **change** searches in text and replaces;
 * **delete** removes; **move** renames or moves. Missing objects on the way are created.
 * 
 * In a replacement by regular expression `$1` stands for the first group and `$&` for all that was found.
 */
export interface ChangeConfig {
/**
 * The rules, applied in order.
 */
rules?: ({
/**
 * What to do: set, change, delete or move.
 */
t?: string
/**
 * The property.
 */
p?: string
/**
 * Where it is: msg, flow or global.
 */
pt?: (string | null)
/**
 * The new value, or where the property goes.
 */
to?: {
[k: string]: unknown
}
/**
 * Its type: str num bool json bin date env msg flow or global.
 */
tot?: (string | null)
/**
 * What is searched for.
 */
from?: {
[k: string]: unknown
}
/**
 * Its type: str num bool re env msg flow or global.
 */
fromt?: (string | null)
/**
 * Old form of the type `re`.
 */
re?: (boolean | string | number | null)
/**
 * Copy the value deeply. Values are never shared for writing here, so it changes nothing.
 */
dc?: (boolean | string | number | null)
}[] | null)
/**
 * Old form of one rule: replace, change, delete or move.
 */
action?: string
/**
 * Old form of one rule: the property.
 */
property?: string
/**
 * Old form of one rule: what is searched for.
 */
from?: (string | number | boolean | null)
/**
 * Old form of one rule: the value.
 */
to?: (string | number | boolean | null)
/**
 * Old form of one rule: `from` is a regular expression.
 */
reg?: (boolean | string | number | null)
}
