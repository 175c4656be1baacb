//! Ranges of IP addresses, as `--trusted-proxy` names them, and the client's address behind trusted proxies.

use std::{fmt, net::IpAddr, str::FromStr};

use ipnet::IpNet;

/// One IP address, or a range in CIDR notation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressRange(IpNet);

impl AddressRange {
    /// Whether the range contains an address. An IPv4-mapped IPv6 address counts as the IPv4 address.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

/// A text is neither an IP address nor a range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an address like 10.0.0.1, or a range like 10.0.0.0/8")]
pub struct NotARange(String);

impl FromStr for AddressRange {
    type Err = NotARange;

    fn from_str(text: &str) -> Result<Self, NotARange> {
        let range = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        range.map(Self).map_err(|_| NotARange(text.to_owned()))
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The client's address behind trusted proxies: the last one in `X-Forwarded-For` that is not itself a trusted proxy.
pub(crate) fn client_address(peer: IpAddr, forwarded_for: &str, trusted: &[AddressRange]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|range| range.contains(address));
    let mut last = peer.to_canonical();
    for hop in forwarded_for.rsplit(',') {
        if !is_trusted(last) {
            break;
        }
        // Whatever stands before an unreadable entry cannot be trusted.
        let Ok(address) = hop.trim().parse::<IpAddr>() else { break };
        last = address.to_canonical();
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> AddressRange {
        text.parse().unwrap()
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_range_contains_the_addresses_that_share_its_prefix() {
        assert!(
            range("10.0.0.0/8").contains(address("10.255.0.1")) && !range("10.0.0.0/8").contains(address("11.0.0.1"))
        );
        assert!(
            range("10.0.0.1").contains(address("::ffff:10.0.0.1")) && !range("10.0.0.1").contains(address("10.0.0.2"))
        );
        assert!(range("fd00::/8").contains(address("fd12::1")) && !range("fd00::/8").contains(address("fe00::1")));
        assert!(range("0.0.0.0/0").contains(address("1.2.3.4")) && !range("0.0.0.0/0").contains(address("::1")));
        assert!(range("::/0").contains(address("fe00::1")));
        for bad in ["", "10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.1/", "proxy"] {
            assert!(bad.parse::<AddressRange>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_client_address_is_read_only_from_what_trusted_proxies_added() {
        let trusted = [range("10.0.0.0/8")];
        let client = |peer, header| client_address(address(peer), header, &trusted).to_string();
        assert_eq!(client("192.0.2.1", "203.0.113.9"), "192.0.2.1", "any client can write the header");
        assert_eq!(
            client("10.0.0.1", "198.51.100.1, 203.0.113.9"),
            "203.0.113.9",
            "the client wrote the entries before it"
        );
        assert_eq!(client("10.0.0.1", "203.0.113.9, 10.0.0.2"), "203.0.113.9");
        assert_eq!(client("10.0.0.1", ""), "10.0.0.1");
        assert_eq!(client("10.0.0.1", "203.0.113.9, nonsense"), "10.0.0.1");
    }
}
