/* Made by npm run gen: do not edit. */

/**
 * Why a request failed.
 */
export interface ProblemDetails {
type: string
/**
 * The kind of problem in a few words.
 */
title: string
status: number
/**
 * Stable word for programs.
 */
code: string
/**
 * What happened and how to mend it.
 */
detail: string
/**
 * The same text under the name Node-RED's tools look for.
 */
message: string
[k: string]: unknown
}
