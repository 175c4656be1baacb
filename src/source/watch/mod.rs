//! Notices changes below folders. It reports only that something changed, not what: notifications arrive late, twice or not
//! at all, so they are hints, and a scan decides. It reads no file.

mod listener;
mod scan;

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep, timeout_at},
};

use listener::{ChangeHints, ListenError, Listener};
use scan::{Scan, scan};

/// How long nothing may change before a change is reported.
const QUIET: Duration = Duration::from_millis(100);
/// How long a report may be delayed while changes continue.
const MAX_DELAY: Duration = Duration::from_secs(2);
/// How often to scan without a hint.
const SLOW_POLL: Duration = Duration::from_secs(30);
/// How often to scan while there are no notifications.
const FAST_POLL: Duration = Duration::from_secs(2);
/// How long to wait before notifications are tried again.
const RETRY: Duration = Duration::from_secs(30);

/// Reports changes below some folders. Dropping it ends the watch.
#[derive(Debug)]
pub struct Watch {
    changes: watch::Receiver<u64>,
    task: JoinHandle<()>,
}

impl Watch {
    /// Watches folders, whether they exist yet or not. They are scanned before this returns, so that every later change is
    /// noticed: start the watch first, then read. Needs a Tokio runtime.
    pub fn start(paths: Vec<PathBuf>) -> Self {
        Self::with(paths, true)
    }

    /// Watches folders by scanning them every two seconds, for file systems without notifications, like NFS.
    pub fn polling(paths: Vec<PathBuf>) -> Self {
        Self::with(paths, false)
    }

    fn with(paths: Vec<PathBuf>, listens: bool) -> Self {
        let (sender, changes) = watch::channel(0);
        let watcher = Watcher::open(paths, listens);
        Self { changes, task: tokio::spawn(watcher.run(sender)) }
    }

