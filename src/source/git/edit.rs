//! Commits one change of a file on the tip of the followed branch and pushes it without force. It builds git objects and checks
//! nothing out. It blocks, so it runs in its own thread.

use std::time::Instant;

use git2::{FileMode, ObjectType, Oid, Repository, Signature, build::TreeUpdateBuilder};

use super::{
    access::FetchCredentials,
    cache,
    fetch_error::{FetchError, REFUSED},
    find_path::{self, FindError, FoundPath, PathKind},
    push::{self, Pushed},
    remote::{self, Depth, Tip},
    remote_check::is_cached,
    settings::{GitSettings, Reference},
    tree,
};
use crate::source::{Edit, Edited, NotEdited};

/// How often an edit is tried on a branch that moves meanwhile.
const ATTEMPTS: usize = 3;

/// The name and address of the committer; the author is whoever made the edit.
const COMMITTER: (&str, &str) = ("AgentPod", "agentpod@agentpod");

/// Why a source with these settings cannot be edited, if it cannot.
pub(crate) fn edit_obstacle(settings: &GitSettings) -> Option<&'static str> {
    if matches!(settings.reference, Reference::Tag(_)) {
        Some("the source follows a tag, which does not move; follow a branch with --git-branch, or omit --edits")
    } else if settings.signers.is_some() {
        Some(
            "--git-verify accepts only signed commits, and AgentPod's would not be signed; omit --edits or --git-verify",
        )
    } else {
        None
    }
}

/// Makes the change.
pub(super) fn edit(settings: &GitSettings, edit: &Edit, deadline: Instant) -> Result<Edited, NotEdited> {
    if let Some(why) = edit_obstacle(settings) {
        return Err(refused(settings, why, "nothing was committed"));
    }
    let mut access = FetchCredentials::default();
    let outcome = FetchCredentials::read(settings).map_err(EditStopped::from).and_then(|read| {
        access = read;
        let folder = cache::folder_for_edits(settings);
        let attempt = |repository: Repository| attempts(&repository, settings, &access, edit, deadline);
        match cache::open(&folder).map_err(EditStopped::from).and_then(attempt) {
            // Whatever is wrong with the cache: everything in it can be fetched again.
            Err(EditStopped::Fetch(FetchError::Cache(error))) => {
                tracing::info!("fetching everything from {} again: {}", settings.address, error.message());
                cache::recreate(&folder).map_err(EditStopped::from).and_then(attempt)
            }
            outcome => outcome,
        }
    });
    outcome.map_err(|stop| match stop {
        EditStopped::Fetch(error) => error.into_error(&settings.origin(), &access.secrets).into(),
        EditStopped::Refused(error) => error,
    })
}

/// What ends an attempt.
enum EditStopped {
    Fetch(FetchError),
    Refused(NotEdited),
}

impl From<FetchError> for EditStopped {
    fn from(error: FetchError) -> Self {
        Self::Fetch(error)
    }
}

impl From<git2::Error> for EditStopped {
    fn from(error: git2::Error) -> Self {
        Self::Fetch(FetchError::Cache(error))
    }
}

fn refused(settings: &GitSettings, what: impl Into<String>, hint: impl Into<String>) -> NotEdited {
    NotEdited::Unwritten { origin: settings.origin(), what: what.into(), hint: hint.into() }
}

fn attempts(
    repository: &Repository,
    settings: &GitSettings,
    access: &FetchCredentials,
    edit: &Edit,
    deadline: Instant,
) -> Result<Edited, EditStopped> {
    let mut before: Option<(Oid, String)> = None;
    for _ in 0..ATTEMPTS {
        let tip = remote::fetch(repository, settings, access, deadline, Depth::All, |tip| is_cached(repository, tip))
            .map_err(FetchError::before_a_commit)?;
        if let Some((_, why)) = before.as_ref().filter(|(id, _)| *id == tip.id) {
            let hint = "let AgentPod's token or key push to this branch, or add the file yourself";
            let what = format!("the remote rejected the commit: {why}");
            return Err(FetchError::new(REFUSED, what, hint).into());
        }
        let (id, file) = commit(repository, settings, &tip, edit)?;
        match push::push(repository, settings, access, deadline, id, &tip.name)? {
            Pushed::Done => return Ok(Edited { file, commit: Some(id.to_string()) }),
            Pushed::Rejected(why) => before = Some((tip.id, why)),
        }
    }
    let what = format!("the branch moved during each of {ATTEMPTS} attempts");
    Err(FetchError::new(REFUSED, what, "nothing was committed; try again later").into())
}

