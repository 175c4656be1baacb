//! Addresses of repositories: `https://`, `http://`, `ssh://`, `git@host:path` or `file:///`. An address never contains a
//! credential, since it is shown, logged and stored.

use std::fmt;

/// An address without credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    text: String,
    /// How it is reached.
    pub(crate) transport: Transport,
    /// The host in lower case, without its port; empty for a folder.
    pub(crate) host: String,
    /// The port, by default that of the transport; 0 for a folder.
    pub(crate) port: u16,
}

/// How a repository is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    /// Encrypted HTTP.
    Https,
    /// Unencrypted HTTP.
    Http,
    /// SSH.
    Ssh,
    /// A folder on this machine.
    File,
}

impl Address {
    /// Parses an address. The error never quotes it, since it may contain a credential.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(AddressError::InvalidCharacter);
        }
        let Some((scheme, rest)) = text.split_once("://") else { return Self::parse_short(text) };
        let transport = match scheme.to_ascii_lowercase().as_str() {
            "https" => Transport::Https,
            "http" => Transport::Http,
            "ssh" | "git+ssh" | "ssh+git" => Transport::Ssh,
            "file" => Transport::File,
            _ => return Err(AddressError::UnknownForm),
        };
        if transport == Transport::File {
            let is_absolute = rest.starts_with('/') && rest.len() > 1;
            let folder = Self { text: text.into(), transport, host: String::new(), port: 0 };
            return if is_absolute { Ok(folder) } else { Err(AddressError::Folder) };
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        // The last @, since a password may contain one.
        let (user, host_port) =
            authority.rsplit_once('@').map_or((None, authority), |(user, host_port)| (Some(user), host_port));
        let is_web = transport != Transport::Ssh;
        if user.is_some_and(|user| is_web || user.contains(':')) {
            return Err(AddressError::Credential);
        }
        // A token in a query is a credential too, and nothing else belongs there.
        if rest.contains(['?', '#']) {
            return Err(AddressError::Query);
        }
        let (host, port) = split_port(host_port, transport).ok_or(AddressError::Host)?;
        if path.is_empty() {
            return Err(AddressError::NoRepository);
        }
        let user = user.map_or_else(|| if is_web { String::new() } else { "git@".into() }, |user| format!("{user}@"));
        let scheme = if is_web { scheme.to_ascii_lowercase() } else { "ssh".into() };
        Ok(Self { text: format!("{scheme}://{user}{host_port}/{path}"), transport, host, port })
    }

    /// Parses `user@host:path`, the short form of SSH.
    fn parse_short(text: &str) -> Result<Self, AddressError> {
        let (host_port, path) =
            text.split_once(':').filter(|(host_port, _)| !host_port.contains('/')).ok_or(AddressError::UnknownForm)?;
        let (user, host) = host_port.rsplit_once('@').unwrap_or(("git", host_port));
        // `user:password@host:path` is split at its first colon.
        if path.contains('@') && !host_port.contains('@') {
            return Err(AddressError::Credential);
        }
        if host.is_empty() || path.is_empty() || user.is_empty() {
            return Err(AddressError::Ssh);
        }
        Ok(Self {
            text: format!("{user}@{host}:{path}"),
            transport: Transport::Ssh,
            host: host.to_lowercase(),
            port: 22,
        })
    }

    /// The address for git.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the host is this machine, so that unencrypted traffic does not leave it.
    pub(crate) fn is_local(&self) -> bool {
        matches!(self.host.as_str(), "localhost" | "127.0.0.1" | "[::1]")
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Why a text is not an address of a repository. No message quotes the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// A space or a control character.
    #[error("the address contains a space or a control character")]
    InvalidCharacter,
    /// None of the supported forms.
    #[error(
        "the address must be like https://host/org/repo.git, ssh://git@host/org/repo.git, git@host:org/repo.git or \
         file:///folder"
    )]
    UnknownForm,
    /// A user or a password.
    #[error(
        "the address contains a user or password, which would be shown and logged; remove it and use --git-token-file, \
         --git-user with --git-password-file, or AGENTPOD_GIT_TOKEN"
    )]
    Credential,
    /// A relative folder.
    #[error("a folder must be like file:///srv/repo.git")]
    Folder,
    /// A query or a fragment.
    #[error("the address contains ? or #; remove it and what follows, credentials have their own settings")]
    Query,
    /// No host, or a bad port.
    #[error("the address has no host, or an invalid port")]
    Host,
    /// Only a host.
    #[error("the address has only a host; add the path of the repository")]
    NoRepository,
    /// An incomplete short form.
    #[error("an SSH address must be like git@host:org/repo.git")]
    Ssh,
}

fn split_port(host_port: &str, transport: Transport) -> Option<(String, u16)> {
    let default = match transport {
        Transport::Https => 443,
        Transport::Http => 80,
        Transport::Ssh => 22,
        Transport::File => 0,
    };
    let end = host_port.rfind(']').map_or(0, |end| end + 1);
    let (host, port) = match host_port[end..].find(':') {
        Some(at) => (&host_port[..end + at], host_port[end + at + 1..].parse().ok()?),
        None => (host_port, default),
    };
    (!host.is_empty()).then(|| (host.to_lowercase(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_forms_are_parsed() {
        for (text, transport, host, port) in [
            ("https://forge.example/org/repo.git", Transport::Https, "forge.example", 443),
            ("http://127.0.0.1:3000/repo", Transport::Http, "127.0.0.1", 3000),
            ("ssh://git@Forge.example:2222/org/repo.git", Transport::Ssh, "forge.example", 2222),
            ("ssh://forge.example/org/repo.git", Transport::Ssh, "forge.example", 22),
            ("git@forge.example:org/repo.git", Transport::Ssh, "forge.example", 22),
            ("https://[::1]:8443/repo", Transport::Https, "[::1]", 8443),
            ("file:///srv/repo.git", Transport::File, "", 0),
        ] {
            let address = Address::parse(text).unwrap_or_else(|why| panic!("{text}: {why}"));
            assert_eq!((address.transport, address.host.as_str(), address.port), (transport, host, port), "{text}");
        }
        assert_eq!(Address::parse("ssh://h/r").unwrap().as_str(), "ssh://git@h/r");
    }

    #[test]
    fn an_address_with_a_credential_is_refused_without_quoting_it() {
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
            let why = Address::parse(text).expect_err(text).to_string();
            assert!(!why.contains("s3c") && !why.contains("ret@"), "{text}: {why}");
        }
    }

    #[test]
    fn what_is_not_an_address_is_refused() {
        for text in
            ["", "repo", "/srv/repo", "https://", "https://host", "https:///x", "file://x", "https://h:x/r", "a b:c"]
        {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }
}
