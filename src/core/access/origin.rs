//! Origins: whether a browser's request comes from this dashboard's own pages, and was sent to this dashboard's own name.

use std::{fmt, net::IpAddr, str::FromStr};

use crate::core::site::Scheme;

/// The scheme, host and port of a web address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The scheme.
    pub(crate) scheme: Scheme,
    /// The host, and the port unless it is the scheme's default; in lower case, as in the header `Host`.
    pub(crate) authority: String,
}

impl Origin {
    /// The host without the port; an IPv6 address in brackets.
    pub(crate) fn host(&self) -> &str {
        split(&self.authority).0
    }
}

/// A text is not an origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an address like https://agentpod.example.com, without a path")]
pub struct InvalidOrigin(String);

impl FromStr for Origin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        let fail = || InvalidOrigin(text.to_owned());
        let (scheme, rest) = text.split_once("://").ok_or_else(fail)?;
        let (scheme, default_port) = match scheme.to_ascii_lowercase().as_str() {
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
            Some(Ok(port)) if port == default_port => host.to_owned(),
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

/// The headers that tell where a request comes from and goes to.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct OriginHeaders<'a> {
    /// `Host`: the name that the request was sent to.
    pub(crate) host: Option<&'a str>,
    /// `Origin`: the origin of the page that sent it.
    pub(crate) origin: Option<&'a str>,
    /// `Sec-Fetch-Site`: how that page's site relates to this one.
    pub(crate) fetch_site: Option<&'a str>,
}

impl OriginHeaders<'_> {
    /// Whether the request was not sent by a page of another origin. `same-site` is not enough, since tenants' agents are on
    /// sibling names. A request without these headers is not a browser's; a page cannot suppress them.
    pub(crate) fn is_same_origin(&self, public: Option<&Origin>) -> bool {
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

    /// Whether the request was sent to a loopback name or to the public name. This stops DNS rebinding, where a foreign name
    /// points to this machine.
    pub(crate) fn is_to_own_name(&self, public: Option<&Origin>) -> bool {
        let Some(host) = self.host.map(str::to_ascii_lowercase) else { return false };
        let host = split(&host).0;
        host == "localhost"
            || address(host).is_some_and(|address| address.is_loopback())
            || public.is_some_and(|public| public.host() == host)
    }
}

/// Whether a host is the client's own machine: `localhost`, names below it, and loopback addresses.
pub(crate) fn is_local(host: &str) -> bool {
    host == "localhost" || host.ends_with(".localhost") || address(host).is_some_and(|address| address.is_loopback())
}

/// Splits host and port; an IPv6 address keeps its brackets.
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
    fn an_origin_has_a_scheme_and_a_host_and_no_path() {
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
    fn a_request_is_same_origin_if_no_other_page_sent_it() {
        let public = origin("https://pods.example.com");
        let is = |host, origin, fetch_site| OriginHeaders { host, origin, fetch_site }.is_same_origin(Some(&public));
        let ours = Some("pods.example.com");
        assert!(is(ours, None, None), "not a browser");
        assert!(is(ours, Some("https://pods.example.com"), Some("same-origin")));
        assert!(is(Some("inner:7070"), Some("https://pods.example.com"), None), "a proxy may rename the host");
        assert!(is(Some("localhost:7070"), Some("http://localhost:7070"), Some("none")));
        assert!(!is(ours, Some("http://pods.example.com"), None), "another scheme is another origin");
        assert!(!is(ours, Some("https://alice.example.com"), Some("same-site")), "an agent's page");
        assert!(!is(ours, None, Some("cross-site")) && !is(ours, None, Some("same-site")));
        assert!(!is(ours, Some("null"), None) && !is(None, Some("https://a.example"), None));
        assert!(!is(Some("localhost:7070"), Some("http://localhost:8080"), None), "another port is another origin");
    }

    #[test]
    fn a_foreign_name_that_points_here_is_not_our_own() {
        let public = origin("http://pods.localhost:8080");
        let is = |host| OriginHeaders { host: Some(host), ..OriginHeaders::default() }.is_to_own_name(Some(&public));
        for ours in ["localhost", "LOCALHOST:7070", "127.0.0.1:7070", "127.1.2.3", "[::1]:7070", "pods.localhost:1"] {
            assert!(is(ours), "{ours}");
        }
        for other in ["evil.example:7070", "localhost.evil.example", "alice.localhost", "10.0.0.1", "", "[::2]", "::1"]
        {
            assert!(!is(other), "{other}");
        }
        assert!(!OriginHeaders::default().is_to_own_name(None), "the name is missing");
    }
}
