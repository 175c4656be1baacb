//! Whose signature counts: a file of allowed signers as OpenSSH and git take it, a line `principals [options] key` each.
//! A line that cannot be read refuses the whole file: it may be the one that somebody relies on.

use ssh_key::{PublicKey, SshSig};
use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time};

/// What git signs for.
const NAMESPACE: &str = "git";

/// Everybody who may sign.
#[derive(Debug)]
pub(super) struct Signers(Vec<Signer>);

#[derive(Debug)]
struct Signer {
    key: PublicKey,
    after: Option<OffsetDateTime>,
    before: Option<OffsetDateTime>,
}

impl Signers {
    /// Reads a file's text.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let mut signers = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            signers.extend(signer(line).map_err(|why| format!("line {}: {why}", number + 1))?);
        }
        if signers.is_empty() {
            return Err("it names nobody who may sign for git".into());
        }
        Ok(Self(signers))
    }

    /// Whether a signature over `signed` is by one of them; or why it does not count. `at` is when it was made.
    pub(super) fn check(&self, signature: &[u8], signed: &[u8], at: OffsetDateTime) -> Result<(), String> {
        let text = String::from_utf8_lossy(signature);
        if text.trim_start().starts_with("-----BEGIN PGP") {
            return Err("it is signed with GPG, which is not looked at".into());
        }
        let signature = SshSig::from_pem(text.trim()).map_err(|_| "its signature is none that SSH makes")?;
        let by = ssh_key::Fingerprint::new(ssh_key::HashAlg::Sha256, signature.public_key());
        let theirs: Vec<&Signer> =
            self.0.iter().filter(|signer| signer.key.key_data() == signature.public_key()).collect();
        let Some(first) = theirs.first() else {
            return Err(format!("it is signed with the key {by}, which may not sign"));
        };
        let is_current = |signer: &&&Signer| {
            signer.after.is_none_or(|after| at >= after) && signer.before.is_none_or(|before| at < before)
        };
        if theirs.iter().find(is_current).is_none() {
            return Err(format!("it is signed with the key {by}, which may not sign at that time"));
        }
        first.key.verify(NAMESPACE, signed, &signature).map_err(|error| match error {
            ssh_key::Error::AlgorithmUnknown | ssh_key::Error::AlgorithmUnsupported { .. } => {
                format!("its signature is of the kind {}; use a key of the kind ed25519", signature.algorithm())
            }
            _ => format!("its signature by {by} does not fit: it was changed after it was signed"),
        })
    }
}

/// A line's signer; none for one that may not sign for git.
fn signer(line: &str) -> Result<Option<Signer>, String> {
    let (_, rest) = word(line).ok_or("it ends too early; it is like: name@example.com ssh-ed25519 AAAA…")?;
    if let Some(key) = key(rest) {
        return Ok(Some(Signer { key, after: None, before: None }));
    }
    let (options, rest) = word(rest).ok_or("no key stands in it")?;
    let key = key(rest).ok_or("its key cannot be read; it is like: ssh-ed25519 AAAA…")?;
    let mut signer = Signer { key, after: None, before: None };
    let mut may_sign = true;
    for option in split(options, ',') {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let value = value.trim_matches('"');
        match name.to_ascii_lowercase().as_str() {
            "namespaces" => may_sign &= value.split(',').any(|namespace| namespace == NAMESPACE),
            "valid-after" => signer.after = Some(moment(value).ok_or("its valid-after is no time like 20260131")?),
            "valid-before" => signer.before = Some(moment(value).ok_or("its valid-before is no time like 20260131")?),
            "cert-authority" => return Err("certificates are not looked at; name the keys themselves".into()),
            _ => return Err(format!("the option {name} is not known")),
        }
    }
    Ok(may_sign.then_some(signer))
}

fn key(text: &str) -> Option<PublicKey> {
    let mut words = text.split_whitespace();
    PublicKey::from_openssh(&format!("{} {}", words.next()?, words.next()?)).ok()
}

/// The first word, in which what is quoted may hold spaces, and the rest.
fn word(text: &str) -> Option<(&str, &str)> {
    let mut quoted = false;
    let end = text.find(|c: char| {
        quoted ^= c == '"';
        !quoted && c.is_whitespace()
    })?;
    Some((&text[..end], text[end..].trim_start()))
}

/// Parts between separators that are not quoted.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |c: char| {
        quoted ^= c == '"';
        !quoted && c == separator
    })
}

/// `YYYYMMDD`, `YYYYMMDDHHMM` or `YYYYMMDDHHMMSS`, in UTC.
fn moment(text: &str) -> Option<OffsetDateTime> {
    let digits = text.strip_suffix(['Z', 'z']).unwrap_or(text);
    if !matches!(digits.len(), 8 | 12 | 14) || !digits.bytes().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let number = |from: usize, to: usize| digits.get(from..to).map_or(Some(0), |part| part.parse::<u16>().ok());
    let month = Month::try_from(u8::try_from(number(4, 6)?).ok()?).ok()?;
    let date = Date::from_calendar_date(number(0, 4)?.into(), month, number(6, 8)? as u8).ok()?;
    let time = Time::from_hms(number(8, 10)? as u8, number(10, 12)? as u8, number(12, 14)? as u8).ok()?;
    Some(PrimitiveDateTime::new(date, time).assume_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";

    #[test]
    fn lines_as_openssh_takes_them_are_read() {
        for (line, count) in [
            (format!("me@example.com {KEY}"), 1),
            (format!("me@example.com,you@example.com {KEY} a comment"), 1),
            (format!("\"me and you\" namespaces=\"git,file\" {KEY}"), 1),
            (format!("* namespaces=\"file\" {KEY}\n* {KEY}"), 1),
            (format!("# nobody\n\n* valid-after=\"20260101\",valid-before=\"202701011200Z\" {KEY}"), 1),
        ] {
            let signers = Signers::read(&line).unwrap_or_else(|why| panic!("{line}: {why}"));
            assert_eq!(signers.0.len(), count, "{line}");
        }
        assert_eq!(moment("202701011200Z"), Some(time::macros::datetime!(2027-01-01 12:00 UTC)));
    }

    #[test]
    fn a_line_that_cannot_be_read_refuses_the_file_and_says_which() {
        for line in [
            "me@example.com".to_owned(),
            "me@example.com ssh-ed25519 nonsense".into(),
            format!("me cert-authority {KEY}"),
            format!("me valid-before=\"tomorrow\" {KEY}"),
            format!("me never-heard-of {KEY}"),
        ] {
            let why = Signers::read(&format!("* {KEY}\n{line}")).unwrap_err();
            assert!(why.starts_with("line 2: "), "{line}: {why}");
        }
        assert!(Signers::read("# nobody\n").unwrap_err().contains("nobody"));
        assert!(Signers::read(&format!("me namespaces=\"file\" {KEY}")).is_err());
    }
}
