//! Allowed signers, from a file in OpenSSH's format: one `principals [options] key` per line. A line that cannot be read
//! refuses the whole file, since somebody may rely on it.

use ssh_key::{PublicKey, SshSig};
use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time};

/// The namespace of git's signatures.
const NAMESPACE: &str = "git";

/// The keys that may sign.
#[derive(Debug)]
pub(super) struct Signers(Vec<Signer>);

#[derive(Debug)]
struct Signer {
    key: PublicKey,
    after: Option<OffsetDateTime>,
    before: Option<OffsetDateTime>,
}

impl Signers {
    /// Parses a file's text.
    pub(super) fn parse(text: &str) -> Result<Self, SignersError> {
        let mut signers = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            signers.extend(signer(line).map_err(|error| SignersError::Line(number + 1, error))?);
        }
        if signers.is_empty() {
            return Err(SignersError::Empty);
        }
        Ok(Self(signers))
    }

    /// Verifies a signature over `signed` that was made at the time `at`.
    pub(super) fn verify(&self, signature: &[u8], signed: &[u8], at: OffsetDateTime) -> Result<(), SignatureError> {
        let text = String::from_utf8_lossy(signature);
        if text.trim_start().starts_with("-----BEGIN PGP") {
            return Err(SignatureError::Gpg);
        }
        let signature = SshSig::from_pem(text.trim()).map_err(|_| SignatureError::NotSsh)?;
        let key = ssh_key::Fingerprint::new(ssh_key::HashAlg::Sha256, signature.public_key()).to_string();
        let candidates: Vec<&Signer> =
            self.0.iter().filter(|signer| signer.key.key_data() == signature.public_key()).collect();
        let Some(first) = candidates.first() else {
            return Err(SignatureError::NotAllowed(key));
        };
        let is_current = |signer: &&&Signer| {
            signer.after.is_none_or(|after| at >= after) && signer.before.is_none_or(|before| at < before)
        };
        if candidates.iter().find(is_current).is_none() {
            return Err(SignatureError::NotAllowedThen(key));
        }
        first.key.verify(NAMESPACE, signed, &signature).map_err(|error| match error {
            ssh_key::Error::AlgorithmUnknown | ssh_key::Error::AlgorithmUnsupported { .. } => {
                SignatureError::Unsupported(signature.algorithm().to_string())
            }
            _ => SignatureError::Mismatch(key),
        })
    }
}

/// Why a file of allowed signers cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SignersError {
    #[error("it lists nobody who may sign for git")]
    Empty,
    #[error("line {0}: {1}")]
    Line(usize, SignerLineError),
}

/// Why a line of the file cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SignerLineError {
    #[error("it is too short; write it like: name@example.com ssh-ed25519 AAAA…")]
    TooShort,
    #[error("it has no key")]
    NoKey,
    #[error("its key cannot be read; write it like: ssh-ed25519 AAAA…")]
    BadKey,
    #[error("its {0} is not a time like 20260131")]
    BadTime(&'static str),
    #[error("certificates are not supported; list the keys themselves")]
    Certificate,
    #[error("the option {0} is unknown")]
    UnknownOption(String),
}

/// Why a signature is not accepted. The message is about the commit or tag.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SignatureError {
    #[error("it is not signed")]
    Unsigned,
    #[error("it is signed with GPG, which is not supported")]
    Gpg,
    #[error("its signature is not an SSH signature")]
    NotSsh,
    #[error("it is signed with the key {0}, which may not sign")]
    NotAllowed(String),
    #[error("it is signed with the key {0}, which may not sign at that time")]
    NotAllowedThen(String),
    #[error("its signature algorithm {0} is not supported; use an ed25519 key")]
    Unsupported(String),
    #[error("its signature by {0} does not match: it was changed after it was signed")]
    Mismatch(String),
}

/// A line's signer, or `None` if it may not sign for git.
fn signer(line: &str) -> Result<Option<Signer>, SignerLineError> {
    let (_, rest) = word(line).ok_or(SignerLineError::TooShort)?;
    if let Some(key) = key(rest) {
        return Ok(Some(Signer { key, after: None, before: None }));
    }
    let (options, rest) = word(rest).ok_or(SignerLineError::NoKey)?;
    let key = key(rest).ok_or(SignerLineError::BadKey)?;
    let mut signer = Signer { key, after: None, before: None };
    let mut may_sign = true;
    for option in split(options, ',') {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let value = value.trim_matches('"');
        match name.to_ascii_lowercase().as_str() {
            "namespaces" => may_sign &= value.split(',').any(|namespace| namespace == NAMESPACE),
            "valid-after" => signer.after = Some(moment(value).ok_or(SignerLineError::BadTime("valid-after"))?),
            "valid-before" => signer.before = Some(moment(value).ok_or(SignerLineError::BadTime("valid-before"))?),
            "cert-authority" => return Err(SignerLineError::Certificate),
            _ => return Err(SignerLineError::UnknownOption(name.to_owned())),
        }
    }
    Ok(may_sign.then_some(signer))
}

fn key(text: &str) -> Option<PublicKey> {
    let mut words = text.split_whitespace();
    PublicKey::from_openssh(&format!("{} {}", words.next()?, words.next()?)).ok()
}

/// The first word, which may contain quoted spaces, and the rest.
fn word(text: &str) -> Option<(&str, &str)> {
    let mut quoted = false;
    let end = text.find(|c: char| {
        quoted ^= c == '"';
        !quoted && c.is_whitespace()
    })?;
    Some((&text[..end], text[end..].trim_start()))
}

/// Splits at separators outside quotes.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |c: char| {
        quoted ^= c == '"';
        !quoted && c == separator
    })
}

/// Parses `YYYYMMDD`, `YYYYMMDDHHMM` or `YYYYMMDDHHMMSS`, in UTC.
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
    fn lines_in_opensshs_format_are_read() {
        for (line, count) in [
            (format!("me@example.com {KEY}"), 1),
            (format!("me@example.com,you@example.com {KEY} a comment"), 1),
            (format!("\"me and you\" namespaces=\"git,file\" {KEY}"), 1),
            (format!("* namespaces=\"file\" {KEY}\n* {KEY}"), 1),
            (format!("# nobody\n\n* valid-after=\"20260101\",valid-before=\"202701011200Z\" {KEY}"), 1),
        ] {
            let signers = Signers::parse(&line).unwrap_or_else(|why| panic!("{line}: {why}"));
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
            let why = Signers::parse(&format!("* {KEY}\n{line}")).unwrap_err().to_string();
            assert!(why.starts_with("line 2: "), "{line}: {why}");
        }
        assert_eq!(Signers::parse("# nobody\n").unwrap_err(), SignersError::Empty);
        assert!(Signers::parse(&format!("me namespaces=\"file\" {KEY}")).is_err());
    }
}
