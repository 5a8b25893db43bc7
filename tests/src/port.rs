//! Free TCP ports below the range from which the kernel takes the ports of outgoing connections.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A port nobody listens on. Each call gives another one.
pub fn free() -> u16 {
    let offset = std::process::id().wrapping_mul(97);
    for _ in 0..10_000 {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = u16::try_from(20_000 + offset.wrapping_add(step) % 10_000).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port between 20000 and 29999");
}
