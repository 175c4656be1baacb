//! `agentpod run`: the daemon. One daemon per database leads and runs rounds; others stand by, serve the dashboard and
//! take over when it ends.

use std::{process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail};
use secrecy::ExposeSecret;
use tokio::{
    net::TcpListener,
    sync::{Notify, watch},
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{
    connect::{self, Access, Database},
    running::{self, Typed},
};
use crate::{
    config::Settings,
    core::{event::EventKind, secret::SecretRef, webhook::WebhookKeys},
    dashboard::{
        self, Dashboard,
        api::{Api, SettingsView},
        auth::{Auth, Clock},
        hooks::Hooks,
        live::{Heartbeat, Live},
    },
    descriptors,
    postgres::EmbeddedPostgres,
    reconcile::{DaemonStatus, Ending, LogReader, Mode, Reconciler, UsageMeter},
    secrets, shutdown,
    source::Watch,
    store::{Candidate, Event, Lead, Store, Term},
};

/// How often a standby tries to take the lead.
const LEAD_RETRY: Duration = Duration::from_secs(1);

/// How often a daemon looks whether its private database's folder is still there.
const STATE_CHECK: Duration = Duration::from_secs(2);

/// How a daemon's life ended without an error.
enum End {
    /// A signal asked for it.
    Stopped,
    /// The state directory was deleted under it.
    StateDeleted,
}

/// Runs until a signal arrives.
pub(crate) async fn run(settings: Settings, typed: Typed) -> Result<ExitCode> {
    let stop = shutdown::on_signal()?;
    let engine = connect::engine_address(&settings);
    info!("AgentPod {} starts; the container engine is at {engine}", env!("CARGO_PKG_VERSION"));
    let files = descriptors::raise_limit();
    if files < descriptors::ENOUGH {
        warn!(
            "this process may open only {files} files at a time; raise the limit (LimitNOFILE in systemd, or ulimit -n)"
        );
    }
    loop {
        match Box::pin(live(&settings, &typed, &stop)).await? {
            End::Stopped => return Ok(ExitCode::SUCCESS),
            End::StateDeleted => {}
        }
    }
}

/// One life: from opening the database until it is closed again.
async fn live(settings: &Settings, typed: &Typed, stop: &CancellationToken) -> Result<End> {
    let wake = Arc::new(Notify::new());
    let hooks = hooks(settings, wake.clone())?;
    for file in settings.git.iter().flat_map(|git| git.credentials.files()) {
        let reference = SecretRef { file: Some(file.into()), ..SecretRef::default() };
        if let Some(warning) = secrets::exposure_warning(&reference) {
            warn!("{warning}");
        }
    }
    // First, since an address that is taken then costs no start of a database.
    let listener = dashboard::bind(settings.listen).await?;
    let Some(database) = wait_for_database(settings, &listener, stop).await? else { return Ok(End::Stopped) };
    // Cancelled by a signal, and if this life has to end by itself.
    let life = stop.child_token();
    let outcome = Box::pin(serve(settings, typed, &database, listener, hooks, &wake, &life)).await;
    let was_deleted = database.embedded.as_ref().is_some_and(|embedded| embedded.is_deleted());
    let closed = database.close().await;
    if was_deleted && !stop.is_cancelled() {
        return Ok(End::StateDeleted);
    }
    outcome?;
    closed.map(|()| End::Stopped)
}

/// Opens the database, and waits for it if it does not answer; `None` means stop.
async fn wait_for_database(
    settings: &Settings,
    listener: &TcpListener,
    stop: &CancellationToken,
) -> Result<Option<Database>> {
    let mut said: Option<String> = None;
    loop {
        let error = tokio::select! {
            () = stop.cancelled() => return Ok(None),
            opened = Database::open(settings, Access::Create) => match opened {
                Ok(database) => {
                    if said.is_some() {
                        info!("the database answers");
                    }
                    return Ok(Some(database));
                }
                Err(error) if connect::is_temporary(&error) => error.to_string(),
                Err(error) => return Err(error),
            },
        };
        if said.as_ref() != Some(&error) {
            warn!("{error}; AgentPod waits for it, and the agents stay as they are");
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(None),
            () = tokio::time::sleep(LEAD_RETRY) => {}
            // Whoever supervises this process sees that it lives and waits.
            () = dashboard::answer_waiting(listener, &error) => {}
        }
        said = Some(error);
    }
}

/// Serves the dashboard and takes its turn as the leader, until `life` ends.
async fn serve(
    settings: &Settings,
    typed: &Typed,
    database: &Database,
    listener: TcpListener,
    hooks: Option<Arc<Hooks>>,
    wake: &Arc<Notify>,
    life: &CancellationToken,
) -> Result<()> {
    let (status, view) = watch::channel(standby_status());
    let clock: Clock = Arc::new(crate::clock::now);
    let auth = Auth::open(database.store.clone(), settings.access.clone(), settings.listen, clock.clone()).await?;
    if auth.is_open().await {
        info!("nobody has to sign in: there are no accounts, and {} is a loopback address", settings.listen);
    }
    let (logs, logs_now) = watch::channel(None);
    let api = Arc::new(Api {
        store: database.store.clone(),
        view: view.clone(),
        logs: logs_now,
        edits: connect::edits(settings, &database.store),
        settings: SettingsView::of(settings),
        clock,
    });
    let live = Live::start(database.store.clone(), Heartbeat::default(), life.clone());
    let dashboard = Dashboard { auth, view, hooks, api, live: live.clone() };
    let served = dashboard::serve(listener, &dashboard, life.clone());
    info!("the dashboard is at http://{}/dashboard", settings.listen);
    let watching = tokio::spawn(end_with_state(database.embedded.clone(), life.clone()));
    let outcome = tokio::select! {
        outcome = Box::pin(lead_and_reconcile(settings, typed, database, &status, &logs, wake, life)) => outcome,
        () = follow_failovers(database) => Ok(()),
    };
    life.cancel();
    served.await?;
    live.ended().await;
    watching.await?;
    outcome
}

/// Follows failovers of a database that is not the private one, which has no other server to fail over to.
async fn follow_failovers(database: &Database) {
    match database.embedded {
        Some(_) => std::future::pending().await,
        None => database.store.follow_failovers().await,
    }
}

/// Ends this life when the private database's folder was deleted: nothing can be stored any more, and a new life starts with
/// a new database.
async fn end_with_state(embedded: Option<Arc<EmbeddedPostgres>>, life: CancellationToken) {
    let Some(embedded) = embedded else { return };
    loop {
        tokio::select! {
            () = life.cancelled() => return,
            () = tokio::time::sleep(STATE_CHECK) => {}
        }
        if embedded.is_deleted() {
            error!(
                "the folder of the private database was deleted while AgentPod ran; it starts over with a new database. The \
                 agents keep their data and get new gateway tokens. To have the old ones back, stop AgentPod and restore a \
                 backup of the state directory"
            );
            return life.cancel();
        }
    }
}

/// The webhook, if its secrets are given, by file or by environment variable.
fn hooks(settings: &Settings, wake: Arc<Notify>) -> Result<Option<Arc<Hooks>>> {
    const VARIABLE: &str = "AGENTPOD_HOOK_SECRET";
    let is_set = std::env::var_os(VARIABLE).is_some_and(|value| !value.is_empty());
    let (env, file) = match &settings.hook_secret_file {
        Some(_) if is_set => {
            bail!("both --hook-secret-file and {VARIABLE} are set; set only one, it may hold several secrets")
        }
        Some(path) => (None, Some(path.display().to_string())),
        None if is_set => (Some(VARIABLE.to_owned()), None),
        None => return Ok(None),
    };
    let reference = SecretRef { env, file, age: None };
    let context = || format!("the webhook's secret in {reference} cannot be used");
    let text = secrets::resolve(&reference).with_context(context)?;
    let keys = WebhookKeys::parse(text.expose_secret()).with_context(context)?;
    if let Some(warning) = secrets::exposure_warning(&reference) {
        warn!("{warning}");
    }
    info!("the webhook for pushes is at http://{}/hooks/git", settings.listen);
    // Pushes to other branches are ignored. If no branch is named, the remote's default is not known here.
    let followed = settings.git.as_ref().and_then(|git| git.reference.name()).map(str::to_owned);
    Ok(Some(Arc::new(Hooks::new(keys, followed, Arc::new(move || wake.notify_one())))))
}

async fn lead_and_reconcile(
    settings: &Settings,
    typed: &Typed,
    database: &Database,
    status: &watch::Sender<DaemonStatus>,
    logs: &watch::Sender<Option<LogReader>>,
    wake: &Arc<Notify>,
    stop: &CancellationToken,
) -> Result<()> {
    while let Some(lead) = wait_to_lead(database, status, stop).await? {
        let announced = running::announce(&settings.state_dir, typed);
        if let Err(error) = &announced {
            warn!("{error:#}; other commands have to be told the settings of this daemon");
        }
        // Cancelled when this daemon stops or loses the lead.
        let leading = stop.child_token();
        let stand_by = tokio::spawn(cancel_when_lost(lead.term().clone(), leading.clone()));
        let led = database.led_by(&lead);
        let version = env!("CARGO_PKG_VERSION");
        record(&led.store, EventKind::DaemonStarted, format!("AgentPod {version} started")).await;
        let outcome = Box::pin(reconcile(settings, &led, status, logs, wake, &leading)).await;
        if stop.is_cancelled() {
            record(&led.store, EventKind::DaemonStopped, "AgentPod stopped; agents keep running".into()).await;
        }
        stand_by.abort();
        if let Err(error) = lead.release().await {
            warn!(code = error.code(), "the lead could not be handed over, so it ends in a few seconds: {error}");
        }
        status.send_replace(standby_status());
        outcome?;
    }
    Ok(())
}

/// The status of a daemon that does not lead.
fn standby_status() -> DaemonStatus {
    DaemonStatus { role_since: Some(crate::clock::now()), ..DaemonStatus::default() }
}

/// Records that the daemon started or stopped, which tells how old the rows are when none runs.
async fn record(store: &Store, kind: EventKind, message: String) {
    if let Err(error) = store.record(&Event::of_none(kind, message), crate::clock::now()).await {
        warn!(code = error.code(), "the event {kind} could not be recorded: {error}");
    }
}

async fn reconcile(
    settings: &Settings,
    database: &Database,
    status: &watch::Sender<DaemonStatus>,
    logs: &watch::Sender<Option<LogReader>>,
    wake: &Arc<Notify>,
    stop: &CancellationToken,
) -> Result<()> {
    let parts = connect::parts(settings, database)?;
    match parts.engine.info().await {
        Ok(engine) => {
            info!("container engine {} (API {})", engine.version, engine.api);
            if let Some(why) = parts.engine.network_conflict(&settings.site.network).await? {
                bail!("{why}");
            }
        }
        Err(error) => warn!(code = error.code(), "{error}"),
    }
    let mut watched = parts.source.folders();
    watched.extend(parts.folders.folders());
    let engine = parts.engine.clone();
    let (mut reconciler, view) = Reconciler::new(parts);
    reconciler.note_judging_in(settings.state_dir.join("judging"));
    let meter = UsageMeter::new(engine, database.store.clone(), view.clone());
    let metering = tokio::spawn(meter.run(stop.clone()));
    reconciler.wake_on(wake.clone(), stop.clone());
    logs.send_replace(Some(reconciler.logs()));
    let forwarded = tokio::spawn(forward(view, status.clone()));
    let ending = reconciler.run(Mode::Daemon, Some(Watch::start(watched)), stop.clone()).await;
    logs.send_replace(None);
    debug_assert_eq!(ending, Ending::Stopped);
    forwarded.await?;
    metering.await?;
    Ok(())
}

async fn wait_to_lead(
    database: &Database,
    status: &watch::Sender<DaemonStatus>,
    stop: &CancellationToken,
) -> Result<Option<Lead>> {
    let mut candidate = Candidate::default();
    let mut announced = false;
    while !stop.is_cancelled() {
        let attempt = database.store.try_lead_as(&mut candidate).await;
        let failure = attempt.as_ref().err().map(ToString::to_string);
        let mut before = None;
        status.send_modify(|status| before = std::mem::replace(&mut status.database, failure));
        match attempt {
            Ok(Some(lead)) => return Ok(Some(lead)),
            Err(error) if error.is_about_the_key() => return Err(error.into()),
            Ok(None) if !announced => {
                info!("another AgentPod leads on this database; standing by");
                announced = true;
            }
            Ok(None) if before.is_some() => info!("the database answers again; standing by"),
            Ok(None) => {}
            Err(error) => {
                if before.is_none() {
                    warn!(code = error.code(), "{error}; trying again");
                }
                // Its leader may have died together with the private server.
                if let Some(embedded) = &database.embedded {
                    embedded.restart_if_gone().await;
                }
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(LEAD_RETRY) => {}
        }
    }
    Ok(None)
}

/// Stops acting as soon as another process leads. An outage of the database does not end the lead: nobody else can take
/// it meanwhile.
async fn cancel_when_lost(term: Term, leading: CancellationToken) {
    term.lost().await;
    warn!("another AgentPod leads on this database now; standing by");
    leading.cancel();
}

async fn forward(mut from: watch::Receiver<DaemonStatus>, to: watch::Sender<DaemonStatus>) {
    while from.changed().await.is_ok() {
        to.send_replace(from.borrow_and_update().clone());
    }
}
