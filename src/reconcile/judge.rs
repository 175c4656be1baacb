//! Judges what was read, apart from the rounds: on a thread of its own, with a stack of known size and a limit in time, so
//! that no content can hold up or end the daemon. What ended it in spite of that is refused at the next start instead of
//! being judged again. Does not read the source, and decides nothing itself: `core::declare::revision` does.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tracing::warn;

use super::message::Report;
use crate::core::{declare::revision::ValidRevision, problem::Problem};

/// The stack of the thread that judges. The core is bounded so that it needs a small part of it.
const STACK_BYTES: usize = 64 << 20;
/// The longest that judging may take; ten thousand pods take a second.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);
/// The most threads that still judge what was given up on.
const MOST_GIVEN_UP: usize = 2;

/// What comes of judging: everything parsed and built, or every problem.
pub(super) type Verdict = Result<ValidRevision, Vec<Problem>>;

/// What is known of content so far.
pub(super) enum Judgement {
    Valid(Box<ValidRevision>),
    Refused(Vec<Problem>),
    /// It is still judged; `Report::Judged` says when that ends.
    Underway,
}

/// Judges one content after the other.
#[derive(Default)]
pub(super) struct Judge {
    underway: Option<Underway>,
    /// What was last refused, with its problems: it is not judged again in every round.
    refused: Option<(String, Vec<Problem>)>,
    /// How many threads judge.
    threads: Arc<AtomicUsize>,
    note: Option<Note>,
    reports: Option<mpsc::UnboundedSender<Report>>,
}

struct Underway {
    content: String,
    verdict: oneshot::Receiver<Verdict>,
    since: Instant,
}

impl Judge {
    /// Tells the reconciler when judging ends that nobody waits for any more.
    pub(super) fn report_to(&mut self, reports: mpsc::UnboundedSender<Report>) {
        self.reports = Some(reports);
    }

    /// Notes in a file what is judged, so that the next start knows what ended this process.
    pub(super) fn note_in(&mut self, path: PathBuf) {
        self.note = Some(Note { path });
    }

    /// Whether something is still judged.
    pub(super) fn is_underway(&self) -> bool {
        self.underway.is_some()
    }

    /// Judges content with this name, and waits for at most `patience`. `origin` names the source, for people.
    pub(super) async fn judge(
        &mut self,
        content: &str,
        origin: &str,
        patience: Duration,
        work: impl FnOnce() -> Verdict + Send + 'static,
    ) -> Judgement {
        if let Some((_, problems)) = self.refused.as_ref().filter(|(refused, _)| refused == content) {
            return Judgement::Refused(problems.clone());
        }
        let is_new = self.underway.as_ref().is_none_or(|underway| underway.content != content);
        if is_new {
            if let Some(note) = self.note.as_ref().filter(|note| note.names(content)) {
                let problem = note.problem(origin);
                return self.refuse(content, vec![problem]);
            }
            if self.threads.load(Ordering::Relaxed) > MOST_GIVEN_UP {
                return Judgement::Underway;
            }
            match self.start(content, work) {
                Ok(underway) => self.underway = Some(underway),
                Err(error) => {
                    let problem = Problem::of_file(origin, format!("no thread could be started to judge it: {error}"));
                    return Judgement::Refused(vec![problem.hint("raise the limit of threads (ulimit -u)")]);
                }
            }
        }
        let Some(underway) = &mut self.underway else { return Judgement::Underway };
        let has_taken = underway.since.elapsed();
        let patience = if is_new { patience } else { Duration::ZERO };
        let verdict = tokio::time::timeout(patience, &mut underway.verdict).await;
        if verdict.is_err() && has_taken < LIMIT && patience < LIMIT {
            return Judgement::Underway;
        }
        self.underway = None;
        self.end_note();
        match verdict {
            Ok(Ok(Ok(valid))) => Judgement::Valid(Box::new(valid)),
            Ok(Ok(Err(problems))) => self.refuse(content, problems),
            Ok(Err(_)) => {
                let problem = Problem::of_file(origin, "judging these files failed inside AgentPod");
                self.refuse(content, vec![problem.hint("this is a mistake in AgentPod; report it with the files")])
            }
            Err(_) => {
                let what = format!("these files take longer than {} s to judge", LIMIT.as_secs());
                let problem = Problem::of_file(origin, what);
                self.refuse(content, vec![problem.hint("make them smaller, or spread them over several AgentPods")])
            }
        }
    }

    fn refuse(&mut self, content: &str, problems: Vec<Problem>) -> Judgement {
        self.refused = Some((content.to_owned(), problems.clone()));
        Judgement::Refused(problems)
    }

