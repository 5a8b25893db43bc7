//! When an inject node sends by itself.

use croner::Cron;
use croner::parser::{CronParser, Seconds};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tidewire_model::Problem;

/// Longest interval that Node-RED takes, in seconds.
const REPEAT_MAX_S: f64 = 2_147_483.0;

/// Intervals, a cron pattern, or neither.
pub(super) enum Schedule {
    Never,
    Every(i64),
    Cron(Box<Cron>),
}

impl Schedule {
    /// Parses what the user gave; the pattern counts only when there is no interval.
    ///
    /// # Errors
    /// An interval that is none, or a pattern that cannot be read.
    pub(super) fn parse(repeat: &str, crontab: &str) -> Result<Schedule, Problem> {
        if !repeat.trim().is_empty() {
            let seconds: f64 = repeat
                .trim()
                .parse()
                .map_err(|_| Problem::error("/repeat", format!("\"{repeat}\" is no number of seconds")))?;
            if seconds > REPEAT_MAX_S {
                let text = format!("the interval may be at most {REPEAT_MAX_S} seconds; use a schedule instead");
                return Err(Problem::error("/repeat", text));
            }
            if seconds > 0.0 {
                return Ok(Schedule::Every(((seconds * 1000.0) as i64).max(1)));
            }
        }
        if crontab.trim().is_empty() {
            return Ok(Schedule::Never);
        }
        let parser = CronParser::builder().seconds(Seconds::Optional).build();
        parser.parse(crontab.trim()).map(|cron| Schedule::Cron(Box::new(cron))).map_err(|error| {
            Problem::error("/crontab", format!("\"{crontab}\" is no schedule of five or six fields: {error}"))
        })
    }

    /// The next time after `from_ms`. Times that have passed while nobody ran are left out.
    pub(super) fn after(&self, from_ms: i64, now_ms: i64) -> Option<i64> {
        match self {
            Schedule::Never => None,
            Schedule::Every(interval) => {
                let next = from_ms + interval;
                Some(if next > now_ms { next } else { now_ms + interval })
            }
            Schedule::Cron(cron) => {
                let from = Timestamp::from_millisecond(now_ms).ok()?.to_zoned(TimeZone::system());
                let next = cron.find_next_occurrence(&from, false).ok()?;
                Some(next.timestamp().as_millisecond())
            }
        }
    }
}
