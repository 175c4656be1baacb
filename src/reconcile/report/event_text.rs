//! The texts of events: which event an action makes, what was done as a sentence, how long a start took. Pure.

use std::fmt::Write;

use crate::core::{
    decide::plan::{Action, Cause, FileSet, Step, Verdict},
    event::EventKind,
    observe::health::{Health, Readiness},
};

/// The kind of event of an action that was executed.
pub(crate) fn kind(action: &Action) -> EventKind {
    let has = |matches_step: fn(&Step) -> bool| action.steps.iter().any(matches_step);
    let by_steps = || {
        if has(|step| matches!(step, Step::Start(_))) {
            EventKind::Started
        } else if has(|step| matches!(step, Step::Remove(_))) {
            EventKind::Removed
        } else {
            EventKind::Stopped
        }
    };
    match (&action.verdict, &action.cause) {
        (Some(Verdict::Reject(_)), _) => EventKind::RolledBack,
        (Some(Verdict::CrashLoop(_)), _) => EventKind::CrashLoop,
        (None, Cause::Missing | Cause::Unfinished) => EventKind::Created,
        (None, Cause::Changed { .. }) => EventKind::Replaced,
        (None, Cause::FilesChanged) => EventKind::Uploaded,
        (None, Cause::OffNetwork(_)) => EventKind::Reconnected,
        (None, Cause::Requested { .. }) if has(|step| matches!(step, Step::Stop(_))) => EventKind::Restarted,
        (None, Cause::Superseded | Cause::Rejected | Cause::NotReady(_)) if by_steps() == EventKind::Removed => {
            EventKind::CleanedUp
        }
        (None, _) => by_steps(),
    }
}

/// What an action does, as a sentence: `stopped alice_a-1, created and started alice_a-2`.
pub(crate) fn done(action: &Action) -> String {
    let mut made = None;
    let mut sentence = String::new();
    for step in &action.steps {
        let (verb, container) = match step {
            Step::Create(container) => {
                made = Some(container);
                continue;
            }
            Step::Start(container) if made == Some(container) => ("created and started", container),
            Step::Start(container) => ("started", container),
            Step::Stop(container) => ("stopped", container),
            Step::Remove(container) => ("removed", container),
            Step::Upload(container, FileSet::Hot) => ("uploaded changed files into", container),
            _ => continue,
        };
        let comma = if sentence.is_empty() { "" } else { ", " };
        let _ = write!(sentence, "{comma}{verb} {container}");
    }
    match &action.verdict {
        Some(Verdict::Reject(rejected)) => write!(sentence, ": {}", rejected.why),
        Some(Verdict::CrashLoop(why)) => write!(sentence, " for a while: {why}"),
        None => Ok(()),
    }
    .unwrap_or_default();
    sentence
}

/// The container an action is about: the one it starts, else the first it names.
pub(crate) fn container(action: &Action) -> Option<&str> {
    let named = |step: &'_ Step| match step {
        Step::Start(_) => 0,
        Step::Stop(_) | Step::Remove(_) | Step::Upload(..) | Step::Create(_) => 1,
        _ => 2,
    };
    let step = action.steps.iter().min_by_key(|step| named(step))?;
    match step {
        Step::Start(name) | Step::Stop(name) | Step::Remove(name) | Step::Upload(name, _) | Step::Create(name) => {
            Some(name)
        }
        _ => None,
    }
}

/// `ready after 13 s`: since its container started, or since it stopped being ready.
pub(crate) fn ready(before: &Health, after: &Health) -> String {
    let (again, since) =
        if before.readiness == Readiness::Lost { (" again", before.since) } else { ("", after.started) };
    format!("ready{again} after {} s", (after.since - since).whole_seconds().max(0))
}

#[cfg(test)]
mod tests {
    use time::{Duration, OffsetDateTime};

    use super::*;
    use crate::core::decide::plan::Rejected;

    fn action(cause: Cause, verdict: Option<Verdict>, steps: &[Step]) -> Action {
        Action { cause, verdict, steps: steps.to_vec() }
    }

    #[test]
    fn an_action_makes_the_event_of_what_it_does() {
        let (old, new) = (|| "a_b-1".to_owned(), || "a_b-2".to_owned());
        let digest = |text: &str| crate::core::digest::Digest::from_label(text.to_owned());
        let changed = Cause::Changed { from: digest("1"), to: digest("2"), parts: Vec::new() };
        let steps = [Step::Image("i".into()), Step::Create(new()), Step::Stop(old()), Step::Start(new())];
        let replaced = action(changed, None, &steps);
        assert_eq!(
            (kind(&replaced), done(&replaced).as_str()),
            (EventKind::Replaced, "stopped a_b-1, created and started a_b-2")
        );
        assert_eq!(container(&replaced), Some("a_b-2"));

        let why = || "not ready within 30s: no answer".to_owned();
        let rejected = Verdict::Reject(Rejected { digest: digest("2"), why: why() });
        let back = action(Cause::NotReady(why()), Some(rejected), &[Step::Stop(new()), Step::Start(old())]);
        assert_eq!(kind(&back), EventKind::RolledBack);
        assert_eq!(done(&back), "stopped a_b-2, started a_b-1: not ready within 30s: no answer");

        let tidied = action(Cause::NotReady(why()), None, &[Step::Remove(new())]);
        assert_eq!(
            (kind(&tidied), done(&tidied).as_str()),
            (EventKind::CleanedUp, "removed a_b-2"),
            "one rollback is one event"
        );
        let resting = Verdict::CrashLoop("restarted 5 times".into());
        let resting = action(Cause::CrashLoop, Some(resting), &[Step::Stop(new())]);
        assert_eq!(
            (kind(&resting), done(&resting).as_str()),
            (EventKind::CrashLoop, "stopped a_b-2 for a while: restarted 5 times")
        );
    }

    #[test]
    fn a_start_is_measured_from_the_containers_own_and_a_recovery_from_its_last_good_answer() {
        let at = |seconds| OffsetDateTime::UNIX_EPOCH + Duration::seconds(seconds);
        let before = Health::new("a", at(100), at(101));
        let after = Health { readiness: Readiness::Ready, since: at(113), ..before.clone() };
        assert_eq!(ready(&before, &after), "ready after 13 s");
        let lost = Health { readiness: Readiness::Lost, since: at(200), ..after.clone() };
        assert_eq!(
            ready(&lost, &Health { readiness: Readiness::Ready, since: at(240), ..lost.clone() }),
            "ready again after 40 s"
        );
    }
}
