/* Made by npm run gen: do not edit. */

/**
 * A member that was heard of within a day.
 */
export interface GroupMember {
name: string
in_flight: number
/**
 * When it was heard of last, milliseconds since 1970.
 */
seen: number
}
