/* Made by npm run gen: do not edit. */

/**
 * A note on the canvas.
 * 
 * Its name is the headline; the text below is shown in the info panel. It has no behaviour.
 */
export interface CommentConfig {
/**
 * The note, in Markdown.
 */
info?: string
}
