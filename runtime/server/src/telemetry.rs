//! The server's own log, on standard error.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// Libraries that tell more at `info` than a user wants to read. They come first, so that the user's filter wins.
const QUIET: &str = "mqtt5=warn";

/// Starts logging. `filter` is what `--log-level` takes; one that does not parse means `info`.
pub fn start(filter: &str) {
    let filter = EnvFilter::try_new(format!("{QUIET},{filter}")).unwrap_or_else(|_| EnvFilter::new("info"));
    let colours = std::io::stderr().is_terminal();
    let logger = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colours)
        .with_target(false);
    // A second start, as tests may do, keeps the first.
    let _ = logger.try_init();
}
