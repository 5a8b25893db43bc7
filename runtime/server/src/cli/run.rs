//! `tidewire run`: the server.

use super::Outcome;
use crate::settings::Settings;
use crate::{serve, telemetry};

pub(super) fn run(settings: Settings) -> Outcome {
    telemetry::start(&settings.log_level);
    Ok(serve::run(settings)?)
}
