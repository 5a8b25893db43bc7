//! The API as a page to read: made on the server, without scripts and without anything from elsewhere.

use std::fmt::Write as _;

use crate::auth::Permission;
use crate::web::route::Route;

/// Its style sheet.
pub const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}\
table{border-collapse:collapse;width:100%}\
td,th{text-align:left;padding:.4rem .6rem;border-bottom:1px solid color-mix(in srgb,currentColor 20%,transparent);vertical-align:top}\
code{font:14px/1.5 ui-monospace,monospace;overflow-wrap:anywhere}\
.method{font-weight:600}\
.overflow{overflow-x:auto}";

/// The page.
pub fn page(routes: &[Route]) -> String {
    let mut rows = String::new();
    let mut sorted: Vec<&Route> = routes.iter().collect();
    sorted.sort_by_key(|route| route.path);
    for route in sorted {
        let method = if route.socket { "WebSocket" } else { route.method.as_str() };
        let needs = if route.permission == Permission::Public { "nothing" } else { route.permission.phrase() };
        // Writing to a string cannot fail.
        let _ = write!(
            rows,
            "<tr><td class=method>{method}</td><td><code>{}</code></td><td>{}</td><td>{}</td></tr>",
            escape(route.path),
            escape(route.summary),
            escape(needs)
        );
    }
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>Tidewire API</title><link rel=stylesheet href=/api/docs.css><h1>Tidewire API</h1>\
         <p>Schemas of bodies and parameters stand in <a href=/api/openapi.json>openapi.json</a> (OpenAPI 3.1). Errors \
         are RFC 9457 problems with a stable <code>code</code>. Programs send an API token as <code>Authorization: \
         Bearer tw_…</code>.</p><div class=overflow><table><thead><tr><th>Method<th>Path<th>What it does<th>Right it \
         needs</tr></thead><tbody>{rows}</tbody></table></div></html>"
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
