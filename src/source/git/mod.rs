//! A git repository as a source. Fetching is slow and may hang, so it happens beside the rounds: [`Git::fetch`] asks the
//! remote and remembers what came of it, [`Git::read`] answers from memory. What was fetched last stays what it is while
//! the remote cannot be reached; nothing is ever checked out, and nothing of a repository is run.

mod access;
mod address;
mod cache;
mod edit;
mod fetch_error;
mod find_path;
mod hosts;
mod push;
mod remote;
mod remote_check;
mod settings;
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

pub use address::{Address, Way};
pub use edit::unfit;
pub use settings::{Credentials, GitSettings, Reference};

use super::{Added, Edit, NotAdded, SharedHealth, Snapshot, SourceError, SourceHealth};
use remote_check::{CheckedTip, look};

/// How long a start waits for the first fetch before it goes on with what is remembered from before.
pub const FIRST: Duration = Duration::from_secs(10);
/// How many fetches may hang at a time, each past its limit; with so many no other is begun.
const MOST_HANGING: usize = 3;

/// A git repository; clones share what was fetched.
#[derive(Debug, Clone)]
pub struct Git(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    settings: GitSettings,
    origin: String,
    memory: Mutex<RemoteState>,
    tried: SharedHealth,
    /// One fetch at a time.
    turn: tokio::sync::Mutex<()>,
    threads: Arc<Semaphore>,
    is_polled: AtomicBool,
    began: Instant,
}

#[derive(Debug, Default)]
struct RemoteState {
    /// What the last fetch that reached the remote found.
    judged: Option<CheckedTip>,
    /// What is there to read.
    latest: Option<Result<Snapshot, SourceError>>,
}

impl Git {
    /// The source with these settings. Nothing is fetched yet.
    pub fn new(settings: GitSettings) -> Self {
        Self(Arc::new(Shared {
            origin: settings.origin(),
            tried: SharedHealth::every(settings.interval),
            settings,
            memory: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            threads: Arc::new(Semaphore::new(MOST_HANGING)),
            is_polled: AtomicBool::new(false),
            began: crate::clock::instant(),
        }))
    }

    /// The repository, branch and folder, for people; no credential is in it.
    pub fn origin(&self) -> String {
        self.0.origin.clone()
    }

    /// How it fares.
    pub fn health(&self) -> SourceHealth {
        self.0.tried.health()
    }

    /// How often the remote is asked.
    pub fn interval(&self) -> Duration {
        self.0.settings.interval
    }

    /// From now on somebody fetches again and again, and reading never waits for the remote.
    pub fn is_polled_from_now_on(&self) {
        self.0.is_polled.store(true, Ordering::Relaxed);
    }

    /// Whether the first fetch is under way, and not for long yet.
    pub fn is_awaited(&self) -> bool {
        self.is_polled() && self.memory().latest.is_none() && self.0.began.elapsed() < FIRST
    }

    /// What was fetched last, or why nothing was. Waits for the remote only if nobody polls and nothing was fetched yet.
    pub async fn read(&self) -> Result<Snapshot, SourceError> {
        if self.memory().latest.is_none() && !self.is_polled() {
            self.fetch().await;
        }
        self.memory().latest.clone().unwrap_or_else(|| {
            Err(SourceError::Unfetched {
                origin: self.origin(),
                code: fetch_error::UNREACHABLE,
                what: "it has not answered since the start".into(),
                hint: "it is waited for; see whether it can be reached from here".into(),
            })
        })
    }

    /// Asks the remote. Answers whether there is anything else to read than before. Two at a time are one after the other.
    pub async fn fetch(&self) -> bool {
        let _turn = self.0.turn.lock().await;
        let before = self.memory().judged.clone();
        let looked = self.look(before).await;
        self.0.tried.note(match &looked {
            Ok(judged) => Ok(Some(judged.commit.clone())),
            Err(error) => Err(error.to_string()),
        });
        let mut memory = self.memory();
        let latest = match looked {
            Ok(judged) => {
                let outcome = judged.outcome.clone();
                memory.judged = Some(judged);
                outcome
            }
            Err(error) => Err(error),
        };
        let is_news = memory.latest.as_ref() != Some(&latest);
        memory.latest = Some(latest);
        is_news
    }

    /// Commits a file on the tip of the branch and pushes it. Never at the same time as a fetch of ours.
    pub async fn add(&self, edit: Edit) -> Result<Added, NotAdded> {
        let _turn = self.0.turn.lock().await;
        let settings = self.0.settings.clone();
        let added = self.in_thread(move |deadline| edit::add(&settings, &edit, deadline)).await;
        added.unwrap_or_else(|(what, _)| {
            let hint = "look at the branch whether the commit is there, and try again".into();
            Err(NotAdded::Unwritten { origin: self.origin(), what, hint })
        })
    }

    async fn look(&self, before: Option<CheckedTip>) -> Result<CheckedTip, SourceError> {
        let settings = self.0.settings.clone();
        let looked = self.in_thread(move |deadline| look(&settings, before, deadline)).await;
        looked.unwrap_or_else(|(what, hint)| {
            Err(SourceError::Unfetched {
                origin: self.origin(),
                code: fetch_error::UNREACHABLE,
                what,
                hint: hint.into(),
            })
        })
    }

    /// Speaks with the remote in a thread of its own, which nobody waits for when it hangs: neither we nor the end of the
    /// process. Answers what came of it, or what happened instead and what to do.
    async fn in_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce(Instant) -> T + Send + 'static,
    ) -> Result<T, (String, &'static str)> {
        let again = "it is tried again by itself; see whether the remote can be reached from here";
        let Ok(permit) = self.0.threads.clone().try_acquire_owned() else {
            return Err(("the remote does not answer, and neither did it the times before".into(), again));
        };
        let (patience, (answer, done)) = (self.0.settings.patience, oneshot::channel());
        let deadline = crate::clock::instant() + patience;
        let begun = thread::Builder::new().name("git".into()).spawn(move || {
            let outcome = work(deadline);
            // Before the answer: whoever hears it may begin the next one at once.
            drop(permit);
            let _ = answer.send(outcome);
        });
        if let Err(error) = begun {
            return Err((format!("no thread can be started: {error}"), "the machine is short of something"));
        }
        match tokio::time::timeout(patience, done).await {
            Ok(Ok(outcome)) => Ok(outcome),
            Ok(Err(_)) => Err(("reading it ended in a defect of AgentPod".into(), "please report it")),
            Err(_) => Err((format!("the remote did not answer within {} s", patience.as_secs()), again)),
        }
    }

    fn is_polled(&self) -> bool {
        self.0.is_polled.load(Ordering::Relaxed)
    }

    fn memory(&self) -> MutexGuard<'_, RemoteState> {
        self.0.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
