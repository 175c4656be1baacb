//! The plan as text: what `agentpod plan` prints and what the planner's tests compare.

use std::fmt;

use super::{Cause, Decision, FileSet, HeldRemovals, Hold, Plan, Step, TooManyRemovals};
use crate::core::{
    decide::{
        engine_commands,
        request::{Pause, moment},
        request_kind::RequestKind,
    },
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
        write!(f, "{acting} to change, {held} held, {settled} as declared")
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(image) => write!(f, "pull {image} unless it is present"),
            Self::Network(network) => write!(f, "create network {} unless it exists", network.name),
            Self::Volume(volume) => write!(f, "create volume {} unless it exists", volume.name),
            Self::Create(container) => write!(f, "create {container}"),
            Self::Upload(container, FileSet::All) => write!(f, "upload its files into {container}"),
            Self::Upload(container, FileSet::Hot) => {
                write!(f, "upload changed files into {container} while it runs")
            }
            Self::Attach(container, network) => write!(f, "attach {container} to network {network}"),
            Self::Start(container) => write!(f, "start {container}"),
            Self::Stop(container) => write!(f, "stop {container}"),
            Self::Remove(container) => write!(f, "remove {container}; its data volume is kept"),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ItemMissing => f.write_str("it does not exist"),
            Self::Missing => f.write_str("it has no container"),
            Self::Changed { from, to, parts } => {
                let what = match parts.as_slice() {
                    [] => "its declaration".to_owned(),
                    parts => format!("its {}", enumerate(parts)),
                };
                write!(f, "{what} changed ({from} → {to})")
            }
            Self::FilesChanged => f.write_str("a file that it reloads while running changed"),
            Self::Unfinished => f.write_str("its container was created but not started"),
            Self::Exited(exit) => write!(f, "its container exited ({exit})"),
            Self::YieldsSubdomain(other) => write!(f, "it swaps subdomains with {other} and gives up its own first"),
            Self::DeclaredStopped => f.write_str("it is declared stopped"),
            Self::Undeclared => f.write_str("it is no longer declared"),
            Self::RemovalApproved(actor) => {
                write!(f, "it is no longer declared and {actor} approved its removal")
            }
            Self::Requested { actor, what: RequestKind::Resume, .. } => write!(f, "{actor} resumed it"),
            Self::Requested { actor, what, .. } => write!(f, "{actor} requested a {what}"),
            Self::Paused(Pause { actor, until: Some(until), .. }) => {
                write!(f, "{actor} paused it until {}", moment(*until))
            }
            Self::Paused(Pause { actor, until: None, .. }) => write!(f, "{actor} paused it"),
            Self::PauseOver(actor) => write!(f, "the pause by {actor} is over"),
            Self::Superseded => f.write_str("its new container is ready, so the previous one is no longer needed"),
            Self::Duplicate => f.write_str("more than one of its containers runs"),
            Self::NotReady(why) => write!(f, "its new container failed, so the previous one is started ({why})"),
            Self::OffNetwork(network) => write!(f, "its container is not attached to its network {network}"),
            Self::Rejected => f.write_str("its new container failed and is no longer needed"),
            Self::Fallback(why) => {
                write!(
                    f,
                    "its new container could not be started, so the previous one runs until the next attempt ({why})"
                )
            }
            Self::CrashLoop => f.write_str("its container restarts too often"),
            Self::Unresponsive { failures, last } => {
                write!(f, "its container runs and failed {failures} probes in a row ({last})")
            }
            Self::Dead => f.write_str("the removal of one of its containers was not finished"),
        }
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(why) => write!(f, "its state is unknown: {why}"),
            Self::Busy => f.write_str("earlier steps are still running"),
            Self::RetryAt(retry) => {
                write!(f, "attempt {} failed ({}); next attempt at {}", retry.failures, retry.why, clock(retry.at))
            }
            Self::SecretsMissing(which) => write!(f, "it has secrets that cannot be read: {}", which.join("; ")),
            Self::VolumeGone { volume, since } => write!(
                f,
                "its data volume {volume} is gone; it had data since {}. Restore the volume, or run agentpod start-empty to start \
                 the pod without its data",
                moment(*since)
            ),
            Self::AwaitingReady => {
                f.write_str("its new container is not ready yet; the previous one is kept until it is")
            }
            Self::Migrating => f.write_str(
                "its new container is not ready yet; the new image may have migrated the data, so the previous one is not started \
                 again",
            ),
            Self::Staggered { limit: 1 } => f.write_str("it is replaced after others: one pod is replaced at a time"),
            Self::Staggered { limit } => {
                write!(f, "it is replaced after others: at most {limit} pods are replaced at a time")
            }
            Self::Repeating { count, until } => write!(
                f,
                "the same steps succeeded {count} times in a row without bringing it to its desired state; next attempt at {}",
                clock(*until)
            ),
            Self::RolledBack(rejected) => {
                write!(
                    f,
                    "rolled back because {} failed ({}); change the manifest to try again",
                    rejected.digest, rejected.why
                )
            }
            Self::RemovalGrace(until) => {
                write!(f, "it was removed; its stopped container is kept until {}", clock(*until))
            }
            Self::RemovalSettles(until) => {
                write!(
                    f,
                    "it is no longer declared; it is stopped at {}, if the manifests stay as they are",
                    clock(*until)
                )
            }
            Self::TooManyRemovals(why) => write!(f, "{why}"),
            Self::SubdomainTaken(by) => {
                write!(f, "{by} still runs at its subdomain; it starts when {by} has stopped")
            }
            Self::Paused(pause) => write!(f, "paused by {}; agentpod resume starts it again", pause.describe()),
            Self::NeverDeclared => f.write_str(
                "its container has this instance's label, but this database has never had the pod; \
                 if it belongs to another AgentPod, give one of them another --instance; else remove it by hand",
            ),
            Self::PausedByHand => {
                write!(f, "its container was paused outside AgentPod; run {} to continue", engine_commands::UNPAUSE)
            }
        }
    }
}

impl fmt::Display for HeldRemovals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TooManyRemovals { plan, held, .. } = &self.why;
        write!(f, "plan {plan} holds {held} removals; to remove exactly these pods, run: agentpod approve {plan}")
    }
}

impl fmt::Display for TooManyRemovals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { plan, held, before, all, limit } = self;
        write!(f, "its removal is held, and it keeps running: {} of {all} pods would be removed ", held + before)?;
        match before {
            0 => f.write_str("at once")?,
            _ => write!(f, "within ten minutes ({before} of them already have been)")?,
        }
        let (count, percent) = (limit.count, limit.percent);
        write!(f, ", more than {count} and more than {percent} %; if this is intended, run: agentpod approve {plan}")
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
