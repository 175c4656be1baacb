//! A commit with one more file on the tip of the followed branch, pushed without force. Made of objects alone, like
//! everything here: nothing is checked out. Blocks; runs in a thread of its own.

use std::time::Instant;

use git2::{FileMode, ObjectType, Oid, Repository, Signature, build::TreeUpdateBuilder};

use super::{
    access::FetchCredentials,
    cache,
    fetch_error::{FetchError, REFUSED},
    find_path::{self, FoundPath, PathKind},
    push::{self, Pushed},
    remote::{self, Depth, Tip},
    remote_check::is_whole,
    settings::{GitSettings, Reference},
    tree,
};
use crate::source::{Added, Edit, NotAdded, SourceError};

/// How often it is tried on a branch that moves meanwhile.
const ATTEMPTS: usize = 3;

/// Who commits, while somebody else is the author.
const COMMITTER: (&str, &str) = ("AgentPod", "agentpod@agentpod");

/// Why a source like this is never added to, whatever somebody has the right to.
pub fn unfit(settings: &GitSettings) -> Option<&'static str> {
    if matches!(settings.reference, Reference::Tag(_)) {
        Some("a tag is followed, and tags stay where they are: follow a branch by --git-branch, or leave --edits off")
    } else if settings.signers.is_some() {
        Some(
            "only signed commits are taken (--git-verify), and ours would not be signed: leave --edits off, or \
             --git-verify out",
        )
    } else {
        None
    }
}

/// Adds the file.
pub(super) fn add(settings: &GitSettings, edit: &Edit, deadline: Instant) -> Result<Added, NotAdded> {
    if let Some(why) = unfit(settings) {
        return Err(refused(settings, why, "nothing was committed"));
    }
    let mut access = FetchCredentials::default();
    let outcome = FetchCredentials::read(settings).map_err(EditStopped::from).and_then(|read| {
        access = read;
        let folder = cache::folder_for_edits(settings);
        let attempt = |repository: Repository| attempts(&repository, settings, &access, edit, deadline);
        match cache::open(&folder).map_err(EditStopped::from).and_then(attempt) {
            // Whatever is wrong with what was fetched before: all of it can be fetched once more.
            Err(EditStopped::Fetch(FetchError::Cache(error))) => {
                tracing::info!("what was fetched from {} is fetched anew: {}", settings.address, error.message());
                cache::anew(&folder).map_err(EditStopped::from).and_then(attempt)
            }
            outcome => outcome,
        }
    });
    outcome.map_err(|stop| match stop {
        EditStopped::Fetch(trouble) => trouble.into_error(&settings.origin(), &access.secrets).into(),
        EditStopped::Said(said) => said,
    })
}

/// What ends an attempt.
enum EditStopped {
    Fetch(FetchError),
    Said(NotAdded),
}

impl From<FetchError> for EditStopped {
    fn from(trouble: FetchError) -> Self {
        Self::Fetch(trouble)
    }
}

impl From<git2::Error> for EditStopped {
    fn from(error: git2::Error) -> Self {
        Self::Fetch(FetchError::Cache(error))
    }
}

fn refused(settings: &GitSettings, what: impl Into<String>, hint: impl Into<String>) -> NotAdded {
    NotAdded::Unwritten { origin: settings.origin(), what: what.into(), hint: hint.into() }
}

fn attempts(
    repository: &Repository,
    settings: &GitSettings,
    access: &FetchCredentials,
    edit: &Edit,
    deadline: Instant,
) -> Result<Added, EditStopped> {
    let mut before: Option<(Oid, String)> = None;
    for _ in 0..ATTEMPTS {
        let tip = remote::fetch(repository, settings, access, deadline, Depth::All, |tip| is_whole(repository, tip))?;
        if let Some((_, why)) = before.as_ref().filter(|(id, _)| *id == tip.id) {
            let hint = "let the token or key of AgentPod push to this branch, or save the file there yourself";
            let what = format!("the remote does not take the commit: {why}");
            return Err(FetchError::known(REFUSED, what, hint).into());
        }
        let (id, file) = commit(repository, settings, &tip, edit)?;
        match push::push(repository, settings, access, deadline, id, &tip.name)? {
            Pushed::Done => return Ok(Added { file, commit: Some(id.to_string()) }),
            Pushed::Not(why) => before = Some((tip.id, why)),
        }
    }
    let what = format!("the branch moved on each of {ATTEMPTS} times while the commit was made");
    Err(FetchError::known(REFUSED, what, "nothing was committed; try again when it is quiet").into())
}

/// Makes the commit, here only.
fn commit(
    repository: &Repository,
    settings: &GitSettings,
    tip: &Tip,
    edit: &Edit,
) -> Result<(Oid, String), EditStopped> {
    cache::keep(repository, tip.id)?;
    let parent = repository.find_object(tip.id, None)?.peel(ObjectType::Commit)?;
    let parent = repository.find_commit(parent.id())?;
    let (base, origin) = (parent.tree()?, settings.origin());
    let files = tree::read(repository, base.id(), &settings.path, &origin)?;
    let files = files.map_err(|error: SourceError| EditStopped::Said(error.into()))?;
    let file = (edit.place)(&files).map_err(|problems| EditStopped::Said(NotAdded::Problems(problems)))?;
    // A link on the way is followed, as it is when the folder is read.
    let Ok(FoundPath { kind: PathKind::Folder, path: folder, .. }) =
        find_path::find(repository, base.id(), &[], &settings.path)?
    else {
        return Err(EditStopped::Said(refused(
            settings,
            "there is no such folder",
            "set --git-path to the folder that holds the manifests",
        )));
    };
    let path = [folder.as_slice(), std::slice::from_ref(&file)].concat().join("/");
    if base.get_path(path.as_ref()).is_ok() {
        let what = format!("there is something else called {path}");
        return Err(EditStopped::Said(refused(
            settings,
            what,
            "remove it, or save the file under another name yourself",
        )));
    }
    let blob = repository.blob(edit.text.as_bytes())?;
    let tree = TreeUpdateBuilder::new().upsert(path, blob, FileMode::Blob).create_updated(repository, &base)?;
    let tree = repository.find_tree(tree)?;
    let (author, committer) = (author(&edit.author)?, Signature::now(COMMITTER.0, COMMITTER.1)?);
    let name = author.name().unwrap_or_default();
    let message = format!("{}\n\nMade-on-the-dashboard-by: {name}\n", edit.summary);
    Ok((repository.commit(None, &author, &committer, &message, &tree, &[&parent])?, file))
}

/// Somebody as git has them. The address is none of a forge's: nobody there is taken for its author.
fn author(name: &str) -> Result<Signature<'static>, git2::Error> {
    let plain = |c: char| if c.is_control() || matches!(c, '<' | '>') { '?' } else { c };
    let name: String = name.chars().take(100).map(plain).collect();
    let local: String = name.chars().map(|c| if c == '@' || c.is_whitespace() { '.' } else { c }).collect();
    Signature::now(&name, &format!("{local}@agentpod"))
}
