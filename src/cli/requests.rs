//! `agentpod restart`, `pause`, `resume`, `sync` and `approve`: each stores a request, with the name of who made it. The
//! daemon carries it out; this command touches no container.

use std::{process::ExitCode, time::Duration};

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use time::OffsetDateTime;

use super::{
    backend::{Backend, Target},
    connect::{self, Database},
    event_filter::EventFilter,
    output::{self, sanitize},
    progress::Progress,
};
use crate::{
    config::Settings,
    core::{
        decide::{
            request::{RequestSpec, moment},
            request_kind::RequestKind,
        },
        declare::desired_status::DesiredStatus,
        event::EventKind,
        names::PodId,
        quantity::Span,
        report::{phase::Phase, reason::Reason},
    },
    dashboard::api::RequestLine,
    reconcile::{PreviewError, Reconciler},
    store::view::PodLine,
};

/// How long to wait for the outcome of an approval or a sync.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);
/// How long `--wait` waits.
const WAIT_LIMIT: Duration = Duration::from_secs(600);
/// How a pod seems so long after it was started again is how it is.
const SETTLED: Duration = Duration::from_secs(15);
/// Among how many of a pod's newest events it is looked for that it became ready.
const NEWEST: usize = 20;
/// How often the request is read meanwhile.
const POLL: Duration = Duration::from_millis(100);

/// The commands that make a request.
#[derive(Debug, Subcommand)]
pub(crate) enum RequestCommand {
    #[command(about = RequestKind::Restart.info().summary)]
    Restart {
        /// The pod, as TENANT/POD
        pod: PodId,
        #[command(flatten)]
        options: RequestOptions,
    },
    #[command(about = RequestKind::Pause.info().summary)]
    Pause {
        /// The pod, as TENANT/POD
        pod: PodId,
        /// How long to pause; then the pod is started again
        #[arg(long = "for", value_name = "TIME", required_unless_present = "until_resumed")]
        span: Option<Span>,
        /// Pause until agentpod resume
        #[arg(long, conflicts_with = "span")]
        until_resumed: bool,
        #[command(flatten)]
        options: RequestOptions,
    },
    #[command(about = RequestKind::Resume.info().summary)]
    Resume {
        /// The pod, as TENANT/POD
        pod: PodId,
        #[command(flatten)]
        options: RequestOptions,
    },
    #[command(about = RequestKind::Retry.info().summary)]
    Retry {
        /// The pod, as TENANT/POD
        pod: PodId,
        #[command(flatten)]
        options: RequestOptions,
    },
    #[command(about = RequestKind::StartEmpty.info().summary)]
    StartEmpty {
        /// The pod, as TENANT/POD
        pod: PodId,
        #[command(flatten)]
        options: RequestOptions,
    },
    #[command(about = RequestKind::Sync.info().summary)]
    Sync {
        #[command(flatten)]
        options: RequestOptions,
    },
    #[command(about = RequestKind::Approve.info().summary)]
    Approve {
        /// The plan's hash, as agentpod plan shows it
        plan: String,
        #[command(flatten)]
        options: RequestOptions,
    },
}

/// The options of every request.
#[derive(Debug, Args)]
pub(crate) struct RequestOptions {
    /// The name that events show; over --server always the token's account [default: USER@HOST]
    #[arg(long = "as", value_name = "NAME")]
    name: Option<String>,
    /// Wait until the request is done, and what it starts again is ready
    #[arg(long)]
    wait: bool,
}

/// Runs the command.
pub(crate) async fn run(target: Target, command: RequestCommand) -> Result<ExitCode> {
    Backend::with(target, async |backend| submit(backend, command).await).await
}

