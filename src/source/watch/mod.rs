//! Noticing that something below some folders changed. Says only that it is time to look again, never what changed:
//! the operating system's events come late, double, or not at all, so they are hints, and what counts is whether the
//! folders look different. Reads no file.

mod listener;
mod scan;

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep, timeout_at},
};

use listener::{ChangeHints, Listener};
use scan::Scan;

/// How long nothing may happen before a change is told.
const QUIET: Duration = Duration::from_millis(100);
/// How long a change may be kept back while it never gets quiet.
const LONGEST: Duration = Duration::from_secs(2);
/// How often the folders are compared although no hint came.
const SLOW_POLL: Duration = Duration::from_secs(30);
/// The same while there is nothing that would give hints.
const FAST_POLL: Duration = Duration::from_secs(2);
/// How long to wait before listening is tried again.
const RETRY: Duration = Duration::from_secs(30);

/// Tells when something below some folders changed. Dropping it ends it.
#[derive(Debug)]
pub struct Watch {
    changes: watch::Receiver<u64>,
    task: JoinHandle<()>,
}

impl Watch {
    /// Watches folders, whether they exist yet or not. They are looked at once before this returns, so that whatever
    /// changes from then on is noticed: start the watch first and read afterwards. Needs a tokio runtime.
    pub fn start(paths: Vec<PathBuf>) -> Self {
        Self::with(paths, true)
    }

    /// Watches folders by comparing them every two seconds; for file systems that give no hints, like NFS.
    pub fn polling(paths: Vec<PathBuf>) -> Self {
        Self::with(paths, false)
    }

    fn with(paths: Vec<PathBuf>, listens: bool) -> Self {
        let (sender, changes) = watch::channel(0);
        let eye = Watcher::open(paths, listens);
        Self { changes, task: tokio::spawn(eye.run(sender)) }
    }

