//! `agentpod run`: the daemon. One of them leads and makes rounds; another on the same database stands by, serves its
//! page and takes over.

use std::{process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Result, bail};
use secrecy::ExposeSecret;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::connect::{self, Database};
use crate::{
    config::Settings,
    core::{event::EventKind, secret::SecretRef, webhook::WebhookKeys},
    dashboard::{
        self, Dashboard,
        api::{Api, SettingsView},
        auth::{Auth, Clock},
        hooks::Hooks,
        live::{Live, Pace},
    },
    reconcile::{DaemonStatus, Ending, LogReader, Mode, Reconciler, UsageMeter},
    secrets, shutdown,
    source::Watch,
    store::{Event, Lead, Store},
};

/// How often a daemon that stands by asks whether it may lead.
const ASK_AGAIN: Duration = Duration::from_secs(3);

/// Runs until a signal comes.
pub async fn run(settings: Settings) -> Result<ExitCode> {
    let stop = shutdown::on_signal()?;
    let woken = Arc::new(Notify::new());
    let hooks = hooks(&settings, woken.clone())?;
    let database = Database::open(&settings).await?;
    let (overview, view) = watch::channel(standing_by());
    let clock: Clock = Arc::new(crate::clock::now);
    let auth = Auth::open(database.store.clone(), settings.access.clone(), settings.listen, clock.clone()).await?;
    if auth.is_open().await {
        info!("nobody has to sign in: there are no accounts, and {} is this machine's own", settings.listen);
    }
    let (logs, logs_now) = watch::channel(None);
    let api = Arc::new(Api {
        store: database.store.clone(),
        view: view.clone(),
        logs: logs_now,
        edits: connect::edits(&settings, &database.store),
        settings: SettingsView::of(&settings),
        clock,
    });
    let live = Live::start(database.store.clone(), Pace::default(), stop.clone());
    let dashboard = Dashboard { auth, view, hooks, api, live: live.clone() };
    let served = dashboard::serve(settings.listen, dashboard, stop.clone()).await?;
    info!("the dashboard is at http://{}/dashboard", settings.listen);
    let outcome = Box::pin(lead_and_reconcile(&settings, &database, &overview, &logs, &woken, &stop)).await;
    stop.cancel();
    served.await?;
    live.ended().await;
    database.close().await?;
    outcome.map(|()| ExitCode::SUCCESS)
}

/// The webhook, if it has secrets: in the file that the settings name, or in our environment.
fn hooks(settings: &Settings, woken: Arc<Notify>) -> Result<Option<Arc<Hooks>>> {
    const VARIABLE: &str = "AGENTPOD_HOOK_SECRET";
    let is_set = std::env::var_os(VARIABLE).is_some_and(|value| !value.is_empty());
    let (env, file) = match &settings.hook_secret_file {
        Some(_) if is_set => {
            bail!("both --hook-secret-file and {VARIABLE} are given; give one, it may hold several secrets")
        }
        Some(path) => (None, Some(path.display().to_string())),
        None if is_set => (Some(VARIABLE.to_owned()), None),
        None => return Ok(None),
    };
    let place = SecretRef { env, file, age: None };
    let keys = secrets::resolve(&place).and_then(|text| WebhookKeys::read(text.expose_secret()));
    let keys = keys.map_err(|why| anyhow::anyhow!("the webhook's secret in {place}: {why}"))?;
    if let Some(concern) = secrets::concern(&place) {
        warn!("{concern}");
    }
    info!("deliveries of a forge's webhook are taken at http://{}/hooks/git", settings.listen);
    // Pushes to other branches are no news; without a named one nobody knows here which the remote's own is.
    let followed = settings.git.as_ref().and_then(|git| git.reference.name()).map(str::to_owned);
    Ok(Some(Arc::new(Hooks::new(keys, followed, Arc::new(move || woken.notify_one())))))
}

async fn lead_and_reconcile(
    settings: &Settings,
    database: &Database,
    overview: &watch::Sender<DaemonStatus>,
    logs: &watch::Sender<Option<LogReader>>,
    woken: &Arc<Notify>,
    stop: &CancellationToken,
) -> Result<()> {
    while let Some(lead) = wait_to_lead(&database.store, overview, stop).await? {
        // Ends when we are stopped, or when another AgentPod leads.
        let leading = stop.child_token();
        let kept = tokio::spawn(keep_lead(database.store.clone(), lead, leading.clone()));
        let version = env!("CARGO_PKG_VERSION");
        tell(&database.store, EventKind::DaemonStarted, format!("AgentPod {version} makes everything as declared"))
            .await;
        let outcome = Box::pin(reconcile(settings, database, overview, logs, woken, &leading)).await;
        if stop.is_cancelled() {
            tell(&database.store, EventKind::DaemonStopped, "AgentPod stopped; agents go on running".into()).await;
        }
        leading.cancel();
        kept.await?;
        overview.send_replace(standing_by());
        outcome?;
    }
    Ok(())
}

