//! Whether the newest commit is signed by somebody who may: the commit itself, or the tag that was followed to it. Says
//! nothing of the commits before it; what is signed is the whole state.

use std::{fs, path::Path};

use git2::{ErrorCode, ObjectType, Oid, Repository};
use time::OffsetDateTime;

use super::{
    fetch_error::{FetchError, UNVERIFIED},
    signers::Signers,
};
use crate::core::{declare::commit::Commit, digest::Digest};

/// How a signature begins.
const BEGIN: &[u8] = b"-----BEGIN ";

/// The allowed signers as they are now, and what tells them from others.
pub(super) fn signers(file: &Path) -> Result<(Signers, Digest), FetchError> {
    let text = fs::read_to_string(file).map_err(|error| error.to_string());
    let digest = text.as_ref().map(|text| Digest::of_bytes(text.as_bytes())).ok();
    let read = text.and_then(|text| Signers::read(&text));
    match (read, digest) {
        (Ok(signers), Some(digest)) => Ok((signers, digest)),
        (Err(why), _) => Err(unusable(file, &why)),
        (Ok(_), None) => Err(unusable(file, "it cannot be read")),
    }
}

fn unusable(file: &Path, why: &str) -> FetchError {
    let what = format!("the allowed signers in {}: {why}", file.display());
    FetchError::known(
        UNVERIFIED,
        what,
        "correct the file; it is read anew for each fetch, and nothing is changed until then",
    )
}

/// Refuses a tip that is not signed as it should be.
pub(super) fn check(
    repository: &Repository,
    tip: Oid,
    commit: &Commit,
    signers: &Signers,
    file: &Path,
) -> Result<(), FetchError> {
    let by_tag = of_tag(repository, tip).map_err(FetchError::Cache)?.map(|signed| signed.check(signers));
    let outcome = match by_tag {
        Some(Ok(())) => return Ok(()),
        // A tag that is not signed as it should be may be on a commit that is.
        by_tag => match of_commit(repository, commit).map_err(FetchError::Cache)? {
            Some(signed) => signed.check(signers),
            None => by_tag.unwrap_or_else(|| Err("it is not signed".into())),
        },
    };
    outcome.map_err(|why| {
        let what = format!(
            "the newest commit is refused: {why}. It is {} by {}: {:?}; what was in force stays",
            commit.id, commit.author, commit.summary
        );
        let hint = format!(
            "look at it; if it is good, sign it (git commit --amend -S, with gpg.format=ssh) with a key that stands in {}, \
             or add the key there",
            file.display()
        );
        FetchError::known(UNVERIFIED, what, hint)
    })
}

/// A signature, and what it is over.
struct Signed {
    signature: Vec<u8>,
    text: Vec<u8>,
    made_at: OffsetDateTime,
}

impl Signed {
    fn check(&self, signers: &Signers) -> Result<(), String> {
        signers.check(&self.signature, &self.text, self.made_at)
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

/// The signature stands at the end of a tag's message.
fn of_tag(repository: &Repository, tip: Oid) -> Result<Option<Signed>, git2::Error> {
    let odb = repository.odb()?;
    let object = odb.read(tip)?;
    if object.kind() != ObjectType::Tag {
        return Ok(None);
    }
    let data = object.data();
    let begins = |at: &usize| data[*at..].starts_with(BEGIN) && data[..*at].ends_with(b"\n");
    let Some(at) = (0..data.len()).rev().find(begins) else { return Ok(None) };
    let made = repository.find_tag(tip)?.tagger().map(|tagger| tagger.when().seconds());
    let made_at = made.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    let made_at = made_at.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    Ok(Some(Signed { signature: data[at..].to_vec(), text: data[..at].to_vec(), made_at }))
}
