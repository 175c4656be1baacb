//! Whether a host that shows a key over SSH is the one it should be: by files of known hosts, as SSH itself keeps them,
//! and by nothing else. A host that stands in none of them is not trusted; nobody is there to be asked.

use std::{fs, path::PathBuf};

use base64::{Engine as _, prelude::BASE64_STANDARD_NO_PAD};
use ring::{digest, hmac};
use ssh_key::known_hosts::{Entry, HostPatterns, KnownHosts, Marker};

use super::{
    fetch_error::{FetchError, UNKNOWN_HOST},
    settings::GitSettings,
};

/// Where SSH itself looks.
const OF_ALL: &str = "/etc/ssh/ssh_known_hosts";

/// Refuses a key that is not known to be the host's.
pub(super) fn check(settings: &GitSettings, key: &[u8]) -> Result<(), FetchError> {
    let files = files(settings);
    let place = place(&settings.address.host, settings.address.port);
    let (fingerprint, kind) = (fingerprint(key), kind(key));
    let said = files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(" or ");
    let port = settings.address.port;
    let scan = format!("ssh-keyscan -p {port} -t {} {}", kind.trim_start_matches("ssh-"), settings.address.host);
    let first = files.first().map(|file| file.display().to_string()).unwrap_or_default();
    let add = format!("compare the fingerprint with what the host's owner publishes, then: {scan} >> {first}");
    let mut others = Vec::new();
    let mut is_known = false;
    let texts = files.iter().filter_map(|file| fs::read_to_string(file).ok()).collect::<Vec<_>>();
    for entry in texts.iter().flat_map(|text| KnownHosts::new(text)).flatten().filter(|entry| is_about(entry, &place)) {
        let is_it = entry.public_key().to_bytes().is_ok_and(|bytes| bytes == key);
        match (entry.marker(), is_it) {
            (Some(Marker::Revoked), true) => {
                let what = format!("{place} shows the key {fingerprint} ({kind}), which is revoked in {said}");
                return Err(FetchError::known(
                    UNKNOWN_HOST,
                    what,
                    "somebody else may have this key: ask the host's owner",
                ));
            }
            // A key that only vouches for others, or one that is no longer good, says nothing of this one.
            (Some(_), _) => {}
            (None, true) => is_known = true,
            (None, false) => others.push(entry.public_key().algorithm().to_string()),
        }
    }
    if is_known {
        return Ok(());
    }
    if others.contains(&kind) {
        let what = format!("the key of {place} has changed: it shows {fingerprint} ({kind}), and {said} has another");
        let hint = format!(
            "somebody may be in between. If the host's owner says that it has a new key, remove the old one: \
             ssh-keygen -R '{place}' -f {first}; then {add}"
        );
        return Err(FetchError::known(UNKNOWN_HOST, what, hint));
    }
    let known =
        if others.is_empty() { String::new() } else { format!(" (only its key of kind {})", others.join(", ")) };
    let what = format!("{place} is not known in {said}{known}: it shows the key {fingerprint} ({kind})");
    Err(FetchError::known(UNKNOWN_HOST, what, add))
}

fn files(settings: &GitSettings) -> Vec<PathBuf> {
    if let Some(file) = &settings.known_hosts {
        return vec![file.clone()];
    }
    let own = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".ssh/known_hosts"));
    own.into_iter().chain([PathBuf::from(OF_ALL)]).collect()
}

/// The host as files of known hosts name it.
fn place(host: &str, port: u16) -> String {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if port == 22 { bare.to_owned() } else { format!("[{bare}]:{port}") }
}

fn is_about(entry: &Entry, place: &str) -> bool {
    match entry.host_patterns() {
        HostPatterns::HashedName { salt, hash } => {
            let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, salt);
            hmac::verify(&key, place.as_bytes(), hash).is_ok()
        }
        HostPatterns::Patterns(patterns) => {
            let fits = |pattern: &str| matches(pattern.to_lowercase().as_bytes(), place.as_bytes());
            let is_excluded = patterns.iter().any(|pattern| pattern.strip_prefix('!').is_some_and(fits));
            !is_excluded && patterns.iter().any(|pattern| !pattern.starts_with('!') && fits(pattern))
        }
    }
}

/// Whether a pattern with `*` and `?` fits.
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

/// As SSH's programs show it.
fn fingerprint(key: &[u8]) -> String {
    format!("SHA256:{}", BASE64_STANDARD_NO_PAD.encode(digest::digest(&digest::SHA256, key)))
}

/// The kind of a key, which stands at its beginning.
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
    fn a_line_is_about_a_host_by_name_pattern_or_hash_and_its_port() {
        assert_eq!(place("forge.example", 22), "forge.example");
        assert_eq!(place("[::1]", 2222), "[::1]:2222");
        for (line, place, fits) in [
            ("forge.example", "forge.example", true),
            ("Forge.example,10.0.0.1", "10.0.0.1", true),
            ("forge.example", "[forge.example]:2222", false),
            ("[forge.example]:2222", "[forge.example]:2222", true),
            ("*.example", "forge.example", true),
            ("*.example,!forge.example", "forge.example", false),
            ("forg?.example", "forge.example", true),
            ("forge", "forge.example", false),
            // What ssh-keygen -H makes of `forge.example`.
            ("|1|1qa6KY7Pf1NJBJgzaqUbuKVTBFQ=|/FZvN0UTotXhkYIIsYSuP+0wWoY=", "forge.example", true),
            ("|1|1qa6KY7Pf1NJBJgzaqUbuKVTBFQ=|/FZvN0UTotXhkYIIsYSuP+0wWoY=", "other.example", false),
        ] {
            assert_eq!(is_about(&entry(line), place), fits, "{line} {place}");
        }
    }
}
