//! What is wrong with a pod, as one story: the cause, what happens next, and what a person can do. Made from what is stored
//! about it, so that pages, the API and the command line tell the same. Says nothing about a pod that needs no attention.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{phase::Phase, reason::Reason, view::PlanLine};
use crate::core::{
    decide::engine_commands,
    names::PodId,
    observe::crash::{RESTARTS, WINDOW},
};

/// What is wrong with a pod, and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Diagnosis {
    /// What is wrong, with its cause, as a sentence.
    pub what: String,
    /// What AgentPod or the engine does next, as a sentence.
    pub next: String,
    /// Whether that happens at the time of the retry.
    pub is_scheduled: bool,
    /// What a person can do, as a sentence.
    pub advice: String,
    /// The last lines of its log, without secrets, when that is where the cause is.
    pub log: Vec<String>,
}

/// What a diagnosis is made from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Symptoms<'a> {
    pub(crate) id: &'a PodId,
    pub(crate) phase: Phase,
    pub(crate) reason: Reason,
    /// The sentence of its status.
    pub(crate) message: &'a str,
    /// The last decision about it.
    pub(crate) plan: Option<&'a PlanLine>,
    /// Its last failed action.
    pub(crate) retry: Option<FailedAttempt<'a>>,
    /// How its container last exited.
    pub(crate) exit: Option<&'a LastExit>,
}

/// An action that failed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FailedAttempt<'a> {
    /// Failures in a row.
    pub(crate) failures: i32,
    /// Why the last one failed.
    pub(crate) why: &'a str,
}

/// How a container last exited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LastExit {
    /// The event's sentence: `its container exited with code 1`.
    pub(crate) message: String,
    /// Whether it was killed for want of memory.
    pub(crate) out_of_memory: bool,
    /// Its last log lines, without secrets.
    pub(crate) log: Vec<String>,
}

/// What is wrong with a pod; `None` if nothing needs attention.
pub(crate) fn diagnose(symptoms: Symptoms<'_>) -> Option<Diagnosis> {
    let Symptoms { id, phase, reason, message, plan, retry, exit } = symptoms;
    if !phase.needs_attention() {
        return None;
    }
    let waits = plan.is_some_and(|plan| plan.decision == "hold") && retry.is_some();
    let attempt = retry.map_or(0, |retry| retry.failures) + 1;
    let is_exit = matches!(reason, Reason::CrashLoop | Reason::Restarting | Reason::NewContainerFailed);
    let log = exit.filter(|_| is_exit).map(|exit| exit.log.clone()).unwrap_or_default();
    let tried = |what: &str| match waits {
        true => format!("Attempt {attempt} {what}."),
        false => format!("Attempt {attempt} is under way."),
    };
    let (what, next, advice) = match reason {
        Reason::CrashLoop => (
            exited(exit, retry.map_or(message, |retry| retry.why)),
            tried("starts its container again"),
            after_an_exit(exit),
        ),
        Reason::Restarting => (
            exited(exit, message),
            format!(
                "The container engine starts it again by itself. After {RESTARTS} exits within {} minutes AgentPod stops \
                 it, and waits longer before each further attempt.",
                WINDOW.whole_minutes()
            ),
            after_an_exit(exit),
        ),
        Reason::StepFailed => (
            retry.map_or_else(|| sentence(message), |retry| sentence(retry.why)),
            tried("follows"),
            "Correct what is named here. A changed manifest is tried at once.".into(),
        ),
        Reason::NewContainerFailed => (
            sentence(message),
            "The previous container runs. This declaration is not tried again.".into(),
            "Change its manifest, or put it back to what ran before.".into(),
        ),
        Reason::ProbeFailed => (
            format!("Its agent runs and does not answer its health probe. {}", sentence(message)),
            "It is probed again all the time, and is ready as soon as it answers. Its container stays.".into(),
            format!("Read its log, with agentpod logs {id}; agentpod restart {id} starts it again."),
        ),
        Reason::SecretMissing => (
            sentence(message),
            "Its secrets are read again in every round, at least every 30 s.".into(),
            "Put the secrets where its manifest refers to, or correct the references.".into(),
        ),
        Reason::TooManyRemovals => (
            sentence(message),
            "It keeps running until its removal is approved, or until it is declared again.".into(),
            "Approve the plan if this is intended; otherwise put its manifest back.".into(),
        ),
        Reason::SubdomainTaken => (
            sentence(message),
            "It starts as soon as the other pod has stopped.".into(),
            "Give one of them another subdomain if both are to run.".into(),
        ),
        Reason::PausedByHand => (
            sentence(message),
            "AgentPod leaves a container alone that somebody else paused.".into(),
            format!("Continue it with {}.", engine_commands::UNPAUSE),
        ),
        Reason::EngineUnknown => (
            sentence(message),
            "Nothing is changed until the engine answers.".into(),
            "See whether the container engine runs and whether AgentPod may use it.".into(),
        ),
        _ => (
            sentence(message),
            match plan.is_some_and(|plan| plan.decision == "act") {
                true => "AgentPod is on it: see the plan.".into(),
                false => "Nothing is planned for it.".into(),
            },
            format!("agentpod describe {id} shows everything that is known about it."),
        ),
    };
    Some(Diagnosis { what, next, is_scheduled: waits, advice, log })
}

