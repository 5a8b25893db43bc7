//! Days and months in UTC, as vendors count their quotas.

use tidewire_model::event::time::{format_rfc3339, parse_rfc3339};

use super::channel::Wait;

const DAY_MS: i64 = 86_400_000;

/// When the month of an instant began.
pub(super) fn month_start(ms: i64) -> i64 {
    let text = format_rfc3339(ms);
    text.get(..7).and_then(|month| parse_rfc3339(&format!("{month}-01T00:00:00Z"))).unwrap_or(ms)
}

/// When the next month begins.
pub(super) fn next_month(ms: i64) -> i64 {
    // 32 days after its first day every month is over, and the next one is not.
    month_start(month_start(ms) + 32 * DAY_MS)
}

/// The instant a wait ends.
pub(super) fn end_of(wait: Wait, now_ms: i64, blind_ms: i64) -> i64 {
    match wait {
        Wait::Blind => now_ms + blind_ms,
        Wait::For(ms) => now_ms + ms,
        // A vendor's clock may be behind ours.
        Wait::Until(ms) => ms.max(now_ms + 1_000),
        Wait::NextDay => now_ms.div_euclid(DAY_MS) * DAY_MS + DAY_MS,
        Wait::NextMonth => next_month(now_ms),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn months_and_days_end_when_the_calendar_says() {
        let at = |text: &str| parse_rfc3339(text).unwrap();
        assert_eq!(next_month(at("2026-01-31T23:59:59.999Z")), at("2026-02-01T00:00:00Z"));
        assert_eq!(next_month(at("2026-12-01T00:00:00Z")), at("2027-01-01T00:00:00Z"));
        assert_eq!(month_start(at("2024-02-29T12:00:00Z")), at("2024-02-01T00:00:00Z"));
        assert_eq!(end_of(Wait::NextDay, at("2026-03-04T05:06:07Z"), 0), at("2026-03-05T00:00:00Z"));
        assert_eq!(end_of(Wait::Until(5), 10_000, 0), 11_000);
    }
}
