//! `agentpod run`: the daemon. One of them leads and makes rounds; another on the same database stands by, serves its
//! page and takes over.

use std::{process::ExitCode, sync::Arc, time::Duration};

use anyhow::Result;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::connect::{self, Database};
use crate::{
    config::Settings,
    dashboard,
    reconcile::{Ending, Mode, Overview, Reconciler},
    shutdown,
    source::Watch,
    store::{Lead, Store},
};

/// How often a daemon that stands by asks whether it may lead.
const ASK_AGAIN: Duration = Duration::from_secs(3);

/// Runs until a signal comes.
pub async fn run(settings: Settings) -> Result<ExitCode> {
    let stop = shutdown::on_signal()?;
    let database = Database::open(&settings).await?;
    let (overview, view) = watch::channel(Overview::default());
    let served = dashboard::serve(settings.listen, view, stop.clone()).await?;
    info!("the status is at http://{}/api/v1/status", settings.listen);
    let outcome = lead_and_reconcile(&settings, &database, &overview, &stop).await;
    stop.cancel();
    served.await?;
    database.close().await?;
    outcome.map(|()| ExitCode::SUCCESS)
}

async fn lead_and_reconcile(settings: &Settings, database: &Database, overview: &watch::Sender<Overview>, stop: &CancellationToken) -> Result<()> {
    let Some(_lead) = wait_to_lead(&database.store, stop).await? else { return Ok(()) };
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
    let (reconciler, view) = Reconciler::new(parts);
    let passed_on = tokio::spawn(pass_on(view, overview.clone()));
    let ending = reconciler.run(Mode::Daemon, Some(Watch::start(watched)), stop.clone()).await;
    debug_assert_eq!(ending, Ending::Stopped);
    passed_on.await?;
    Ok(())
}

async fn wait_to_lead(store: &Arc<Store>, stop: &CancellationToken) -> Result<Option<Lead>> {
    let mut told = false;
    loop {
        match store.try_lead().await {
            Ok(Some(lead)) => return Ok(Some(lead)),
            Ok(None) if !told => {
                info!("another AgentPod leads on this database; standing by");
                told = true;
            }
            Ok(None) => {}
            Err(error) => warn!(code = error.code(), "{error}"),
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(None),
            () = tokio::time::sleep(ASK_AGAIN) => {}
        }
    }
}

async fn pass_on(mut from: watch::Receiver<Overview>, to: watch::Sender<Overview>) {
    while from.changed().await.is_ok() {
        to.send_replace(from.borrow_and_update().clone());
    }
}