    /// Waits for a change since the last call, and until nothing changed for 100 ms, or 2 s at most. Many changes at once
    /// count as one. Dropping the future misses none.
    pub async fn changed(&mut self) {
        if self.changes.changed().await.is_err() {
            // Only a bug ends the task. From now on the source is read at intervals.
            tracing::warn!(
                "the watch of the source's folders ended; they are read every {} s instead",
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

/// The task behind a [`Watch`].
struct Watcher {
    paths: Arc<[PathBuf]>,
    hints: Arc<ChangeHints>,
    listener: Option<Listener>,
    listens: bool,
    warned: bool,
    retry_at: Instant,
    last: Scan,
}

/// The result of one scan.
struct ScanResult {
    scan: Scan,
    /// Whether a folder is newly watched, so that changes in it may have been missed.
    has_new: bool,
}

/// The result of one scan, with its listener.
struct ScanOutcome {
    scan: Scan,
    listener: Option<Listener>,
    /// Whether a folder is newly watched, so that changes in it may have been missed.
    has_new: bool,
    failure: Option<ListenError>,
}

impl Watcher {
    fn open(paths: Vec<PathBuf>, listens: bool) -> Self {
        let paths: Arc<[PathBuf]> = paths.into_iter().map(|path| std::path::absolute(&path).unwrap_or(path)).collect();
        let hints = Arc::new(ChangeHints::default());
        let (mut first, mut listener) = (scan_and_listen(&paths, &hints, None, listens), None);
        if listens && first.failure.is_none() {
            // A second scan catches what happened before the listener was ready.
            listener = first.listener.take();
            first.scan = scan(&paths);
        }
        let mut watcher = Self {
            paths,
            hints,
            listener,
            listens,
            warned: false,
            retry_at: crate::clock::runtime_instant() + RETRY,
            last: first.scan,
        };
        watcher.report(first.failure);
        watcher
    }

    async fn run(mut self, changes: watch::Sender<u64>) {
        loop {
            if !self.is_hinted().await {
                let ScanResult { scan, has_new } = self.scan().await;
                if scan == self.last && !has_new {
                    continue;
                }
            }
            let now = self.settle().await;
            if now != self.last {
                self.last = now;
                changes.send_modify(|count| *count += 1);
            }
        }
    }

    /// Waits for a hint, or until a scan is due. Returns whether there was a hint.
    async fn is_hinted(&self) -> bool {
        let poll = if self.listener.is_some() { SLOW_POLL } else { FAST_POLL };
        tokio::select! {
            () = self.hints.scan.notified() => true,
            () = sleep(poll) => false,
        }
    }

    /// Waits until two scans with a quiet period in between are equal, and all folders are watched.
    async fn settle(&mut self) -> Scan {
        let end = crate::clock::runtime_instant() + MAX_DELAY;
        let mut before = self.scan().await.scan;
        loop {
            self.quiet(end).await;
            let ScanResult { scan: now, has_new } = self.scan().await;
            if now == before && !has_new {
                return now;
            }
            if crate::clock::runtime_instant() >= end {
                self.hints.scan.notify_one();
                return now;
            }
            before = now;
        }
    }

    async fn quiet(&self, end: Instant) {
        while crate::clock::runtime_instant() < end {
            let until = (crate::clock::runtime_instant() + QUIET).min(end);
            if timeout_at(until, self.hints.scan.notified()).await.is_err() {
                return;
            }
        }
    }

    /// Scans and watches the folders, off the runtime since both wait for the disk.
    async fn scan(&mut self) -> ScanResult {
        let reopens = self.listens && (self.listener.is_some() || crate::clock::runtime_instant() >= self.retry_at);
        let (paths, hints, listener) = (self.paths.clone(), self.hints.clone(), self.listener.take());
        let outcome = tokio::task::spawn_blocking(move || scan_and_listen(&paths, &hints, listener, reopens)).await;
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(error) => {
                let failure = Some(ListenError::Other(error.to_string()));
                ScanOutcome { scan: self.last.clone(), listener: None, has_new: false, failure }
            }
        };
        let ScanOutcome { scan, listener, has_new, failure } = outcome;
        self.listener = listener;
        self.report(failure);
        ScanResult { scan, has_new }
    }

    /// Logs once that notifications fail, and once that they work again.
    fn report(&mut self, failure: Option<ListenError>) {
        if let Some(error) = failure {
            self.retry_at = crate::clock::runtime_instant() + RETRY;
            if !self.warned {
                let (poll, retry) = (FAST_POLL.as_secs(), RETRY.as_secs());
                tracing::warn!(
                    "cannot watch for changes of files ({error}): the folders are scanned every {poll} s, and watching is tried again every {retry} s"
                );
            }
            self.warned = true;
        } else if self.warned && self.listener.is_some() {
            tracing::info!("changes of files are watched again");
            self.warned = false;
        }
    }
}

fn scan_and_listen(
    paths: &[PathBuf],
    hints: &Arc<ChangeHints>,
    listener: Option<Listener>,
    opens: bool,
) -> ScanOutcome {
    let scan = scan(paths);
    let listener = match (hints.take_failure(), listener) {
        (Some(error), Some(_)) => Err(error),
        (_, Some(listener)) => Ok(Some(listener)),
        (_, None) if opens => Listener::open(hints).map(Some),
        (_, None) => Ok(None),
    };
    let watching = listener.and_then(|listener| match listener {
        Some(mut listener) => listener.watch(&scan.watched).map(|has_new| (Some(listener), has_new)),
        None => Ok((None, false)),
    });
    match watching {
        Ok((listener, has_new)) => ScanOutcome { scan, listener, has_new, failure: None },
        Err(error) => ScanOutcome { scan, listener: None, has_new: false, failure: Some(error) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_listener_that_fails_is_replaced_and_changes_are_found_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let mut watcher = Watcher::open(vec![folder.path().into()], true);
        assert!(watcher.listener.is_some() && !watcher.warned);
        watcher.hints.handle(Err(notify::Error::generic("broken")));
        let before = watcher.scan().await.scan;
        assert!(watcher.listener.is_none() && watcher.warned);
        std::fs::write(folder.path().join("a.yaml"), "1").unwrap();
        let after = watcher.scan().await.scan;
        assert!(before != after, "the change is found without a listener");
        assert!(watcher.listener.is_none(), "watching is not tried again at once");
        watcher.retry_at = crate::clock::runtime_instant();
        let has_new = watcher.scan().await.has_new;
        assert!(
            watcher.listener.is_some() && !watcher.warned && has_new,
            "it watches again, and knows that it may have missed a change"
        );
    }
}
