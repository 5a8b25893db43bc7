//! The rate: when the next message may leave.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tidewire_node_api::Ctx;

/// Name of the record.
const RECORD: &str = "pace";

/// Intervals from which on a restart must not forget when the last message left.
const KEPT_FROM_MS: f64 = 1_000.0;

/// Intervals below this are kept on average, since clocks and timers count whole milliseconds.
const SHORT_MS: f64 = 20.0;

/// Longest interval.
const RATE_MAX_MS: f64 = 1e14;

pub(super) struct Pace {
    configured: f64,
    /// Interval in milliseconds; `msg.rate` may have set it.
    rate: f64,
    /// When the last message left, or the last tick was. None: the next may leave at once.
    last: Option<f64>,
    /// Ticks go on whether or not a message waits.
    ticks: bool,
    /// What stands in the record.
    kept: Option<(f64, f64)>,
}

impl Pace {
    pub(super) fn new(rate_ms: f64) -> Self {
        // No rate at all is no limit that anybody wants: Node-RED makes a millisecond of it.
        let rate = if rate_ms.is_finite() { rate_ms.clamp(0.0, RATE_MAX_MS) } else { 1.0 };
        Pace { configured: rate, rate, last: None, ticks: false, kept: None }
    }

    /// Reads what the last instance left.
    pub(super) fn start(&mut self, ticks: bool, ctx: &Ctx<'_>) {
        self.ticks = ticks;
        let record = ctx.kept().into_iter().find(|(key, _)| key == RECORD);
        let kept = record.and_then(|(_, mut bytes)| Some((bytes.try_get_f64_le().ok()?, bytes.try_get_f64_le().ok()?)));
        if let Some((last, rate)) = kept {
            // The clock may have been set back.
            self.last = Some(last.min(ctx.now_ms() as f64));
            if rate > 0.0 {
                self.rate = rate;
            }
            self.kept = kept;
        } else if ticks {
            self.begin(ctx.now_ms());
            self.keep(ctx);
        }
    }

    /// The next message has to wait.
    pub(super) fn busy(&self, now_ms: i64) -> bool {
        self.last.is_some_and(|last| (now_ms as f64) < last + self.rate)
    }

    /// When the next message may leave.
    pub(super) fn next(&self, now_ms: i64) -> i64 {
        let Some(last) = self.last else { return now_ms };
        (last + self.rate).min(last + RATE_MAX_MS).ceil() as i64
    }

    /// Ticks that had nothing to send are skipped: the next one after `now_ms` counts.
    pub(super) fn catch_up(&mut self, now_ms: i64) {
        let now = now_ms as f64;
        if let Some(last) = self.last.filter(|last| now >= last + self.rate && self.rate > 0.0) {
            self.last = Some(last + ((now - last) / self.rate).floor() * self.rate);
        }
    }

    /// The interval begins now.
    pub(super) fn begin(&mut self, now_ms: i64) {
        self.last = Some(now_ms as f64);
    }

    /// A message leaves now.
    pub(super) fn sent(&mut self, now_ms: i64) {
        let now = now_ms as f64;
        self.last = Some(match self.last {
            Some(last) if self.rate < SHORT_MS => (last + self.rate).max(now - SHORT_MS),
            _ => now,
        });
    }

    /// The next message may leave at once.
    pub(super) fn idle(&mut self) {
        self.last = None;
    }

    /// True if the rate is another one now.
    pub(super) fn set_rate(&mut self, rate_ms: f64) -> bool {
        let rate = rate_ms.clamp(0.0, RATE_MAX_MS);
        let changed = rate != self.rate;
        self.rate = rate;
        changed
    }

    pub(super) fn reset_rate(&mut self) {
        self.rate = self.configured;
    }

    /// Keeps what a restart must not forget, if it changed.
    pub(super) fn keep(&mut self, ctx: &Ctx<'_>) {
        let set = if self.rate == self.configured { 0.0 } else { self.rate };
        let worth = self.rate >= KEPT_FROM_MS || set > 0.0;
        let wanted = self.last.filter(|_| worth).map(|last| (last, set));
        if wanted == self.kept {
            return;
        }
        self.kept = wanted;
        let record = wanted.map(|(last, set)| {
            let mut out = BytesMut::with_capacity(16);
            out.put_f64_le(last);
            out.put_f64_le(set);
            Bytes::from(out)
        });
        ctx.keep(RECORD, record, None);
    }
}