async fn submit(backend: &Backend, command: RequestCommand) -> Result<ExitCode> {
    let now = crate::clock::now();
    let (what, options) = match command {
        RequestCommand::Restart { pod, options } => (RequestSpec::Restart { pod }, options),
        RequestCommand::Pause { pod, span, options, .. } => {
            let until = span.map(|span| now.checked_add(time::Duration::milliseconds(span.0 as i64)));
            let Some(until) = until.map_or(Some(None), |until| until.map(Some)) else {
                bail!("the pause is too long; use --until-resumed for one without an end")
            };
            (RequestSpec::Pause { pod, until }, options)
        }
        RequestCommand::Resume { pod, options } => (RequestSpec::Resume { pod }, options),
        RequestCommand::Retry { pod, options } => (RequestSpec::Retry { pod }, options),
        RequestCommand::StartEmpty { pod, options } => (RequestSpec::StartEmpty { pod }, options),
        RequestCommand::Sync { options } => (RequestSpec::Sync, options),
        RequestCommand::Approve { plan, options } => (RequestSpec::Approve { plan }, options),
    };
    let has_leader = backend.overview().await?.acting.is_some();
    if let (Backend::Local(local), RequestSpec::Approve { plan }, false) = (backend, &what, has_leader) {
        check_plan_is_held(&local.settings, &local.database, plan).await?;
    }
    let line = backend.submit(what.clone(), options.name, now).await?;
    let description = sanitize(&line.what);
    let answers = what.kind().info().is_answered_at_once;
    if !has_leader {
        output::print(&format!("stored: {description}; {}", without_daemon(&what, now)))?;
        return Ok(ExitCode::SUCCESS);
    }
    if !(options.wait || answers) {
        output::print(&format!("requested: {description}; the daemon carries it out for {}", sanitize(&line.actor)))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut progress = options.wait.then(|| Progress::new(&format!("{description}: waiting for the daemon")));
    let line = wait(backend, line, &what, if options.wait { WAIT_LIMIT } else { ANSWER_LIMIT }).await?;
    let is_started = options.wait && line.done == Some(true) && !matches!(what, RequestSpec::Pause { .. });
    if let Some(pod) = what.pod().filter(|_| is_started) {
        wait_until_ready(backend, pod, now, progress.as_mut()).await?;
    }
    drop(progress);
    let outcome = line.outcome.unwrap_or_else(|| "the pod is stopped".into());
    output::print(&format!("{description}: {}", sanitize(&outcome)))?;
    Ok(if line.done == Some(false) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What happens to a request while no daemon runs.
fn without_daemon(what: &RequestSpec, now: OffsetDateTime) -> String {
    let expires = what.expires(now);
    match (what, expires) {
        (RequestSpec::Approve { plan }, _) => {
            format!(
                "no daemon is running: it takes effect when one runs within a day, or now with agentpod apply --approve {plan}"
            )
        }
        (RequestSpec::Pause { .. } | RequestSpec::Resume { .. }, _) | (_, None) => {
            "no daemon is running: it takes effect when AgentPod runs again".into()
        }
        (_, Some(at)) => {
            format!("no daemon is running: it takes effect if AgentPod runs again before {}", moment(at))
        }
    }
}

/// Fails if no plan with this hash holds removals. While a daemon runs, it checks this instead.
async fn check_plan_is_held(settings: &Settings, database: &Database, hash: &str) -> Result<()> {
    let (mut reconciler, view) = Reconciler::new(connect::parts(settings, database)?);
    let preview = reconciler.preview().await;
    drop((reconciler, view));
    let plan = match preview {
        Ok(plan) => plan,
        Err(PreviewError::Refused(_)) => {
            bail!("the source has problems, so there is no plan to approve; see agentpod validate")
        }
        Err(PreviewError::Store(error)) => return Err(error.into()),
    };
    match plan.held_removals {
        Some(held) if held.why.plan == hash => Ok(()),
        Some(held) => bail!(
            "{hash} is not the plan that is held now: that is {}, with {}; see agentpod plan",
            held.why.plan,
            output::count(held.why.held, "pod")
        ),
        None => bail!("there is nothing to approve: no removals are held"),
    }
}

/// Waits until a request is done; for a pause, until it has begun.
async fn wait(backend: &Backend, mut line: RequestLine, what: &RequestSpec, limit: Duration) -> Result<RequestLine> {
    let started = crate::clock::instant();
    // Over a network, a server is not asked ten times a second.
    let poll = if matches!(backend, Backend::Remote(_)) { POLL * 5 } else { POLL };
    loop {
        if line.ended_at.is_some() || is_paused(backend, what).await? {
            return Ok(line);
        }
        if started.elapsed() > limit {
            bail!(
                "not done after {} s: {}; see agentpod status and agentpod events",
                limit.as_secs(),
                sanitize(&line.what)
            );
        }
        tokio::time::sleep(poll).await;
        line = backend.request(line.id).await?;
    }
}

/// Waits until a pod that was started again is ready, and shows what it does meanwhile.
async fn wait_until_ready(
    backend: &Backend,
    id: &PodId,
    since: OffsetDateTime,
    mut progress: Option<&mut Progress>,
) -> Result<()> {
    let started = crate::clock::instant();
    loop {
        let pod = backend.pod(id).await?.line;
        let is_settled = pod.ready && started.elapsed() > SETTLED;
        if pod.desired != DesiredStatus::Running || is_settled || is_ready_again(backend, &pod, since).await? {
            return Ok(());
        }
        let state = format!("{id}: {}, {}", pod.phase, sanitize(&pod.message));
        match pod.phase {
            // For a moment it may still be shown as it was before.
            Phase::CrashLoopBackOff | Phase::RolledBack | Phase::Held | Phase::Deleting
                if started.elapsed() > SETTLED =>
            {
                bail!("{state}; it was started again and does not become ready, see agentpod describe {id}")
            }
            _ if started.elapsed() > WAIT_LIMIT => {
                bail!("{state}; it is not ready after {} s, see agentpod describe {id}", WAIT_LIMIT.as_secs())
            }
            _ => {
                if let Some(progress) = progress.as_mut() {
                    progress.show(&state);
                }
            }
        }
        tokio::time::sleep(5 * POLL).await;
    }
}

/// Whether a pod is ready, and became so after a moment: until the next round it still seems to be as it was before.
async fn is_ready_again(backend: &Backend, pod: &PodLine, since: OffsetDateTime) -> Result<bool> {
    if !pod.ready {
        return Ok(false);
    }
    let own = EventFilter { pod: Some(pod.id.clone()), ..EventFilter::default() };
    let events = backend.events(&own, NEWEST).await?;
    Ok(events.iter().any(|event| event.kind == EventKind::Ready && event.last_at >= since))
}

async fn is_paused(backend: &Backend, what: &RequestSpec) -> Result<bool> {
    let RequestSpec::Pause { pod, .. } = what else { return Ok(false) };
    Ok(backend.pod(pod).await?.line.reason == Reason::Paused)
}
