//! Where a request comes from, as far as a browser says so: whether a page of another site had it sent, and whether the
//! name it was sent to is ours. Pure; only compares.

use std::{fmt, net::IpAddr, str::FromStr};

use crate::core::site::Scheme;

/// Scheme, host and port of an address that browsers use, without anything behind them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// What browsers speak with it.
    pub scheme: Scheme,
    /// Host, and port unless it is the scheme's own, in lower case, as browsers send it in `Host`.
    pub authority: String,
}

impl Origin {
    /// The host alone, an IPv6 address in its brackets.
    pub fn host(&self) -> &str {
        split(&self.authority).0
    }
}

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fail = || format!("{text:?} is not an address like https://agentpod.example.com, without a path");
        let (scheme, rest) = text.split_once("://").ok_or_else(fail)?;
        let (scheme, own_port) = match scheme.to_ascii_lowercase().as_str() {
            "http" => (Scheme::Http, 80),
            "https" => (Scheme::Https, 443),
            _ => return Err(fail()),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest).to_ascii_lowercase();
        let (host, port) = split(&authority);
        let is_name =
            !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'));
        if !is_name && address(host).is_none() {
            return Err(fail());
        }
        let authority = match port.map(str::parse::<u16>) {
            None => host.to_owned(),
            Some(Ok(port)) if port == own_port => host.to_owned(),
            Some(Ok(port)) => format!("{host}:{port}"),
            Some(Err(_)) => return Err(fail()),
        };
        Ok(Self { scheme, authority })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        write!(f, "{scheme}://{}", self.authority)
    }
}

/// What a browser says about where a request comes from.
#[derive(Debug, Clone, Copy, Default)]
pub struct OriginHeaders<'a> {
    /// `Host`: the name the request was sent to.
    pub host: Option<&'a str>,
    /// `Origin`: the page that had it sent.
    pub origin: Option<&'a str>,
    /// `Sec-Fetch-Site`: how that page is related to us.
    pub fetch_site: Option<&'a str>,
}

impl OriginHeaders<'_> {
    /// Whether no page of another origin had the request sent. `same-site` is not enough: agents of tenants live on
    /// neighbouring names. Whoever says nothing is no browser, and no page can make a browser say nothing.
    pub fn is_from_us(&self, public: Option<&Origin>) -> bool {
        if self.fetch_site.is_some_and(|site| !matches!(site, "same-origin" | "none")) {
            return false;
        }
        let Some(origin) = self.origin else { return true };
        let (Ok(origin), Some(host)) = (origin.parse::<Origin>(), self.host) else { return false };
        match public {
            Some(public) if origin.authority == public.authority => origin.scheme == public.scheme,
            _ => origin.authority == host.to_ascii_lowercase(),
        }
    }

    /// Whether it was sent to a name that only this machine can mean, or to the one we are known by. A name that a
    /// stranger let point to this machine (DNS rebinding) is neither.
    pub fn is_to_us(&self, public: Option<&Origin>) -> bool {
        let Some(host) = self.host.map(str::to_ascii_lowercase) else { return false };
        let host = split(&host).0;
        host == "localhost"
            || address(host).is_some_and(|address| address.is_loopback())
            || public.is_some_and(|public| public.host() == host)
    }
}

/// Whether a host can only mean the machine that asks: `localhost`, names below it, and loopback addresses.
pub fn is_local(host: &str) -> bool {
    host == "localhost" || host.ends_with(".localhost") || address(host).is_some_and(|address| address.is_loopback())
}

/// Host and port; an IPv6 address keeps its brackets.
fn split(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

fn address(host: &str) -> Option<IpAddr> {
    match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inner) => inner.parse().ok().map(IpAddr::V6),
        None => host.parse().ok().map(IpAddr::V4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(text: &str) -> Origin {
        text.parse().unwrap()
    }

    #[test]
    fn an_origin_has_a_scheme_and_a_host_and_nothing_behind_them() {
        for (text, shown) in [
            ("https://Pods.Example.com", "https://pods.example.com"),
            ("https://pods.example.com:443/", "https://pods.example.com"),
            ("http://localhost:7070", "http://localhost:7070"),
            ("http://[::1]:80", "http://[::1]"),
        ] {
            assert_eq!(origin(text).to_string(), shown);
        }
        for bad in ["", "null", "pods.example.com", "ftp://a", "https://", "https://a/b", "https://u@a", "https://a:b"]
        {
            assert!(bad.parse::<Origin>().is_err(), "{bad}");
        }
        assert_eq!(origin("http://[::1]:7070").host(), "[::1]");
    }

    #[test]
    fn a_request_is_from_us_when_no_other_page_had_it_sent() {
        let public = origin("https://pods.example.com");
        let is = |host, origin, fetch_site| OriginHeaders { host, origin, fetch_site }.is_from_us(Some(&public));
        let ours = Some("pods.example.com");
        assert!(is(ours, None, None), "no browser");
        assert!(is(ours, Some("https://pods.example.com"), Some("same-origin")));
        assert!(is(Some("inner:7070"), Some("https://pods.example.com"), None), "a proxy may rename the host");
        assert!(is(Some("localhost:7070"), Some("http://localhost:7070"), Some("none")));
        assert!(!is(ours, Some("http://pods.example.com"), None), "in the clear is another page");
        assert!(!is(ours, Some("https://alice.example.com"), Some("same-site")), "an agent's page");
        assert!(!is(ours, None, Some("cross-site")) && !is(ours, None, Some("same-site")));
        assert!(!is(ours, Some("null"), None) && !is(None, Some("https://a.example"), None));
        assert!(!is(Some("localhost:7070"), Some("http://localhost:8080"), None), "another port is another page");
    }

    #[test]
    fn a_name_that_a_stranger_let_point_here_is_not_ours() {
        let public = origin("http://pods.localhost:8080");
        let is = |host| OriginHeaders { host: Some(host), ..OriginHeaders::default() }.is_to_us(Some(&public));
        for ours in ["localhost", "LOCALHOST:7070", "127.0.0.1:7070", "127.1.2.3", "[::1]:7070", "pods.localhost:1"] {
            assert!(is(ours), "{ours}");
        }
        for other in ["evil.example:7070", "localhost.evil.example", "alice.localhost", "10.0.0.1", "", "[::2]", "::1"]
        {
            assert!(!is(other), "{other}");
        }
        assert!(!OriginHeaders::default().is_to_us(None), "without a name nobody can tell");
    }
}
