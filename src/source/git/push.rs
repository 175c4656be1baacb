//! Pushing one commit to the followed branch, never by force. What the remote answers is told in its words, without
//! credentials; whether the branch moved meanwhile is for whoever fetches it again to see.

use std::{
    cell::{Cell, RefCell},
    time::Instant,
};

use git2::{ErrorCode, Oid, ProxyOptions, PushOptions, RemoteRedirect, Repository};

use super::{
    access::FetchCredentials,
    fetch_error::{DENIED, FetchError, REFUSED},
    remote::callbacks,
    settings::GitSettings,
};

/// The longest answer of a remote that is told.
const MOST_CHARACTERS: usize = 300;

/// What came of a push.
pub(super) enum Pushed {
    /// The branch is at our commit.
    Done,
    /// The remote answered, and did not take it: why.
    Not(String),
}

/// Pushes.
pub(super) fn push(
    repository: &Repository,
    settings: &GitSettings,
    access: &FetchCredentials,
    deadline: Instant,
    commit: Oid,
    branch: &str,
) -> Result<Pushed, FetchError> {
    // Before the remote, which keeps pointing at them.
    let (reason, asked, answer) = (RefCell::new(None), Cell::new(false), RefCell::new(None));
    let mut callbacks = callbacks(settings, access, deadline, &reason, &asked);
    callbacks.push_update_reference(|_, refused| {
        answer.replace(Some(refused.map(plain)));
        Ok(())
    });
    let mut options = PushOptions::new();
    let mut proxy = ProxyOptions::new();
    proxy.auto();
    options.remote_callbacks(callbacks).proxy_options(proxy).follow_redirects(RemoteRedirect::None);
    if let Some(header) = &access.header {
        options.custom_headers(&[header]);
    }
    let mut remote = repository.remote_anonymous(settings.address.as_str()).map_err(FetchError::Cache)?;
    let pushed = remote.push(&[format!("{commit}:{branch}")], Some(&mut options));
    drop(options);
    match (pushed, answer.take()) {
        (Ok(()), Some(None)) => Ok(Pushed::Done),
        (Ok(()), Some(Some(why))) => Ok(Pushed::Not(why)),
        (Ok(()), None) => Ok(Pushed::Not("it says nothing of the branch".into())),
        (Err(error), _) if error.code() == ErrorCode::NotFastForward => Ok(Pushed::Not("the branch has moved".into())),
        (Err(error), _) => Err(reason.take().unwrap_or_else(|| trouble(error, settings))),
    }
}

/// What an error while pushing means.
fn trouble(error: git2::Error, settings: &GitSettings) -> FetchError {
    let said = plain(error.message().trim_end_matches('.'));
    match FetchError::with_remote(error, settings) {
        FetchError::Known(DENIED, what, _) => {
            let hint = "give AgentPod a token or key that may push to this branch, or leave --edits off";
            FetchError::known(REFUSED, format!("we may not push: {what}"), hint)
        }
        FetchError::Known(code, what, _) => {
            let what = what.replace("it could not be fetched", "it could not be pushed");
            FetchError::known(code, what, "look at the branch whether the commit is there, and try again")
        }
        // It is not what we keep that is wrong: fetching it anew would push the same once more.
        _ => {
            let hint = "nothing was committed; see whether this can be pushed to at all";
            FetchError::known(REFUSED, format!("it could not be pushed: {said}"), hint)
        }
    }
}

/// What a remote says, for a page and a log.
fn plain(text: &str) -> String {
    text.trim().chars().take(MOST_CHARACTERS).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
