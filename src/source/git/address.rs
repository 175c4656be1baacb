//! Where a repository is, as typed: `https://`, `http://`, `ssh://`, `git@host:path` or `file:///`. An address never
//! holds a credential: it is shown, logged and stored.

use std::fmt;

/// An address without credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    text: String,
    /// How it is reached.
    pub way: Way,
    /// The host and its port, as they are typed; empty for a folder.
    pub host: String,
    /// The port, the usual one if none is typed.
    pub port: u16,
}

/// How a repository is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Encrypted HTTP.
    Https,
    /// HTTP in the clear.
    Http,
    /// SSH.
    Ssh,
    /// A folder on this machine.
    File,
}

impl Address {
    /// Reads what was typed. The error repeats nothing of an address that may hold a credential.
    pub fn read(text: &str) -> Result<Self, String> {
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err("the address holds a space or a control character".into());
        }
        let Some((scheme, rest)) = text.split_once("://") else { return Self::read_short(text) };
        let way = match scheme.to_ascii_lowercase().as_str() {
            "https" => Way::Https,
            "http" => Way::Http,
            "ssh" | "git+ssh" | "ssh+git" => Way::Ssh,
            "file" => Way::File,
            _ => return Err(UNKNOWN.into()),
        };
        if way == Way::File {
            let fits = rest.starts_with('/') && rest.len() > 1;
            let folder = Self { text: text.into(), way, host: String::new(), port: 0 };
            return if fits { Ok(folder) } else { Err("a folder is named like file:///srv/repo.git".into()) };
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        // The last one: a password may hold another.
        let (user, place) = authority.rsplit_once('@').map_or((None, authority), |(user, place)| (Some(user), place));
        let is_web = way != Way::Ssh;
        if user.is_some_and(|user| is_web || user.contains(':')) {
            return Err(CREDENTIALS.into());
        }
        // A token in a query is a credential, too; nothing else belongs there.
        if rest.contains(['?', '#']) {
            return Err(
                "the address has a ? or # in it; leave out everything from there on, credentials have settings \
                        of their own"
                    .into(),
            );
        }
        let (host, port) = split_port(place, way).ok_or("the address names no host, or a port that is none")?;
        if path.is_empty() {
            return Err("the address names no repository, only a host".into());
        }
        let user = user.map_or_else(|| if is_web { String::new() } else { "git@".into() }, |user| format!("{user}@"));
        let scheme = if is_web { scheme.to_ascii_lowercase() } else { "ssh".into() };
        Ok(Self { text: format!("{scheme}://{user}{place}/{path}"), way, host, port })
    }

    /// `user@host:path`, as SSH's own programs take it.
    fn read_short(text: &str) -> Result<Self, String> {
        let (place, path) = text.split_once(':').filter(|(place, _)| !place.contains('/')).ok_or(UNKNOWN)?;
        let (user, host) = place.rsplit_once('@').unwrap_or(("git", place));
        // `user:password@host:path` is split at its first colon.
        if path.contains('@') && !place.contains('@') {
            return Err(CREDENTIALS.into());
        }
        if host.is_empty() || path.is_empty() || user.is_empty() {
            return Err("an address by SSH is like git@host:org/repo.git".into());
        }
        Ok(Self { text: format!("{user}@{host}:{path}"), way: Way::Ssh, host: host.to_lowercase(), port: 22 })
    }

    /// As git takes it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether what is sent there in the clear stays on this machine.
    pub fn is_local(&self) -> bool {
        matches!(self.host.as_str(), "localhost" | "127.0.0.1" | "[::1]")
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

const UNKNOWN: &str = "the address is none of https://host/org/repo.git, ssh://git@host/org/repo.git, git@host:org/repo.git and \
     file:///folder";
const CREDENTIALS: &str = "the address has a user or password in it, which would be shown wherever it is; leave it out and \
                           give it by --git-token-file, --git-user with --git-password-file, or AGENTPOD_GIT_TOKEN";

fn split_port(place: &str, way: Way) -> Option<(String, u16)> {
    let usual = match way {
        Way::Https => 443,
        Way::Http => 80,
        Way::Ssh => 22,
        Way::File => 0,
    };
    let end = place.rfind(']').map_or(0, |end| end + 1);
    let (host, port) = match place[end..].find(':') {
        Some(at) => (&place[..end + at], place[end + at + 1..].parse().ok()?),
        None => (place, usual),
    };
    (!host.is_empty()).then(|| (host.to_lowercase(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_forms_are_understood() {
        for (text, way, host, port) in [
            ("https://forge.example/org/repo.git", Way::Https, "forge.example", 443),
            ("http://127.0.0.1:3000/repo", Way::Http, "127.0.0.1", 3000),
            ("ssh://git@Forge.example:2222/org/repo.git", Way::Ssh, "forge.example", 2222),
            ("ssh://forge.example/org/repo.git", Way::Ssh, "forge.example", 22),
            ("git@forge.example:org/repo.git", Way::Ssh, "forge.example", 22),
            ("https://[::1]:8443/repo", Way::Https, "[::1]", 8443),
            ("file:///srv/repo.git", Way::File, "", 0),
        ] {
            let address = Address::read(text).unwrap_or_else(|why| panic!("{text}: {why}"));
            assert_eq!((address.way, address.host.as_str(), address.port), (way, host, port), "{text}");
        }
        assert_eq!(Address::read("ssh://h/r").unwrap().as_str(), "ssh://git@h/r");
    }

    #[test]
    fn an_address_with_a_credential_is_refused_without_repeating_it() {
        for text in [
            "https://s3cret@forge.example/repo",
            "https://me:s3cret@forge.example/repo",
            "https://me:s3c@ret@forge.example/repo",
            "ssh://git:s3cret@forge.example/repo",
            "git:s3cret@forge.example:repo",
            "https://forge.example/repo?private_token=s3cret",
            "ftp://me:s3cret@forge.example/repo",
            "me:s3cret@forge.example/repo",
        ] {
            let why = Address::read(text).expect_err(text);
            assert!(!why.contains("s3c") && !why.contains("ret@"), "{text}: {why}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in
            ["", "repo", "/srv/repo", "https://", "https://host", "https:///x", "file://x", "https://h:x/r", "a b:c"]
        {
            assert!(Address::read(text).is_err(), "{text}");
        }
    }
}
