//! Which addresses nodes may reach.
//!
//! Pure: it looks at addresses, never at names, so that no spelling and no DNS answer gets around it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What an installation allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Private networks such as 192.168.0.0/16. A home needs them; a host for many tenants must not open them.
    pub private: bool,
    /// Loopback, when the URL itself names it.
    pub loopback: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Policy { private: true, loopback: true }
    }
}

/// An address that may not be reached, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error(
        "the address {0} belongs to this machine; requests to it must name it in the URL, as localhost or 127.0.0.1"
    )]
    Loopback(IpAddr),
    #[error("the address {0} is link-local or a cloud's metadata service; nodes may not reach it")]
    LinkLocal(IpAddr),
    #[error("the address {0} is in a private network, which this installation does not open to nodes")]
    Private(IpAddr),
    #[error("the address {0} is no address of a server")]
    Unusable(IpAddr),
}

/// Metadata services that are not link-local: Amazon over IPv6, Alibaba, Oracle.
const METADATA: [IpAddr; 3] = [
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
];

impl Policy {
    /// Whether `ip` may be reached. `named`: the URL itself says so, by number or as `localhost`.
    ///
    /// # Errors
    /// Why not.
    pub fn check(self, ip: IpAddr, named: bool) -> Result<(), Refusal> {
        let ip = plain(ip);
        if METADATA.contains(&ip) || is_link_local(ip) {
            return Err(Refusal::LinkLocal(ip));
        }
        if is_unusable(ip) {
            return Err(Refusal::Unusable(ip));
        }
        if ip.is_loopback() && !(named && self.loopback) {
            return Err(Refusal::Loopback(ip));
        }
        if is_private(ip) && !self.private {
            return Err(Refusal::Private(ip));
        }
        Ok(())
    }
}

/// The IPv4 address behind the IPv6 forms that carry one: mapped, compatible, NAT64 and 6to4.
fn plain(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = ip else { return ip };
    if let Some(v4) = v6.to_ipv4_mapped() {
        return IpAddr::V4(v4);
    }
    let from_parts = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match v6.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => from_parts(high, low),
        [0x64, 0xff9b, 1, _, _, _, high, low] => from_parts(high, low),
        [0x2002, high, low, ..] => from_parts(high, low),
        [0, 0, 0, 0, 0, 0, high, low] if (high, low) != (0, 0) && (high, low) != (0, 1) => from_parts(high, low),
        _ => ip,
    }
}

fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

fn is_unusable(ip: IpAddr) -> bool {
    match ip {
        // 0.0.0.0/8 reaches this machine on Linux; 240.0.0.0/4 is reserved, its end is broadcast.
        IpAddr::V4(v4) => {
            let [first, ..] = v4.octets();
            first == 0 || first >= 224
        }
        IpAddr::V6(v6) => v6.is_unspecified() || v6.is_multicast(),
    }
}

fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_private() || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(v6) => v6.is_unique_local(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn check(ip: &str, named: bool) -> Result<(), Refusal> {
        Policy::default().check(ip.parse().unwrap(), named)
    }

    #[test]
    fn loopback_has_to_be_named() {
        assert!(check("127.0.0.1", true).is_ok());
        assert!(check("::1", true).is_ok());
        for ip in ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"] {
            assert!(matches!(check(ip, false), Err(Refusal::Loopback(_))), "{ip}");
        }
    }

    #[test]
    fn metadata_and_link_local_are_never_reached_in_any_spelling() {
        for ip in [
            "169.254.169.254",
            "169.254.1.1",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "fe80::1",
            "fd00:ec2::254",
            "100.100.100.200",
            "192.0.0.192",
        ] {
            assert!(matches!(check(ip, true), Err(Refusal::LinkLocal(_))), "{ip}");
        }
    }

    #[test]
    fn private_networks_follow_the_policy() {
        let closed = Policy { private: false, ..Policy::default() };
        for ip in ["192.168.1.4", "10.0.0.1", "172.16.0.1", "100.64.0.1", "fd12::1", "::ffff:10.0.0.1"] {
            assert!(check(ip, false).is_ok(), "{ip}");
            assert!(matches!(closed.check(ip.parse().unwrap(), true), Err(Refusal::Private(_))), "{ip}");
        }
        for ip in ["0.0.0.0", "::", "224.0.0.1", "255.255.255.255", "ff02::1"] {
            assert!(matches!(check(ip, true), Err(Refusal::Unusable(_))), "{ip}");
        }
        assert!(check("93.184.216.34", false).is_ok() && check("2606:2800:220:1::1", false).is_ok());
    }
}
