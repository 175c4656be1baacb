//! Ranges of addresses, as `--trusted-proxy` names them: which neighbour is believed.

use std::{fmt, net::IpAddr, str::FromStr};

/// An address, or all that begin with the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressRange {
    base: IpAddr,
    bits: u32,
}

impl AddressRange {
    /// Whether an address is one of them. An IPv4 address in IPv6's clothes is the IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                same_beginning(u32::from(base).into(), u32::from(address).into(), 32 - self.bits)
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => same_beginning(base.into(), address.into(), 128 - self.bits),
            _ => false,
        }
    }
}

fn same_beginning(one: u128, other: u128, ignored: u32) -> bool {
    (one ^ other).checked_shr(ignored).unwrap_or(0) == 0
}

impl FromStr for AddressRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fail = || format!("{text:?} is not an address like 10.0.0.1, or a range like 10.0.0.0/8");
        let (base, bits) = match text.split_once('/') {
            Some((base, bits)) => (base, Some(bits.parse::<u32>().map_err(|_| fail())?)),
            None => (text, None),
        };
        let base: IpAddr = base.parse().map_err(|_| fail())?;
        let most = if base.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(most);
        if bits > most {
            return Err(fail());
        }
        Ok(Self { base, bits })
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.bits)
    }
}

/// Who really asks, seen through proxies that are believed: the last name in `X-Forwarded-For` that is not one of them.
pub fn seen_through(peer: IpAddr, forwarded_for: &str, trusted: &[AddressRange]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|range| range.contains(address));
    let mut last = peer.to_canonical();
    for hop in forwarded_for.rsplit(',') {
        if !is_trusted(last) {
            break;
        }
        // What a trusted proxy passed on unread ends what can be known.
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
    fn a_range_holds_what_begins_like_it() {
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
    fn only_what_a_trusted_proxy_added_says_who_asks() {
        let trusted = [range("10.0.0.0/8")];
        let seen = |peer, header| seen_through(address(peer), header, &trusted).to_string();
        assert_eq!(seen("192.0.2.1", "203.0.113.9"), "192.0.2.1", "anybody can write the header");
        assert_eq!(seen("10.0.0.1", "198.51.100.1, 203.0.113.9"), "203.0.113.9", "what is left of it the client wrote");
        assert_eq!(seen("10.0.0.1", "203.0.113.9, 10.0.0.2"), "203.0.113.9");
        assert_eq!(seen("10.0.0.1", ""), "10.0.0.1");
        assert_eq!(seen("10.0.0.1", "203.0.113.9, nonsense"), "10.0.0.1");
    }
}
