/* Made by npm run gen: do not edit. */

/**
 * Which events.
 */
export interface EventsQuery {
/**
 * Name of a stream; `*` stands for any run of characters.
 */
stream?: (string | null)
/**
 * What stands before the first `-` of a stream's name.
 */
category?: (string | null)
/**
 * Event types, separated by commas; `*` stands for any run of characters.
 */
type?: (string | null)
/**
 * Only events after this position (with `order=desc`: before it).
 */
after?: (number | null)
/**
 * Recorded at or after: RFC 3339, or milliseconds since 1970.
 */
from?: (string | null)
/**
 * Recorded before.
 */
to?: (string | null)
/**
 * Before this position.
 */
before?: (string | null)
/**
 * The correlation id: what a whole chain has in common.
 */
correlation?: (string | null)
/**
 * The causation id: the event or command that led to the events.
 */
causation?: (string | null)
/**
 * A condition on each event, such as `data.temperature > 25 && subject.starts_with("thing-")`: a rhai expression
 * over the attributes of the event and its data.
 */
filter?: (string | null)
/**
 * Text within stream, type or data.
 */
q?: (string | null)
/**
 * `asc` (default) or `desc`.
 */
order?: (string | null)
/**
 * How many at most. An export has no limit unless one is named.
 */
limit?: (number | null)
cursor?: (string | null)
/**
 * `json` (pages, the default), `batch` (pages as CloudEvents batches; the next one in the header `Link`), `ndjson` or
 * `csv` (everything, streamed).
 */
format?: (string | null)
/**
 * 1: in the form in which they were stored, not in that of the latest schema. Pages only.
 */
raw?: (string | null)
/**
 * Columns of CSV, separated by commas: attributes of the event, `data`, `extensions`, or a path such as
 * `data.temperature` or `extensions.traceparent`.
 */
columns?: (string | null)
/**
 * Where following begins: `now` (default), `beginning`, `checkpoint:NAME`, a position, or a time.
 */
start?: (string | null)
/**
 * Socket only: the name under which what was acknowledged is kept, and from where it goes on.
 */
durable?: (string | null)
/**
 * Socket only: how many events may be under way before the client acknowledges with `{"ack":POSITION}`.
 */
window?: (number | null)
}
