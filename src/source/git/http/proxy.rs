//! The proxy that the environment names for an address, as curl reads it: exceptions are hosts, domains and networks, and
//! commas and spaces separate them. It opens no connection.

use hyper::Uri;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};

/// The variables, as they are set; empty if they are not.
#[derive(Debug, Default)]
struct Variables {
    http: String,
    https: String,
    all: String,
    /// What is reached directly.
    exceptions: String,
}

/// The proxy for an address; `None` if it is reached directly.
pub(super) fn of(address: &Uri) -> Option<Intercept> {
    Variables::of_this_process().proxy(address)
}

impl Variables {
    fn of_this_process() -> Self {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        let either = |name: &str| set(name).or_else(|| set(&name.to_uppercase())).unwrap_or_default();
        Self {
            // Only in lower case, as curl does: the other one can be a request's header in a CGI program.
            http: set("http_proxy").unwrap_or_default(),
            https: either("https_proxy"),
            all: either("all_proxy"),
            exceptions: either("no_proxy"),
        }
    }

    fn proxy(&self, address: &Uri) -> Option<Intercept> {
        let exceptions = self.exceptions.split([',', ' ', '\t']).filter(|one| !one.is_empty());
        let exceptions = exceptions.collect::<Vec<_>>().join(",");
        let text = |variable: &str| variable.trim().to_owned();
        let proxies = Matcher::builder().all(text(&self.all)).http(text(&self.http)).https(text(&self.https));
        proxies.no(exceptions).build().intercept(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(variables: &Variables, address: &str) -> Option<String> {
        variables.proxy(&address.parse().unwrap()).map(|proxy| proxy.uri().authority().unwrap().to_string())
    }

    #[test]
    fn exceptions_are_hosts_domains_and_networks_separated_by_commas_or_spaces() {
        let of = |exceptions: &str| Variables {
            https: "http://proxy.example:3128".into(),
            exceptions: exceptions.into(),
            ..Variables::default()
        };
        let some = of("localhost, .corp.example 10.0.0.0/8,192.168.1.7");
        for direct in
            ["https://localhost/r", "https://git.corp.example/r", "https://10.1.2.3:8443/r", "https://192.168.1.7/r"]
        {
            assert_eq!(proxy(&some, direct), None, "{direct}");
        }
        for proxied in ["https://github.com/a/b", "https://11.1.2.3/r", "https://corp.example.net/r"] {
            assert_eq!(proxy(&some, proxied).as_deref(), Some("proxy.example:3128"), "{proxied}");
        }
        assert_eq!(proxy(&of("*"), "https://github.com/a/b"), None);
        assert!(proxy(&of(""), "https://github.com/a/b").is_some());
        assert_eq!(proxy(&of(""), "http://h/r"), None);
    }

    #[test]
    fn each_scheme_has_its_own_proxy_and_all_proxy_is_for_both() {
        let both = Variables { all: "http://all:1".into(), http: "http://plain:2".into(), ..Variables::default() };
        assert_eq!(proxy(&both, "http://h/r").as_deref(), Some("plain:2"));
        assert_eq!(proxy(&both, "https://h/r").as_deref(), Some("all:1"));
        assert_eq!(proxy(&Variables::default(), "https://h/r"), None);
    }
}
