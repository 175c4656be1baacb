//! The plan as text: what `agentpod plan` prints and what the planner's tests compare.

use std::fmt;

use super::{Cause, Decision, FileSet, HeldRemovals, Hold, Plan, Step, TooManyRemovals};
use crate::core::{
    decide::request::{Pause, moment},
    declare::parts::Part,
};

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let infra = self.infra.iter().map(|(id, decision)| (id.to_string(), decision));
        let pods = self.pods.iter().map(|(id, decision)| (id.to_string(), decision));
        for (id, decision) in infra.chain(pods) {
            match decision {
                Decision::Settled => {}
                Decision::Hold(hold) => writeln!(f, "{id}: held, {hold}")?,
                Decision::Act(action) => {
                    writeln!(f, "{id}: {}", action.cause)?;
                    for step in &action.steps {
                        writeln!(f, "  {step}")?;
                    }
                }
            }
        }
        if let Some(held) = &self.held_removals {
            writeln!(f, "{held}")?;
        }
        let acting = self.actions().count() + self.infra_actions().count();
        let held = self
            .infra
            .values()
            .chain(self.pods.values())
            .filter(|decision| matches!(decision, Decision::Hold(_)))
            .count();
        let settled = self.pods.values().filter(|decision| matches!(decision, Decision::Settled)).count();
        write!(f, "{acting} to change, {held} held, {settled} as they should be")
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(image) => write!(f, "pull {image} unless it is here"),
            Self::Network(network) => write!(f, "create network {} unless it exists", network.name),
            Self::Volume(volume) => write!(f, "create volume {} unless it exists", volume.name),
            Self::Create(container) => write!(f, "create {container}"),
            Self::Upload(container, FileSet::All) => write!(f, "upload its files into {container}"),
            Self::Upload(container, FileSet::Hot) => {
                write!(f, "upload changed files into {container}, which goes on running")
            }
            Self::Attach(container, network) => write!(f, "attach {container} to network {network}"),
            Self::Start(container) => write!(f, "start {container}"),
            Self::Stop(container) => write!(f, "stop {container}"),
            Self::Remove(container) => write!(f, "remove {container}, its data volume stays"),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ItemMissing => f.write_str("it does not exist"),
            Self::Missing => f.write_str("it should run and has no container"),
            Self::Changed { from, to, parts } => {
                let what = match parts.as_slice() {
                    [] => "its declaration".to_owned(),
                    parts => format!("its {}", enumerate(parts)),
                };
                write!(f, "{what} changed ({from} → {to})")
            }
            Self::FilesChanged => f.write_str("a file it re-reads while running has changed"),
            Self::Unfinished => f.write_str("its container was made and never started"),
            Self::Exited(exit) => write!(f, "its container ended ({exit})"),
            Self::MakesRoom(other) => write!(f, "it trades subdomains with {other}, and makes room first"),
            Self::StopWanted => f.write_str("it should be stopped"),
            Self::Undeclared => f.write_str("it is not declared any more"),
            Self::RemovalApproved(actor) => {
                write!(f, "it is not declared any more, and {actor} approved its removal")
            }
            Self::Requested { actor, what, .. } => write!(f, "{actor} asked to {what} it"),
            Self::Paused(Pause { actor, until: Some(until), .. }) => {
                write!(f, "{actor} asked to pause it until {}", moment(*until))
            }
            Self::Paused(Pause { actor, until: None, .. }) => write!(f, "{actor} asked to pause it"),
            Self::PauseOver(actor) => write!(f, "the pause that {actor} asked for is over"),
            Self::Superseded => f.write_str("its new container is ready, the old one is not needed"),
            Self::Duplicate => f.write_str("two of its containers run"),
            Self::NotReady(why) => write!(f, "its new container failed, the one before goes on ({why})"),
            Self::OffNetwork(network) => write!(f, "its container is off its network {network}"),
            Self::Rejected => f.write_str("its new container was given up, and is not needed"),
            Self::GoingBack(why) => {
                write!(f, "its new container could not be started, the one before goes on until the next try ({why})")
            }
            Self::CrashLoop => f.write_str("its container restarts too often"),
        }
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(why) => write!(f, "its state is unknown: {why}"),
            Self::Busy => f.write_str("earlier steps are still under way"),
            Self::RetryAt(retry) => {
                write!(f, "attempt {} failed ({}), next at {}", retry.failures, retry.why, clock(retry.at))
            }
            Self::SecretsMissing(which) => write!(f, "secrets cannot be read: {}", which.join("; ")),
            Self::AwaitingReady => f.write_str("its new container is not ready yet, the old one is kept until it is"),
            Self::RolledBack(rejected) => {
                write!(
                    f,
                    "rolled back: {} failed ({}); change the manifest to try again",
                    rejected.digest, rejected.why
                )
            }
            Self::RemovalGrace(until) => {
                write!(f, "it was removed, its stopped container is kept until {}", clock(*until))
            }
            Self::TooManyRemovals(why) => write!(f, "{why}"),
            Self::SubdomainTaken(by) => {
                write!(f, "{by} still runs at its subdomain; it waits until that one has left it")
            }
            Self::Paused(pause) => write!(f, "paused by {}; agentpod resume starts it again", pause.words()),
            Self::NeverDeclared => f.write_str(
                "its container carries our instance's label, but was never declared to this database; \
                 is it another AgentPod's? Give one of them another --instance, or remove it by hand",
            ),
            Self::PausedByHand => f.write_str("its container was paused by hand; docker unpause it to go on"),
        }
    }
}

impl fmt::Display for HeldRemovals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TooManyRemovals { plan, held, .. } = &self.why;
        write!(f, "plan {plan} holds {held} removals; to let these go, and no others: agentpod approve {plan}")
    }
}

impl fmt::Display for TooManyRemovals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { plan, held, before, all, limit } = self;
        write!(f, "it was removed, and goes on running: {} of {all} pods would be removed at once", held + before)?;
        if *before > 0 {
            write!(f, " ({before} of them were already)")?;
        }
        let (count, percent) = (limit.count, limit.percent);
        write!(f, ", more than {count} and more than {percent} %; if that is meant: agentpod approve {plan}")
    }
}

/// `image, files and secrets`.
fn enumerate(parts: &[Part]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.to_string(),
        [all @ .., last] => {
            let all: Vec<String> = all.iter().map(Part::to_string).collect();
            format!("{} and {last}", all.join(", "))
        }
    }
}

/// `12:34:56 UTC`.
fn clock(at: time::OffsetDateTime) -> String {
    let (hour, minute, second) = at.to_offset(time::UtcOffset::UTC).to_hms();
    format!("{hour:02}:{minute:02}:{second:02} UTC")
}