    fn start(&self, content: &str, work: impl FnOnce() -> Verdict + Send + 'static) -> io::Result<Underway> {
        if let Some(note) = &self.note
            && let Err(error) = note.begin(content)
        {
            warn!("{} cannot be written: {error}", note.path.display());
        }
        let (answer, verdict) = oneshot::channel();
        let (threads, reports) = (Counted::new(self.threads.clone()), self.reports.clone());
        std::thread::Builder::new().name("judge".into()).stack_size(STACK_BYTES).spawn(move || {
            let verdict = work();
            drop(threads);
            let _ = answer.send(verdict);
            if let Some(reports) = reports {
                let _ = reports.send(Report::Judged);
            }
        })?;
        Ok(Underway { content: content.to_owned(), verdict, since: crate::clock::runtime_instant() })
    }

    fn end_note(&self) {
        if let Some(note) = &self.note {
            note.end();
        }
    }
}

impl Drop for Judge {
    /// An orderly end is no crash.
    fn drop(&mut self) {
        if self.underway.is_some() {
            self.end_note();
        }
    }
}

/// Counts a thread while it runs, also if it panics.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(count: Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A file that names the content being judged, for as long as it is judged.
struct Note {
    path: PathBuf,
}

impl Note {
    /// Whether an earlier process ended while it judged this content.
    fn names(&self, content: &str) -> bool {
        std::fs::read_to_string(&self.path).is_ok_and(|noted| noted == content)
    }

    fn begin(&self, content: &str) -> io::Result<()> {
        let draft = self.path.with_extension("new");
        std::fs::write(&draft, content)?;
        std::fs::rename(&draft, &self.path)
    }

    fn end(&self) {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => warn_about(&self.path, &error),
            _ => {}
        }
    }

    fn problem(&self, origin: &str) -> Problem {
        let what = "AgentPod ended while it judged these files, so they are not tried again";
        let hint = format!(
            "change them; if something else ended AgentPod, remove {} and save a file again",
            self.path.display()
        );
        Problem::of_file(origin, what).hint(hint)
    }
}

fn warn_about(path: &Path, error: &io::Error) {
    warn!("{} cannot be removed: {error}", path.display());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::declare::{adapter::Adapters, manifest::Manifests};

    fn valid() -> Verdict {
        Ok(ValidRevision { manifests: Manifests::default(), adapters: Adapters::default() })
    }

    fn what(judgement: Judgement) -> String {
        match judgement {
            Judgement::Valid(_) => "valid".into(),
            Judgement::Underway => "underway".into(),
            Judgement::Refused(problems) => problems[0].what.clone(),
        }
    }

    #[tokio::test]
    async fn content_that_ended_a_process_is_refused_at_the_next_start_until_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let note = folder.path().join("judging");
        let start = || {
            let mut judge = Judge::default();
            judge.note_in(note.clone());
            judge
        };
        let mut judge = start();
        let seen = note.clone();
        let judged = judge.judge("good", "here", LIMIT, move || {
            assert_eq!(std::fs::read_to_string(&seen).unwrap(), "good");
            valid()
        });
        assert_eq!(what(judged.await), "valid");
        assert!(!note.exists(), "what was judged to its end ended nothing");

        let mut judge = start();
        let (_never, blocked) = std::sync::mpsc::channel::<()>();
        let forever = move || {
            let _ = blocked.recv();
            valid()
        };
        assert_eq!(what(judge.judge("bad", "here", Duration::ZERO, forever).await), "underway");
        // As if the process had ended: nothing removes the note.
        judge.underway = None;
        drop(judge);
        let mut judge = start();
        let judged = what(judge.judge("bad", "here", LIMIT, valid).await);
        assert_eq!(judged, "AgentPod ended while it judged these files, so they are not tried again");
        assert_eq!(what(judge.judge("better", "here", LIMIT, valid).await), "valid");
    }

    #[tokio::test]
    async fn judging_that_takes_long_holds_nobody_up_and_its_end_is_told() {
        let (reports, mut inbox) = mpsc::unbounded_channel();
        let mut judge = Judge::default();
        judge.report_to(reports);
        let (go, wait) = std::sync::mpsc::channel();
        let slow = move || {
            wait.recv().unwrap();
            valid()
        };
        assert_eq!(what(judge.judge("slow", "here", Duration::from_millis(1), slow).await), "underway");
        assert_eq!(what(judge.judge("slow", "here", LIMIT, || unreachable!()).await), "underway");
        go.send(()).unwrap();
        assert!(matches!(inbox.recv().await, Some(Report::Judged)));
        assert_eq!(what(judge.judge("slow", "here", LIMIT, || unreachable!()).await), "valid");
    }

    #[tokio::test]
    async fn a_judge_that_panics_refuses_and_is_not_asked_again() {
        let mut judge = Judge::default();
        let judged = what(judge.judge("odd", "here", LIMIT, || panic!("a mistake")).await);
        assert_eq!(judged, "judging these files failed inside AgentPod");
        assert_eq!(what(judge.judge("odd", "here", LIMIT, valid).await), judged);
    }
}
