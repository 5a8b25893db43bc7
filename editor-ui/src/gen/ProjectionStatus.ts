/* Made by npm run gen: do not edit. */

/**
 * A read model with what is kept beside it.
 */
export interface ProjectionStatus {
name: string
/**
 * Events up to here have taken effect.
 */
position: number
/**
 * How many events it is behind.
 */
lag: number
/**
 * Events that could not be applied.
 */
parked: number
/**
 * How many keys it has.
 */
keys: number
/**
 * Progress from 0 to 1 while it is built anew.
 */
building?: (number | null)
/**
 * Events per second at which it is built.
 */
build_rate?: (number | null)
/**
 * Seconds until the build is done, as far as is known.
 */
build_eta?: (number | null)
/**
 * The new build is complete and waits to be swapped in.
 */
ready: boolean
/**
 * Why it stands still, if it does.
 */
failed?: (string | null)
/**
 * Whether a node keeps it up to date.
 */
kept: boolean
/**
 * Positions of its snapshots: from there on it can be looked back at quickly.
 */
snapshots: number[]
/**
 * It was begun from a snapshot that stands here; 0: from the first event.
 */
begun_from: number
/**
 * Events up to here may have been removed by retention; 0: all are there.
 */
thinned: number
/**
 * What it lacks because retention removed it first.
 */
gap?: ({
/**
 * Everything up to here has taken effect.
 */
after: number
/**
 * Of what lies between, it knows what retention has left; all that comes later has taken effect.
 */
through: number
/**
 * Why that is so, and what can be done.
 */
reason: string
} | null)
/**
 * What the last new build changed, or what the one that waits would change.
 */
comparison?: ({
old_position: number
new_position: number
old_keys: number
new_keys: number
/**
 * How many keys have another value, or are in one of them only.
 */
different: number
/**
 * The first of them.
 */
sample: {
key: string
/**
 * Null: there was none.
 */
old: {
[k: string]: unknown
}
new: unknown
}[]
} | null)
}
