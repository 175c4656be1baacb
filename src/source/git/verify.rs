//! Verifies that the newest commit, or the followed tag on it, is signed by an allowed signer. Earlier commits do not matter:
//! the signature covers the whole state.

use std::{fs, path::Path};

use git2::{ErrorCode, ObjectType, Oid, Repository};
use time::OffsetDateTime;

use super::{
    fetch_error::{FetchError, UNVERIFIED},
    shown::person,
    signers::{SignatureError, Signers},
};
use crate::core::{declare::commit::Commit, digest::Digest};

/// The first bytes of a signature.
const BEGIN: &[u8] = b"-----BEGIN ";

/// The allowed signers, and the digest of their file.
pub(super) struct SignersFile {
    pub(crate) signers: Signers,
    pub(crate) digest: Digest,
}

/// Reads the file of allowed signers.
pub(super) fn signers(file: &Path) -> Result<SignersFile, FetchError> {
    let text = fs::read_to_string(file).map_err(|error| unusable(file, &error))?;
    let signers = Signers::parse(&text).map_err(|error| unusable(file, &error))?;
    Ok(SignersFile { signers, digest: Digest::of_bytes(text.as_bytes()) })
}

fn unusable(file: &Path, error: &dyn std::error::Error) -> FetchError {
    let what = format!("the allowed signers in {} cannot be used: {error}", file.display());
    FetchError::new(
        UNVERIFIED,
        what,
        "correct the file; it is read again for every fetch, and nothing is changed until then",
    )
}

/// Refuses a tip without an accepted signature.
pub(super) fn check(
    repository: &Repository,
    tip: Oid,
    commit: &Commit,
    signers: &Signers,
    file: &Path,
) -> Result<(), FetchError> {
    let by_tag = of_tag(repository, tip).map_err(FetchError::Cache)?.map(|signed| signed.verify(signers));
    let outcome = match by_tag {
        Some(Ok(())) => return Ok(()),
        // The tag is not accepted, but its commit may be.
        by_tag => match of_commit(repository, commit).map_err(FetchError::Cache)? {
            Some(signed) => signed.verify(signers),
            None => by_tag.unwrap_or(Err(SignatureError::Unsigned)),
        },
    };
    outcome.map_err(|error| {
        // Who signs is who committed: for a merge made on a forge's pages, the forge.
        let committer = Oid::from_str(&commit.id)
            .and_then(|id| repository.find_commit(id))
            .map(|found| person(&found.committer()))
            .ok()
            .filter(|committer| *committer != commit.author)
            .map(|committer| format!(" and committed by {committer}"))
            .unwrap_or_default();
        let what = format!(
            "the newest commit is refused: {error}. It is {} by {}{committer}: {:?}; the last accepted one stays in force",
            commit.id, commit.author, commit.summary
        );
        let hint = match error {
            SignatureError::Gpg => format!(
                "forges sign merges made on their pages with a GPG key of their own; merge with git instead, signed \
                 (gpg.format=ssh) with a key from {}, and push",
                file.display()
            ),
            _ => format!(
                "review it; if it is good, sign it (git commit --amend -S, with gpg.format=ssh) with a key from {}, or add \
                 the key there",
                file.display()
            ),
        };
        FetchError::new(UNVERIFIED, what, hint)
    })
}

/// A signature, and what it covers.
struct Signed {
    signature: Vec<u8>,
    text: Vec<u8>,
    made_at: OffsetDateTime,
}

impl Signed {
    fn verify(&self, signers: &Signers) -> Result<(), SignatureError> {
        signers.verify(&self.signature, &self.text, self.made_at)
    }
}

fn of_commit(repository: &Repository, commit: &Commit) -> Result<Option<Signed>, git2::Error> {
    match repository.extract_signature(&Oid::from_str(&commit.id)?, None) {
        Ok((signature, text)) => {
            Ok(Some(Signed { signature: signature.to_vec(), text: text.to_vec(), made_at: commit.committed_at }))
        }
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The signature of an annotated tag, which is at the end of its message.
fn of_tag(repository: &Repository, tip: Oid) -> Result<Option<Signed>, git2::Error> {
    let odb = repository.odb()?;
    let object = odb.read(tip)?;
    if object.kind() != ObjectType::Tag {
        return Ok(None);
    }
    let data = object.data();
    let begins = |at: &usize| data[*at..].starts_with(BEGIN) && data[..*at].ends_with(b"\n");
    let Some(at) = (0..data.len()).rev().find(begins) else { return Ok(None) };
    let tagged = repository.find_tag(tip)?.tagger().map(|tagger| tagger.when().seconds());
    let made_at = tagged.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    let made_at = made_at.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    Ok(Some(Signed { signature: data[at..].to_vec(), text: data[..at].to_vec(), made_at }))
}
