//! Slows down the guessing of passwords: each failure beyond a few doubles the wait, per account and per network.

use std::collections::HashMap;
use std::net::IpAddr;

use parking_lot::Mutex;

/// Failures that cost nothing, per account and per network.
const FREE_ACCOUNT: u32 = 5;
const FREE_NETWORK: u32 = 20;
const WAIT_MAX_MS: i64 = 300_000;
/// Failures this old are forgotten.
const FORGET_MS: i64 = 600_000;
/// Most accounts and networks remembered; the oldest go first.
const KEYS_MAX: usize = 10_000;

#[derive(Clone, Copy)]
struct Failures {
    count: u32,
    last: i64,
}

#[derive(Default)]
pub struct Throttle(Mutex<HashMap<String, Failures>>);

impl Throttle {
    /// # Errors
    /// How many seconds to wait.
    pub fn check(&self, account: &str, address: &str, now: i64) -> Result<(), u64> {
        let failures = self.0.lock();
        let wait_of = |entry: &Failures, free| match wait_ms(entry.count, free) {
            0 => 0,
            // A clock that was set back must not lock anybody out for long.
            wait => (entry.last + wait - now).min(wait),
        };
        let wait = keys(account, address)
            .iter()
            .filter_map(|(key, free)| failures.get(key).map(|entry| wait_of(entry, *free)))
            .max()
            .unwrap_or(0);
        if wait <= 0 { Ok(()) } else { Err(u64::try_from(wait).unwrap_or(0).div_ceil(1000)) }
    }

    pub fn failed(&self, account: &str, address: &str, now: i64) {
        let mut failures = self.0.lock();
        if failures.len() >= KEYS_MAX {
            failures.retain(|_, entry| now - entry.last < FORGET_MS);
        }
        if failures.len() >= KEYS_MAX {
            let oldest = failures.iter().min_by_key(|(_, entry)| entry.last).map(|(key, _)| key.clone());
            oldest.and_then(|key| failures.remove(&key));
        }
        for (key, _) in keys(account, address) {
            let entry = failures.entry(key).or_insert(Failures { count: 0, last: now });
            let count = if now - entry.last > FORGET_MS { 0 } else { entry.count };
            *entry = Failures { count: count.saturating_add(1), last: now };
        }
    }

    pub fn succeeded(&self, account: &str) {
        self.0.lock().remove(&format!("account {account}"));
    }
}

fn wait_ms(count: u32, free: u32) -> i64 {
    if count < free { 0 } else { (1000i64 << (count - free).min(20)).min(WAIT_MAX_MS) }
}

fn keys(account: &str, address: &str) -> [(String, u32); 2] {
    let account: String = account.chars().take(64).collect();
    [(format!("account {account}"), FREE_ACCOUNT), (format!("network {}", network(address)), FREE_NETWORK)]
}

/// The /24 or /64 of an address.
fn network(address: &str) -> String {
    match address.parse::<IpAddr>().map(|ip| ip.to_canonical()) {
        Ok(IpAddr::V4(ip)) => {
            let [a, b, c, _] = ip.octets();
            format!("{a}.{b}.{c}")
        }
        Ok(IpAddr::V6(ip)) => {
            let [a, b, c, d, ..] = ip.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}")
        }
        Err(_) => "local".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_sixth_try_has_to_wait_and_the_wait_grows() {
        let throttle = Throttle::default();
        for _ in 0..5 {
            throttle.check("anna", "10.0.0.1", 0).unwrap();
            throttle.failed("anna", "10.0.0.1", 0);
        }
        assert_eq!(throttle.check("anna", "10.0.0.2", 0), Err(1));
        assert_eq!(throttle.check("bert", "10.0.0.2", 0), Ok(()));
        throttle.failed("anna", "10.0.0.1", 1_000);
        assert_eq!(throttle.check("anna", "10.9.0.2", 1_000), Err(2));
        assert_eq!(throttle.check("anna", "10.9.0.2", 3_000), Ok(()));
    }

    #[test]
    fn one_network_cannot_try_many_accounts() {
        let throttle = Throttle::default();
        (0..20).for_each(|n| throttle.failed(&format!("user{n}"), "10.0.0.1", 0));
        assert!(throttle.check("fresh", "10.0.0.77", 0).is_err());
        assert!(throttle.check("fresh", "10.0.1.1", 0).is_ok());
    }

    #[test]
    fn a_success_clears_the_account() {
        let throttle = Throttle::default();
        (0..5).for_each(|_| throttle.failed("anna", "10.0.0.1", 0));
        throttle.succeeded("anna");
        assert!(throttle.check("anna", "10.0.0.1", 0).is_ok());
    }
}
