//! Pushes one commit to the followed branch, never by force. The remote's answer is quoted without credentials; the caller
//! fetches again to see whether the branch moved.

use std::{
    cell::{Cell, RefCell},
    time::Instant,
};

use git2::{ErrorCode, Oid, PushOptions, Repository};

use super::{
    access::FetchCredentials,
    fetch_error::{DENIED, FetchError, Phase, REFUSED},
    http::Session,
    remote::{callbacks, session, url},
    settings::GitSettings,
};

/// The most characters of a remote's answer in a message.
const MAX_QUOTED: usize = 300;

/// The result of a push.
pub(super) enum Pushed {
    /// The branch points to the commit.
    Done,
    /// The remote rejected it, for this reason.
    Rejected(String),
}

/// Pushes a commit to a branch.
pub(super) fn push(
    repository: &Repository,
    settings: &GitSettings,
    access: &FetchCredentials,
    deadline: Instant,
    commit: Oid,
    branch: &str,
) -> Result<Pushed, FetchError> {
    // Declared before the remote, which borrows them.
    let (reason, key_sent, answer) = (RefCell::new(None), Cell::new(false), RefCell::new(None));
    let mut callbacks = callbacks(settings, access, deadline, &reason, &key_sent);
    callbacks.push_update_reference(|_, refused| {
        answer.replace(Some(refused.map(plain)));
        Ok(())
    });
    let mut options = PushOptions::new();
    options.remote_callbacks(callbacks);
    let session = session(settings, access, deadline)?;
    let _entered = session.as_ref().map(Session::enter);
    let mut remote = repository.remote_anonymous(&url(settings)).map_err(FetchError::Cache)?;
    let pushed = remote.push(&[format!("{commit}:{branch}")], Some(&mut options));
    drop(options);
    match (pushed, answer.take()) {
        (Ok(()), Some(None)) => Ok(Pushed::Done),
        (Ok(()), Some(Some(why))) => Ok(Pushed::Rejected(why)),
        (Ok(()), None) => Ok(Pushed::Rejected("it gave no answer for the branch".into())),
        (Err(error), _) if error.code() == ErrorCode::NotFastForward => {
            Ok(Pushed::Rejected("the branch has moved".into()))
        }
        (Err(error), _) => {
            let exact = reason.take().or_else(|| session.as_ref().and_then(Session::take_failure));
            Err(push_error(error, exact, settings))
        }
    }
}

/// Explains an error of a push.
fn push_error(error: git2::Error, exact: Option<FetchError>, settings: &GitSettings) -> FetchError {
    let message = plain(error.message().trim_end_matches('.'));
    match exact.unwrap_or_else(|| FetchError::from_remote(error, settings, Phase::Transfer)) {
        FetchError::Failed { code: DENIED, what, .. } => {
            let hint = "give AgentPod a token or key that may push to this branch, or omit --edits";
            FetchError::new(REFUSED, format!("AgentPod may not push: {what}"), hint)
        }
        FetchError::Failed { code, what, .. } => {
            let what = what.replace("cannot fetch", "cannot push");
            FetchError::new(code, what, "check whether the branch has the commit, then try again")
        }
        // The cache is not at fault, so fetching again would not help.
        _ => {
            let hint = "nothing was committed; check that the repository accepts pushes";
            FetchError::new(REFUSED, format!("cannot push: {message}"), hint)
        }
    }
}

/// A remote's text, sanitized for one line.
fn plain(text: &str) -> String {
    text.trim().chars().take(MAX_QUOTED).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