    /// Waits until something changed since this last returned and it has been quiet for 100 ms, or for 2 s at most.
    /// Many changes at once are one. May be dropped and called again without missing any.
    pub async fn changed(&mut self) {
        if self.changes.changed().await.is_err() {
            // Its task ended, which only a defect in it can do: from now on looking again from time to time must do.
            tracing::warn!(
                "the watch on the source's folders ended; they are read every {} s instead",
                SLOW_POLL.as_secs()
            );
            sleep(SLOW_POLL).await;
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What watches, in its own task.
struct Watcher {
    paths: Arc<[PathBuf]>,
    hints: Arc<ChangeHints>,
    ear: Option<Listener>,
    listens: bool,
    warned: bool,
    retry_at: Instant,
    seen: Scan,
}

/// What one examination gives.
struct ScanOutcome {
    look: Scan,
    ear: Option<Listener>,
    /// Whether a folder is listened to that was not before: something may have happened in it in between.
    news: bool,
    trouble: Option<String>,
}

impl Watcher {
    fn open(paths: Vec<PathBuf>, listens: bool) -> Self {
        let paths: Arc<[PathBuf]> = paths.into_iter().map(|path| std::path::absolute(&path).unwrap_or(path)).collect();
        let hints = Arc::new(ChangeHints::default());
        let (mut first, mut ear) = (examine(&paths, &hints, None, listens), None);
        if listens && first.trouble.is_none() {
            // What happened before there were ears is caught by looking once more.
            ear = first.ear.take();
            first.look = scan::look(&paths);
        }
        let mut eye = Self {
            paths,
            hints,
            ear,
            listens,
            warned: false,
            retry_at: crate::clock::runtime_instant() + RETRY,
            seen: first.look,
        };
        eye.tell(first.trouble);
        eye
    }

    async fn run(mut self, changes: watch::Sender<u64>) {
        loop {
            if !self.is_hinted().await {
                let (look, news) = self.examine().await;
                if look == self.seen && !news {
                    continue;
                }
            }
            let now = self.settle().await;
            if now != self.seen {
                self.seen = now;
                changes.send_modify(|count| *count += 1);
            }
        }
    }

    /// Waits for a hint, or until it is time to look without one.
    async fn is_hinted(&self) -> bool {
        let poll = if self.ear.is_some() { SLOW_POLL } else { FAST_POLL };
        tokio::select! {
            () = self.hints.look.notified() => true,
            () = sleep(poll) => false,
        }
    }

    /// Waits until the folders look the same twice with quiet in between, and listens to all of them by then.
    async fn settle(&mut self) -> Scan {
        let end = crate::clock::runtime_instant() + LONGEST;
        let mut before = self.examine().await.0;
        loop {
            self.quiet(end).await;
            let (now, news) = self.examine().await;
            if now == before && !news {
                return now;
            }
            if crate::clock::runtime_instant() >= end {
                self.hints.look.notify_one();
                return now;
            }
            before = now;
        }
    }

    async fn quiet(&self, end: Instant) {
        while crate::clock::runtime_instant() < end {
            let until = (crate::clock::runtime_instant() + QUIET).min(end);
            if timeout_at(until, self.hints.look.notified()).await.is_err() {
                return;
            }
        }
    }

    /// Looks at the folders and listens to those there are; off the runtime, since both wait for the disk.
    async fn examine(&mut self) -> (Scan, bool) {
        let reopens = self.listens && (self.ear.is_some() || crate::clock::runtime_instant() >= self.retry_at);
        let (paths, hints, ear) = (self.paths.clone(), self.hints.clone(), self.ear.take());
        let examined = match tokio::task::spawn_blocking(move || examine(&paths, &hints, ear, reopens)).await {
            Ok(examined) => examined,
            Err(error) => {
                ScanOutcome { look: self.seen.clone(), ear: None, news: false, trouble: Some(error.to_string()) }
            }
        };
        let ScanOutcome { look, ear, news, trouble } = examined;
        self.ear = ear;
        self.tell(trouble);
        (look, news)
    }

    /// Says once that hints do not come, and once that they come again.
    fn tell(&mut self, trouble: Option<String>) {
        if let Some(why) = trouble {
            self.retry_at = crate::clock::runtime_instant() + RETRY;
            if !self.warned {
                let (poll, retry) = (FAST_POLL.as_secs(), RETRY.as_secs());
                tracing::warn!(
                    "changes of files are not reported ({why}): the folders are compared every {poll} s, and listening is tried again every {retry} s"
                );
            }
            self.warned = true;
        } else if self.warned && self.ear.is_some() {
            tracing::info!("changes of files are reported again");
            self.warned = false;
        }
    }
}

fn examine(paths: &[PathBuf], hints: &Arc<ChangeHints>, ear: Option<Listener>, opens: bool) -> ScanOutcome {
    let look = scan::look(paths);
    let heard = match (hints.take_trouble(), ear) {
        (Some(why), Some(_)) => Err(why),
        (_, Some(ear)) => Ok(Some(ear)),
        (_, None) if opens => Listener::open(hints).map(Some),
        (_, None) => Ok(None),
    };
    let listened = heard.and_then(|ear| match ear {
        Some(mut ear) => ear.listen(&look.places).map(|news| (Some(ear), news)),
        None => Ok((None, false)),
    });
    match listened {
        Ok((ear, news)) => ScanOutcome { look, ear, news, trouble: None },
        Err(why) => ScanOutcome { look, ear: None, news: false, trouble: Some(why) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_watcher_that_fails_is_replaced_and_changes_are_found_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let mut eye = Watcher::open(vec![folder.path().into()], true);
        assert!(eye.ear.is_some() && !eye.warned);
        eye.hints.hear(Err(notify::Error::generic("broken")));
        let (before, _) = eye.examine().await;
        assert!(eye.ear.is_none() && eye.warned);
        std::fs::write(folder.path().join("a.yaml"), "1").unwrap();
        let (after, _) = eye.examine().await;
        assert!(before != after, "what changed is found without an ear");
        assert!(eye.ear.is_none(), "it is not tried again at once");
        eye.retry_at = crate::clock::runtime_instant();
        let (_, news) = eye.examine().await;
        assert!(eye.ear.is_some() && !eye.warned && news, "it listens again, and knows that it missed something");
    }
}
