//! The machine's routes, as the kernel lists them, and which of them a new network would take over.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

/// A route of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    /// The interface it leads to.
    pub(crate) interface: String,
    /// The addresses it is for.
    pub(crate) to: Ipv4Net,
}

/// Parses `/proc/net/route`: a line of headings, then one route per line with its numbers in hexadecimal, as they are in the
/// memory of a little-endian machine. What does not parse is left out.
pub(crate) fn routes(text: &str) -> Vec<Route> {
    let address = |hex: &str| Some(Ipv4Addr::from(u32::from_str_radix(hex, 16).ok()?.to_le_bytes()));
    let read = |line: &str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let (interface, to, mask) = (columns.first()?, columns.get(1)?, columns.get(7)?);
        let to = Ipv4Net::with_netmask(address(to)?, address(mask)?).ok()?;
        Some(Route { interface: (*interface).to_owned(), to })
    };
    text.lines().skip(1).filter_map(read).collect()
}

/// The first route that shares addresses with a subnet. The default route does not count, nor do the engine's own networks,
/// which it compares itself.
pub(crate) fn overlapping(subnet: Ipv4Net, routes: &[Route]) -> Option<&Route> {
    let is_engines = |name: &str| {
        let hex = name.strip_prefix("br-");
        name == "docker0" || hex.is_some_and(|hex| hex.len() == 12 && hex.bytes().all(|c| c.is_ascii_hexdigit()))
    };
    let overlaps = |route: &&Route| {
        let (mine, other) = (subnet, route.to);
        other.prefix_len() > 0
            && !is_engines(&route.interface)
            && (mine.contains(&other.network()) || other.contains(&mine.network()))
    };
    routes.iter().find(overlaps)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
        eth0\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
        eth0\t0000A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n\
        tun0\t0004D50A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n\
        br-0123456789ab\t0000C90A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n\
        nonsense\n";

    #[test]
    fn a_subnet_that_a_route_of_the_machine_needs_is_found_with_its_interface() {
        let routes = routes(TABLE);
        assert_eq!(routes.len(), 4);
        let found = |subnet: &str| {
            let found = overlapping(subnet.parse().unwrap(), &routes)?;
            Some(format!("{} {}", found.interface, found.to))
        };
        assert_eq!(found("10.213.0.0/20").as_deref(), Some("tun0 10.213.4.0/24"), "the route is within the subnet");
        assert_eq!(found("192.168.0.128/25").as_deref(), Some("eth0 192.168.0.0/24"), "the subnet is within the route");
        assert_eq!(found("10.214.0.0/20"), None);
        assert_eq!(found("10.201.0.0/20"), None, "the engine compares its own networks");
    }
}
