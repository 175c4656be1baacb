//! Whether the newest commit is signed by somebody who may: the commit itself, or the tag that was followed to it. Says
//! nothing of the commits before it; what is signed is the whole state.

use std::{fs, path::Path};

use git2::{ErrorCode, ObjectType, Oid, Repository};
use time::OffsetDateTime;

use super::{
    signers::Signers,
    trouble::{Trouble, UNVERIFIED},
};
use crate::core::{commit::Commit, digest::Digest};

const BEGIN: &[u8] = b"-----BEGIN ";

/// The allowed signers as they are now, and what tells them from others.
pub(super) fn signers(file: &Path) -> Result<(Signers, Digest), Trouble> {
    let text = fs::read_to_string(file).map_err(|error| error.to_string());
    let digest = text.as_ref().map(|text| Digest::of_bytes(text.as_bytes())).ok();
    let read = text.and_then(|text| Signers::read(&text));
    match (read, digest) {
        (Ok(signers), Some(digest)) => Ok((signers, digest)),
        (Err(why), _) => Err(unusable(file, &why)),
        (Ok(_), None) => Err(unusable(file, "it cannot be read")),
    }
}

fn unusable(file: &Path, why: &str) -> Trouble {
    let what = format!("the allowed signers in {}: {why}", file.display());
    Trouble::known(
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
) -> Result<(), Trouble> {
    let of_tag = tag_signature(repository, tip).map_err(Trouble::Cache)?;
    let by_tag = of_tag.map(|(signature, signed, at)| signers.check(&signature, &signed, at));
    let outcome = match by_tag {
        Some(Ok(())) => return Ok(()),
        // A tag that is not signed as it should be may be on a commit that is.
        by_tag => match commit_signature(repository, commit)? {
            Some((signature, signed)) => signers.check(&signature, &signed, commit.committed_at),
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
        Trouble::known(UNVERIFIED, what, hint)
    })
}

type Signed = (Vec<u8>, Vec<u8>);

fn commit_signature(repository: &Repository, commit: &Commit) -> Result<Option<Signed>, Trouble> {
    let id = Oid::from_str(&commit.id).map_err(Trouble::Cache)?;
    match repository.extract_signature(&id, None) {
        Ok((signature, signed)) => Ok(Some((signature.to_vec(), signed.to_vec()))),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(Trouble::Cache(error)),
    }
}

/// The signature at the end of a tag's message, what it is over, and when the tag was made.
fn tag_signature(repository: &Repository, tip: Oid) -> Result<Option<(Vec<u8>, Vec<u8>, OffsetDateTime)>, git2::Error> {
    let odb = repository.odb()?;
    let object = odb.read(tip)?;
    if object.kind() != ObjectType::Tag {
        return Ok(None);
    }
    let data = object.data();
    let Some(at) = (0..data.len()).rev().find(|at| data[*at..].starts_with(BEGIN) && data[..*at].ends_with(b"\n"))
    else {
        return Ok(None);
    };
    let tagger = repository.find_tag(tip)?.tagger().map(|tagger| tagger.when().seconds());
    let made = tagger.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    Ok(Some((data[at..].to_vec(), data[..at].to_vec(), made.unwrap_or(OffsetDateTime::UNIX_EPOCH))))
}