/// What is known while another AgentPod leads, or may.
fn standing_by() -> DaemonStatus {
    DaemonStatus { role_since: Some(crate::clock::now()), ..DaemonStatus::default() }
}

/// Keeps that the daemon came or went: so that everybody can tell how far the rows can be believed without it.
async fn tell(store: &Store, kind: EventKind, message: String) {
    if let Err(error) = store.record(&Event::of_none(kind, message), crate::clock::now()).await {
        warn!(code = error.code(), "the event {kind} could not be written down: {error}");
    }
}

async fn reconcile(
    settings: &Settings,
    database: &Database,
    overview: &watch::Sender<DaemonStatus>,
    logs: &watch::Sender<Option<LogReader>>,
    woken: &Arc<Notify>,
    stop: &CancellationToken,
) -> Result<()> {
    let parts = connect::parts(settings, database)?;
    match parts.engine.info().await {
        Ok(engine) => info!("container engine {} (API {})", engine.version, engine.api),
        Err(error) => warn!(code = error.code(), "{error}"),
    }
    if let Err(error) = parts.engine.ensure_network(&parts.network).await {
        warn!(code = error.code(), "the network {} is not there yet: {error}", parts.network.name);
    }
    let mut watched = parts.source.folders();
    watched.extend(parts.folders.folders());
    let engine = parts.engine.clone();
    let (reconciler, view) = Reconciler::new(parts);
    let meter = UsageMeter::new(engine, database.store.clone(), view.clone());
    let measured = tokio::spawn(meter.run(stop.clone()));
    reconciler.wake_on(woken.clone(), stop.clone());
    logs.send_replace(Some(reconciler.logs()));
    let passed_on = tokio::spawn(pass_on(view, overview.clone()));
    let ending = reconciler.run(Mode::Daemon, Some(Watch::start(watched)), stop.clone()).await;
    logs.send_replace(None);
    debug_assert_eq!(ending, Ending::Stopped);
    passed_on.await?;
    measured.await?;
    Ok(())
}

/// How often the lead is looked after.
const LOOK_AFTER_LEAD: Duration = Duration::from_secs(2);

async fn wait_to_lead(
    store: &Arc<Store>,
    overview: &watch::Sender<DaemonStatus>,
    stop: &CancellationToken,
) -> Result<Option<Lead>> {
    let mut told = false;
    while !stop.is_cancelled() {
        let asked = store.try_lead().await;
        let database = asked.as_ref().err().map(ToString::to_string);
        let mut before = None;
        overview.send_modify(|overview| before = std::mem::replace(&mut overview.database, database));
        match asked {
            Ok(Some(lead)) => return Ok(Some(lead)),
            Err(error) if error.is_about_the_key() => return Err(error.into()),
            Ok(None) if !told => {
                info!("another AgentPod leads on this database; standing by");
                told = true;
            }
            Ok(None) if before.is_some() => info!("the database answers again; standing by"),
            Err(error) if before.is_none() => {
                warn!(code = error.code(), "{error}; asked again until it answers");
            }
            Ok(None) | Err(_) => {}
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(ASK_AGAIN) => {}
        }
    }
    Ok(None)
}

/// Holds the lead until told to stop. An outage of the database takes it; when the database is back it is asked for
/// again, and if another AgentPod was faster, we stop.
async fn keep_lead(store: Arc<Store>, mut lead: Lead, leading: CancellationToken) {
    loop {
        tokio::select! {
            () = leading.cancelled() => return,
            () = tokio::time::sleep(LOOK_AFTER_LEAD) => {}
        }
        if lead.is_held().await {
            continue;
        }
        match store.try_lead().await {
            Ok(Some(again)) => lead = again,
            Ok(None) => {
                warn!("another AgentPod leads on this database now; standing by");
                return leading.cancel();
            }
            // Exchanged while the database was away from us, and where we cannot read it.
            Err(error) if error.is_about_the_key() => return leading.cancel(),
            // Nobody can take the lead while the database is away; the rounds say so.
            Err(_) => {}
        }
    }
}

async fn pass_on(mut from: watch::Receiver<DaemonStatus>, to: watch::Sender<DaemonStatus>) {
    while from.changed().await.is_ok() {
        to.send_replace(from.borrow_and_update().clone());
    }
}
