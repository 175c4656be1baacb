//! A git repository as a source. Fetching is slow and may hang, so it runs beside the rounds: [`Git::fetch`] asks the remote
//! and stores the result, [`Git::read`] returns it. While the remote cannot be reached, the last fetch stays valid. Nothing
//! is checked out, and nothing in a repository is executed.

mod access;
mod address;
mod cache;
mod edit;
mod fetch_error;
mod find_path;
mod hosts;
mod http;
mod push;
mod remote;
mod remote_check;
mod settings;
mod shown;
mod signers;
mod tree;
mod verify;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tokio::sync::{Semaphore, oneshot};

pub use address::Address;
pub(crate) use address::Transport;
pub(crate) use edit::edit_obstacle;
pub use http::{HTTP_SCHEME, http_transport};
pub use settings::{Credentials, GitSettings, Reference};

use super::{Edit, Edited, NotEdited, SharedHealth, Snapshot, SourceError, SourceHealth};
use remote_check::{CheckedTip, check};

/// How long a start waits for the first fetch before it continues with the stored revision.
pub(crate) const FIRST_FETCH_TIMEOUT: Duration = Duration::from_secs(10);
/// How many fetches may hang past their timeout before no other is started.
const MAX_HANGING: usize = 3;

/// A git repository; clones share what was fetched.
#[derive(Debug, Clone)]
pub struct Git(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    settings: GitSettings,
    origin: String,
    state: Mutex<RemoteState>,
    health: SharedHealth,
    /// One fetch at a time.
    turn: tokio::sync::Mutex<()>,
    threads: Arc<Semaphore>,
    is_polled: AtomicBool,
    began: Instant,
}

#[derive(Debug, Default)]
struct RemoteState {
    /// The tip of the last fetch that reached the remote.
    checked: Option<CheckedTip>,
    /// The result of the last fetch.
    latest: Option<Result<Snapshot, SourceError>>,
}

/// Work on the remote did not finish.
struct ThreadError {
    what: String,
    hint: &'static str,
}

impl Git {
    /// A source with these settings, which fetches nothing yet.
    pub fn new(settings: GitSettings) -> Self {
        Self(Arc::new(Shared {
            origin: settings.origin(),
            health: SharedHealth::every(settings.interval),
            settings,
            state: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            threads: Arc::new(Semaphore::new(MAX_HANGING)),
            is_polled: AtomicBool::new(false),
            began: crate::clock::instant(),
        }))
    }

    /// The repository, branch and folder, for people; without credentials.
    pub fn origin(&self) -> String {
        self.0.origin.clone()
    }

    /// When it was fetched, and with what result.
    pub fn health(&self) -> SourceHealth {
        self.0.health.health()
    }

    /// How often the remote is asked.
    pub(crate) fn interval(&self) -> Duration {
        self.0.settings.interval
    }

    /// Declares that a poll fetches regularly, so that reading never waits for the remote.
    pub(crate) fn mark_polled(&self) {
        self.0.is_polled.store(true, Ordering::Relaxed);
    }

    /// Whether the first fetch is still under way and within its timeout.
    pub fn is_awaited(&self) -> bool {
        self.is_polled() && self.state().latest.is_none() && self.0.began.elapsed() < FIRST_FETCH_TIMEOUT
    }

    /// The result of the last fetch. Waits for the remote only if nothing polls it and nothing was fetched yet.
    pub async fn read(&self) -> Result<Snapshot, SourceError> {
        if self.state().latest.is_none() && !self.is_polled() {
            self.fetch().await;
        }
        self.state().latest.clone().unwrap_or_else(|| {
            Err(SourceError::Unfetched {
                origin: self.origin(),
                code: fetch_error::UNREACHABLE,
                what: "the remote has not answered since the start".into(),
                hint: "it is tried again automatically; check that it can be reached from here".into(),
            })
        })
    }

    /// Fetches from the remote and returns whether the result differs from the last one. Only one fetch runs at a time.
    pub async fn fetch(&self) -> bool {
        let _turn = self.0.turn.lock().await;
        let before = self.state().checked.clone();
        let outcome = self.check(before).await;
        self.0.health.record(match &outcome {
            Ok(checked) => Ok(Some(checked.commit.clone())),
            Err(error) => Err(error),
        });
        let mut state = self.state();
        let latest = match outcome {
            Ok(checked) => {
                let latest = checked.outcome.clone();
                state.checked = Some(checked);
                latest
            }
            Err(error) => Err(error),
        };
        let is_new = state.latest.as_ref() != Some(&latest);
        state.latest = Some(latest);
        is_new
    }

    /// Commits a file on the tip of the branch and pushes it, never during a fetch.
    pub async fn edit(&self, edit: Edit) -> Result<Edited, NotEdited> {
        let _turn = self.0.turn.lock().await;
        let settings = self.0.settings.clone();
        let added = self.in_thread(move |deadline| edit::edit(&settings, &edit, deadline)).await;
        added.unwrap_or_else(|ThreadError { what, .. }| {
            let hint = "check whether the branch has the commit, then try again".into();
            Err(NotEdited::Unwritten { origin: self.origin(), what, hint })
        })
    }

    async fn check(&self, before: Option<CheckedTip>) -> Result<CheckedTip, SourceError> {
        let settings = self.0.settings.clone();
        let checked = self.in_thread(move |deadline| check(&settings, before, deadline)).await;
        checked.unwrap_or_else(|ThreadError { what, hint }| {
            Err(SourceError::Unfetched {
                origin: self.origin(),
                code: fetch_error::UNREACHABLE,
                what,
                hint: hint.into(),
            })
        })
    }

    /// Runs work on the remote in its own thread. If it hangs, neither the caller nor the end of the process waits for it.
    async fn in_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce(Instant) -> T + Send + 'static,
    ) -> Result<T, ThreadError> {
        let hint = "it is tried again automatically; check that the remote can be reached from here";
        let Ok(permit) = self.0.threads.clone().try_acquire_owned() else {
            return Err(ThreadError { what: "the remote did not answer this time or before".into(), hint });
        };
        let (timeout, (answer, done)) = (self.0.settings.timeout, oneshot::channel());
        let deadline = crate::clock::instant() + timeout;
        let started = thread::Builder::new().name("git".into()).spawn(move || {
            let outcome = work(deadline);
            // Released before the answer, since the caller may start the next work at once.
            drop(permit);
            let _ = answer.send(outcome);
        });
        if let Err(error) = started {
            let what = format!("cannot start a thread: {error}");
            return Err(ThreadError { what, hint: "check the machine's memory and limits" });
        }
        match tokio::time::timeout(timeout, done).await {
            Ok(Ok(outcome)) => Ok(outcome),
            Ok(Err(_)) => Err(ThreadError { what: "AgentPod failed with a bug".into(), hint: "please report it" }),
            Err(_) => {
                Err(ThreadError { what: format!("the remote did not answer within {} s", timeout.as_secs()), hint })
            }
        }
    }

    fn is_polled(&self) -> bool {
        self.0.is_polled.load(Ordering::Relaxed)
    }

    fn state(&self) -> MutexGuard<'_, RemoteState> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
