//! Verifies an SSH host's key against known-hosts files, in OpenSSH's format. A host in none of them is refused, since there
//! is nobody to ask.

use std::{fs, path::PathBuf};

use base64::{Engine as _, prelude::BASE64_STANDARD_NO_PAD};
use ring::{digest, hmac};
use ssh_key::known_hosts::{Entry, HostPatterns, KnownHosts, Marker};

use super::{
    fetch_error::{FetchError, UNKNOWN_HOST},
    settings::GitSettings,
};

/// The system's known-hosts file.
const SYSTEM_FILE: &str = "/etc/ssh/ssh_known_hosts";

/// Refuses a key that no file lists for the host.
pub(super) fn verify(settings: &GitSettings, key: &[u8]) -> Result<(), FetchError> {
    let files = files(settings);
    let name = host_name(&settings.address.host, settings.address.port);
    let (fingerprint, kind) = (fingerprint(key), kind(key));
    let listed = files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(" or ");
    let port = settings.address.port;
    let scan = format!("ssh-keyscan -p {port} -t {} {}", kind.trim_start_matches("ssh-"), settings.address.host);
    let first = files.first().map(|file| file.display().to_string()).unwrap_or_default();
    let add = format!("compare the fingerprint with the one the host's owner publishes, then run: {scan} >> {first}");
    let mut others = Vec::new();
    let mut is_known = false;
    let texts = files.iter().filter_map(|file| fs::read_to_string(file).ok()).collect::<Vec<_>>();
    for entry in
        texts.iter().flat_map(|text| KnownHosts::new(text)).flatten().filter(|entry| matches_host(entry, &name))
    {
        let is_equal = entry.public_key().to_bytes().is_ok_and(|bytes| bytes == key);
        match (entry.marker(), is_equal) {
            (Some(Marker::Revoked), true) => {
                let what = format!("{name} has the key {fingerprint} ({kind}), which is revoked in {listed}");
                return Err(FetchError::new(
                    UNKNOWN_HOST,
                    what,
                    "somebody else may have this key; ask the host's owner",
                ));
            }
            // Certificate authorities and other revoked keys do not matter here.
            (Some(_), _) => {}
            (None, true) => is_known = true,
            (None, false) => others.push(entry.public_key().algorithm().to_string()),
        }
    }
    if is_known {
        return Ok(());
    }
    if others.contains(&kind) {
        let what = format!("the key of {name} has changed: it is {fingerprint} ({kind}), but {listed} lists another");
        let hint = format!(
            "somebody may intercept the connection. If the host's owner confirms a new key, remove the old one: \
             ssh-keygen -R '{name}' -f {first}; then {add}"
        );
        return Err(FetchError::new(UNKNOWN_HOST, what, hint));
    }
    let known = if others.is_empty() { String::new() } else { format!(" (only its {} key)", others.join(", ")) };
    let what = format!("{name} is not listed in {listed}{known}: its key is {fingerprint} ({kind})");
    Err(FetchError::new(UNKNOWN_HOST, what, add))
}

fn files(settings: &GitSettings) -> Vec<PathBuf> {
    if let Some(file) = &settings.known_hosts {
        return vec![file.clone()];
    }
    let own = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".ssh/known_hosts"));
    own.into_iter().chain([PathBuf::from(SYSTEM_FILE)]).collect()
}

/// The host's name in known-hosts files.
fn host_name(host: &str, port: u16) -> String {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if port == 22 { bare.to_owned() } else { format!("[{bare}]:{port}") }
}

fn matches_host(entry: &Entry, name: &str) -> bool {
    match entry.host_patterns() {
        HostPatterns::HashedName { salt, hash } => {
            let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, salt);
            hmac::verify(&key, name.as_bytes(), hash).is_ok()
        }
        HostPatterns::Patterns(patterns) => {
            let fits = |pattern: &str| matches(pattern.to_lowercase().as_bytes(), name.as_bytes());
            let is_excluded = patterns.iter().any(|pattern| pattern.strip_prefix('!').is_some_and(fits));
            !is_excluded && patterns.iter().any(|pattern| !pattern.starts_with('!') && fits(pattern))
        }
    }
}

/// Whether a text matches a pattern with `*` and `?`.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => {
            matches(rest, text) || text.split_first().is_some_and(|(_, text)| matches(pattern, text))
        }
        (Some((b'?', rest)), Some((_, text))) => matches(rest, text),
        (Some((c, rest)), Some((d, text))) => c == d && matches(rest, text),
        _ => false,
    }
}

/// The fingerprint in OpenSSH's format.
fn fingerprint(key: &[u8]) -> String {
    format!("SHA256:{}", BASE64_STANDARD_NO_PAD.encode(digest::digest(&digest::SHA256, key)))
}

/// The algorithm of a key, which is at its beginning.
fn kind(key: &[u8]) -> String {
    let length = key.first_chunk().map_or(0, |length| u32::from_be_bytes(*length) as usize);
    let name = key.get(4..4 + length.min(64)).unwrap_or_default();
    String::from_utf8_lossy(name).chars().filter(|c| c.is_ascii_graphic()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(line: &str) -> Entry {
        let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";
        format!("{line} {key}").parse().unwrap()
    }

    #[test]
    fn a_line_matches_a_host_by_name_pattern_or_hash_and_port() {
        assert_eq!(host_name("forge.example", 22), "forge.example");
        assert_eq!(host_name("[::1]", 2222), "[::1]:2222");
        for (line, name, expected) in [
            ("forge.example", "forge.example", true),
            ("Forge.example,10.0.0.1", "10.0.0.1", true),
            ("forge.example", "[forge.example]:2222", false),
            ("[forge.example]:2222", "[forge.example]:2222", true),
            ("*.example", "forge.example", true),
            ("*.example,!forge.example", "forge.example", false),
            ("forg?.example", "forge.example", true),
            ("forge", "forge.example", false),
            // `forge.example`, hashed by ssh-keygen -H.
            ("|1|1qa6KY7Pf1NJBJgzaqUbuKVTBFQ=|/FZvN0UTotXhkYIIsYSuP+0wWoY=", "forge.example", true),
            ("|1|1qa6KY7Pf1NJBJgzaqUbuKVTBFQ=|/FZvN0UTotXhkYIIsYSuP+0wWoY=", "other.example", false),
        ] {
            assert_eq!(matches_host(&entry(line), name), expected, "{line} {name}");
        }
    }
}