/// Creates the commit in the cache.
fn commit(
    repository: &Repository,
    settings: &GitSettings,
    tip: &Tip,
    edit: &Edit,
) -> Result<(Oid, String), EditStopped> {
    cache::record(repository, tip.id)?;
    let parent = repository.find_object(tip.id, None)?.peel(ObjectType::Commit)?;
    let parent = repository.find_commit(parent.id())?;
    let (base, origin) = (parent.tree()?, settings.origin());
    let files = tree::read(repository, base.id(), &settings.path, &origin).map_err(|error| match error {
        FetchError::Refused(error) => EditStopped::Refused(error.into()),
        error => EditStopped::Fetch(error),
    })?;
    let change = (edit.decide)(&files).map_err(|problems| EditStopped::Refused(NotEdited::Problems(problems)))?;
    // Links on the way are followed, as they are when the folder is read.
    let folder = match find_path::find(repository, base.id(), &[], &settings.path) {
        Ok(FoundPath { kind: PathKind::Folder, path, .. }) => path,
        Err(FindError::Git(error)) => return Err(error.into()),
        Ok(_) | Err(FindError::NotFound(_)) => {
            let hint = "set --git-path to the folder with the manifests";
            return Err(EditStopped::Refused(refused(settings, "there is no such folder", hint)));
        }
    };
    let path = [folder.as_slice(), std::slice::from_ref(&change.path)].concat().join("/");
    let mut update = TreeUpdateBuilder::new();
    match (&change.before, &change.after) {
        (None, Some(text)) => {
            if base.get_path(path.as_ref()).is_ok() {
                let what = format!("{path} exists already");
                return Err(EditStopped::Refused(refused(
                    settings,
                    what,
                    "remove it, or add the file under another name yourself",
                )));
            }
            update.upsert(path, repository.blob(text.as_bytes())?, FileMode::Blob);
        }
        (Some(_), Some(text)) => {
            // The file that a link leads to is changed, and the link stays.
            let real = match find_path::find(repository, base.id(), &folder, &change.path) {
                Ok(FoundPath { kind: PathKind::File, path, .. }) => path.join("/"),
                Err(FindError::Git(error)) => return Err(error.into()),
                Ok(_) | Err(FindError::NotFound(_)) => path,
            };
            let is_executable =
                base.get_path(real.as_ref()).is_ok_and(|entry| entry.filemode() == i32::from(FileMode::BlobExecutable));
            let mode = if is_executable { FileMode::BlobExecutable } else { FileMode::Blob };
            update.upsert(real, repository.blob(text.as_bytes())?, mode);
        }
        (_, None) => {
            update.remove(path);
        }
    }
    let tree = update.create_updated(repository, &base)?;
    let tree = repository.find_tree(tree)?;
    let (author, committer) = (author(&edit.author)?, Signature::now(COMMITTER.0, COMMITTER.1)?);
    let name = author.name().unwrap_or_default();
    let message = format!("{}\n\nMade-on-the-dashboard-by: {name}\n", edit.summary);
    Ok((repository.commit(None, &author, &committer, &message, &tree, &[&parent])?, change.path))
}

/// A git signature for an account. The address belongs to no forge, so that no user there is shown as the author.
fn author(name: &str) -> Result<Signature<'static>, git2::Error> {
    let plain = |c: char| if c.is_control() || matches!(c, '<' | '>') { '?' } else { c };
    let name: String = name.chars().take(100).map(plain).collect();
    let local: String = name.chars().map(|c| if c == '@' || c.is_whitespace() { '.' } else { c }).collect();
    Signature::now(&name, &format!("{local}@agentpod"))
}
