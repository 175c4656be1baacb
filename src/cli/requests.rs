//! `agentpod restart`, `pause`, `resume`, `sync` and `approve`: each is a row that the daemon sees to, with the name of who
//! asked. Nothing is done to any container from here.

use std::{process::ExitCode, time::Duration};

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use time::OffsetDateTime;

use super::{
    backend::{Backend, Target},
    connect::{self, Database},
    output::{self, plain},
};
use crate::{
    config::Settings,
    core::{
        decide::request::{RequestSpec, moment},
        names::PodId,
        quantity::Span,
        report::reason::Reason,
    },
    dashboard::api::RequestLine,
    reconcile::Reconciler,
};

/// How long the daemon may take to say what came of an approval or a sync.
const ANSWER: Duration = Duration::from_secs(20);
/// How long `--wait` waits.
const LONGEST: Duration = Duration::from_secs(600);
/// How often the row is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(100);

/// What can be asked for.
#[derive(Debug, Subcommand)]
pub enum Requests {
    /// Stop a pod's container and start it again
    Restart {
        /// Which pod, as TENANT/POD
        pod: PodId,
        #[command(flatten)]
        how: RequestOptions,
    },
    /// Stop a pod's container and keep it stopped, whatever its manifest says
    Pause {
        /// Which pod, as TENANT/POD
        pod: PodId,
        /// For how long; then it is started again
        #[arg(long = "for", value_name = "TIME", required_unless_present = "until_resumed")]
        span: Option<Span>,
        /// Until somebody says agentpod resume
        #[arg(long, conflicts_with = "span")]
        until_resumed: bool,
        #[command(flatten)]
        how: RequestOptions,
    },
    /// End a pod's pause
    Resume {
        /// Which pod, as TENANT/POD
        pod: PodId,
        #[command(flatten)]
        how: RequestOptions,
    },
    /// Read the source now
    Sync {
        #[command(flatten)]
        how: RequestOptions,
    },
    /// Let the removals go on that a plan holds: exactly these, once
    Approve {
        /// The plan's hash, as agentpod plan shows it
        plan: String,
        #[command(flatten)]
        how: RequestOptions,
    },
}

/// How it is asked.
#[derive(Debug, Args)]
pub struct RequestOptions {
    /// Who asks, for the record; over --server it is the token's account [default: the user at this machine]
    #[arg(long = "as", value_name = "NAME")]
    name: Option<String>,
    /// Wait until it is done
    #[arg(long)]
    wait: bool,
}

/// Runs the command.
pub async fn run(place: Target, asked: Requests) -> Result<ExitCode> {
    let desk = Backend::open(place).await?;
    let outcome = put(&desk, asked).await;
    desk.close().await?;
    outcome
}

async fn put(desk: &Backend, asked: Requests) -> Result<ExitCode> {
    let now = crate::clock::now();
    let (what, how) = match asked {
        Requests::Restart { pod, how } => (RequestSpec::Restart { pod }, how),
        Requests::Pause { pod, span, how, .. } => {
            let until = span.map(|span| now.checked_add(time::Duration::milliseconds(span.0 as i64)));
            let Some(until) = until.map_or(Some(None), |until| until.map(Some)) else {
                bail!("a pause cannot last that long; without an end it is --until-resumed")
            };
            (RequestSpec::Pause { pod, until }, how)
        }
        Requests::Resume { pod, how } => (RequestSpec::Resume { pod }, how),
        Requests::Sync { how } => (RequestSpec::Sync, how),
        Requests::Approve { plan, how } => (RequestSpec::Approve { plan }, how),
    };
    let led = desk.glance().await?.acting.is_some();
    if let (Backend::Local(here), RequestSpec::Approve { plan }, false) = (desk, &what, led) {
        is_held(&here.settings, &here.database, plan).await?;
    }
    let line = desk.ask(what.clone(), how.name, now).await?;
    let said = plain(&line.what);
    let answers = matches!(what, RequestSpec::Sync | RequestSpec::Approve { .. });
    if !led {
        output::print(&format!("noted: {said}; {}", later(&what, now)))?;
        return Ok(ExitCode::SUCCESS);
    }
    if !(how.wait || answers) {
        output::print(&format!("asked: {said}; the daemon does it now, as {}", plain(&line.actor)))?;
        return Ok(ExitCode::SUCCESS);
    }
    let line = wait(desk, line, &what, if how.wait { LONGEST } else { ANSWER }).await?;
    let outcome = line.outcome.unwrap_or_else(|| "it is stopped".into());
    output::print(&format!("{said}: {}", plain(&outcome)))?;
    Ok(if line.done == Some(false) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What becomes of a request while no daemon runs.
fn later(what: &RequestSpec, now: OffsetDateTime) -> String {
    let expires = what.expires(now);
    match (what, expires) {
        (RequestSpec::Approve { plan }, _) => {
            format!(
                "no daemon is running: it counts when one runs within a day, or now with agentpod apply --approve {plan}"
            )
        }
        (RequestSpec::Pause { .. } | RequestSpec::Resume { .. }, _) | (_, None) => {
            "no daemon is running: it is done when AgentPod runs again".into()
        }
        (_, Some(at)) => {
            format!("no daemon is running: it is done when AgentPod runs again before {}, or not at all", moment(at))
        }
    }
}

/// Fails when no plan of this hash is held, which nobody else could say while no daemon runs.
async fn is_held(settings: &Settings, database: &Database, hash: &str) -> Result<()> {
    let (mut reconciler, view) = Reconciler::new(connect::parts(settings, database)?);
    let preview = reconciler.preview().await?;
    drop((reconciler, view));
    let Ok((plan, _)) = preview else {
        bail!("the source has problems, so there is no plan to approve; agentpod validate shows them")
    };
    match plan.held_removals {
        Some(held) if held.why.plan == hash => Ok(()),
        Some(held) => bail!(
            "{hash} is not what is held now: that is plan {}, {}; look at it with agentpod plan",
            held.why.plan,
            output::count(held.why.held, "pod")
        ),
        None => bail!("no removals are held, so there is nothing to approve"),
    }
}

/// Waits until a request is over; a pause, until it has begun.
async fn wait(desk: &Backend, mut line: RequestLine, what: &RequestSpec, limit: Duration) -> Result<RequestLine> {
    let begun = crate::clock::instant();
    // Over a network, whoever answers is not asked ten times a second.
    let look = if matches!(desk, Backend::Remote(_)) { LOOK * 5 } else { LOOK };
    loop {
        if line.ended_at.is_some() || is_paused(desk, what).await? {
            return Ok(line);
        }
        if begun.elapsed() > limit {
            bail!(
                "{} was asked for, and is not done after {} s; agentpod status and agentpod events say why",
                plain(&line.what),
                limit.as_secs()
            );
        }
        tokio::time::sleep(look).await;
        line = desk.request(line.id).await?;
    }
}

async fn is_paused(desk: &Backend, what: &RequestSpec) -> Result<bool> {
    let RequestSpec::Pause { pod, .. } = what else { return Ok(false) };
    Ok(desk.pod(pod).await?.line.reason == Reason::Paused)
}