/// That the agent exits, with the last thing it said: that is usually the cause.
fn exited(exit: Option<&LastExit>, otherwise: &str) -> String {
    let Some(exit) = exit else { return format!("Its agent keeps exiting. {}", sentence(otherwise)) };
    let last = exit.log.iter().rev().map(|line| line.trim()).find(|line| !line.is_empty());
    match last {
        Some(last) => format!("Its agent keeps exiting: {}. The last thing it said was: {last}", exit.message),
        None => format!("Its agent keeps exiting: {}.", exit.message),
    }
}

fn after_an_exit(exit: Option<&LastExit>) -> String {
    match exit.is_some_and(|exit| exit.out_of_memory) {
        true => "Give it more memory, with resources.memory in its manifest.".into(),
        false => "Correct its config, secrets or image in its manifest. A changed manifest is tried at once.".into(),
    }
}

/// The text with a capital letter and a full stop.
fn sentence(text: &str) -> String {
    let text = text.trim();
    let mut characters = text.chars();
    let Some(first) = characters.next() else { return String::new() };
    let end = if text.ends_with(['.', '!', '?', ':', '…']) { "" } else { "." };
    format!("{}{}{end}", first.to_uppercase(), characters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(decision: &str) -> PlanLine {
        serde_json::from_value(serde_json::json!({"decision": decision, "why": "", "steps": []})).unwrap()
    }

    fn of(phase: Phase, reason: Reason, decision: &str, exit: Option<&LastExit>) -> Option<Diagnosis> {
        let (id, plan) = ("alice/assistant".parse().unwrap(), plan(decision));
        let retry = Some(FailedAttempt { failures: 3, why: "the image agents/x:1 is not on this machine" });
        diagnose(Symptoms { id: &id, phase, reason, message: "it was ready", plan: Some(&plan), retry, exit })
    }

    fn exit(out_of_memory: bool) -> LastExit {
        let log = vec!["starting".into(), "Error: no API key".into(), String::new()];
        LastExit { message: "its container exited with code 1".into(), out_of_memory, log }
    }

    #[test]
    fn a_crash_loop_is_told_from_its_cause_with_the_last_line_of_the_log() {
        let story = of(Phase::CrashLoopBackOff, Reason::CrashLoop, "hold", Some(&exit(false))).unwrap();
        assert_eq!(
            story.what,
            "Its agent keeps exiting: its container exited with code 1. The last thing it said was: Error: no API key"
        );
        assert_eq!((story.next.as_str(), story.is_scheduled), ("Attempt 4 starts its container again.", true));
        assert_eq!(story.log.len(), 3);
        let now = of(Phase::CrashLoopBackOff, Reason::CrashLoop, "act", Some(&exit(true))).unwrap();
        assert_eq!((now.next.as_str(), now.is_scheduled), ("Attempt 4 is under way.", false), "no time that is over");
        assert!(now.advice.contains("more memory"), "{}", now.advice);
    }

    #[test]
    fn while_the_engine_restarts_a_container_the_story_does_not_say_that_nothing_is_done() {
        let story = of(Phase::Unhealthy, Reason::Restarting, "settled", Some(&exit(false))).unwrap();
        assert!(
            story.next.starts_with("The container engine starts it again by itself. After 5 exits within 10 minutes")
        );
        assert!(!story.is_scheduled);
    }

    #[test]
    fn a_failed_step_says_why_and_which_attempt_follows() {
        let story = of(Phase::Held, Reason::StepFailed, "hold", None).unwrap();
        assert_eq!(story.what, "The image agents/x:1 is not on this machine.");
        assert_eq!(story.next, "Attempt 4 follows.");
        assert_eq!(story.log, Vec::<String>::new());
    }

    #[test]
    fn a_pod_that_is_well_has_no_story() {
        for phase in [Phase::Running, Phase::Stopped, Phase::Starting, Phase::Deleting] {
            assert_eq!(of(phase, Reason::ProbeSucceeded, "settled", None), None);
        }
    }

    #[test]
    fn every_reason_that_needs_attention_has_a_cause_a_next_step_and_advice() {
        for reason in Reason::ALL {
            let story = of(Phase::Held, *reason, "hold", None).unwrap();
            for text in [&story.what, &story.next, &story.advice] {
                assert!(
                    text.starts_with(|c: char| c.is_uppercase() || c == 'a') && text.ends_with('.'),
                    "{reason}: {text}"
                );
            }
        }
    }
}
