/* Made by npm run gen: do not edit. */

/**
 * Shows messages in the debug panel, in the log, or under itself.
 * 
 * It shows one property of each message (`payload` by default) or the whole message. Its button switches the debug
 * panel output on and off; the log and the status below the node are not affected by it.
 */
export interface DebugConfig {
/**
 * Show messages in the debug panel.
 */
active?: (boolean | string | number | null)
/**
 * Send to the debug panel at all.
 */
tosidebar?: (boolean | string | number | null)
/**
 * Also write to the log.
 */
console?: (boolean | string | number | null)
/**
 * Also show a short form under the node.
 */
tostatus?: (boolean | string | number | null)
/**
 * What to show: a property of the message, `true` for the whole message, `false` for its payload.
 */
complete?: string
/**
 * `msg` for a property, `full` for the whole message.
 */
targetType?: (string | null)
/**
 * Property shown under the node, with the status type `msg`.
 */
statusVal?: string
/**
 * What stands under the node: `auto` (the value shown), `counter` (how many messages), `msg` (a property).
 */
statusType?: string
}
