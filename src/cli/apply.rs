//! `agentpod apply`: runs rounds until everything is as declared and ready, with a progress line for each pod.

use std::{collections::BTreeMap, process::ExitCode, time::Duration};

use anyhow::{Result, bail};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    ask, backend,
    connect::{self, Access, Database},
    output, status,
};
use crate::{
    config::Settings,
    core::decide::request::{Request, RequestSpec},
    engine::PullProgress,
    reconcile::{DaemonStatus, Ending, Mode, PodView, Reconciler},
    shutdown,
};

/// Runs `agentpod apply`.
pub(crate) async fn run(settings: Settings, timeout: Duration, approve: Option<String>) -> Result<ExitCode> {
    let stop = shutdown::on_signal()?;
    let database = Database::open(&settings, Access::Create).await?;
    let outcome = lead_and_apply(&settings, &database, timeout, approve, stop).await;
    let closed = database.close().await;
    let code = outcome?;
    closed.map(|()| code)
}

async fn lead_and_apply(
    settings: &Settings,
    database: &Database,
    timeout: Duration,
    approve: Option<String>,
    stop: CancellationToken,
) -> Result<ExitCode> {
    let Some(lead) = database.store.try_lead().await? else {
        bail!("an AgentPod daemon runs on this database and applies changes by itself; see agentpod status");
    };
    let led = database.led_by(&lead);
    let approval = match approve {
        Some(plan) => Some(request_approval(database, plan).await?),
        None => None,
    };
    let (reconciler, view) = Reconciler::new(connect::parts(settings, &led)?);
    let progress = tokio::spawn(show_progress(view));
    let ending = reconciler.run(Mode::Once(timeout), None, stop).await;
    progress.await?;
    let rows = backend::pods_in(&database.store).await;
    lead.release().await?;
    let refused = match approval {
        Some(id) => database.store.request(id).await?.and_then(|row| row.outcome.filter(|_| row.done == Some(false))),
        None => None,
    };
    if let Some(reason) = &refused {
        output::print(&format!("not approved: {reason}"))?;
    }
    Ok(match ending {
        Ending::Applied => {
            status::print_pods(&rows?)?;
            if refused.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Ending::Stopped => bail!("stopped before everything was as declared; run agentpod apply again to continue"),
        Ending::Failed(why) => {
            for sentence in why {
                output::print(&sentence)?;
            }
            ExitCode::FAILURE
        }
    })
}

/// Stores an approval, which the following rounds carry out.
async fn request_approval(database: &Database, plan: String) -> Result<i64> {
    let request = Request { what: RequestSpec::Approve { plan }, actor: ask::actor_at_host() };
    Ok(database.store.add_request(&request, crate::clock::now()).await?)
}

/// Draws a progress line for each pod until the reconciler ends.
async fn show_progress(mut view: watch::Receiver<DaemonStatus>) {
    let lines = MultiProgress::new();
    let style = ProgressStyle::with_template("{spinner} {prefix:<28} {wide_msg}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner());
    let mut bars: BTreeMap<String, ProgressBar> = BTreeMap::new();
    while view.changed().await.is_ok() {
        let status = view.borrow_and_update().clone();
        for (id, pod) in &status.pods {
            let bar = bars.entry(id.clone()).or_insert_with(|| {
                let bar = lines.add(ProgressBar::new_spinner().with_style(style.clone()).with_prefix(id.clone()));
                bar.enable_steady_tick(Duration::from_millis(120));
                bar
            });
            bar.set_message(progress(pod));
        }
    }
    for bar in bars.values() {
        bar.finish();
    }
}

fn progress(pod: &PodView) -> String {
    match (&pod.doing, &pod.pull) {
        (Some(doing), Some(PullProgress { received, total, .. })) if *total > 0 => {
            format!("{doing} ({} of {} MiB)", received >> 20, total >> 20)
        }
        (Some(doing), _) => doing.clone(),
        (None, _) => format!("{}: {}", pod.status.phase, pod.status.message),
    }
}
