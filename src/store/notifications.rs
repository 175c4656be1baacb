//! Notifications between processes on one database, received on one connection for everybody in this process. They carry
//! which row changed, never its content. Whoever receives [`Notice::Missed`] has to look by itself.
//!
//! Whether notifications arrive at all is tested by sending one: a pooler that shares sessions accepts `LISTEN` and delivers
//! nothing. Then everybody receives a notice to look every few seconds instead.

use std::time::Duration;

use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};
use tokio::sync::{broadcast, watch};
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, warn};

use super::{CONNECT_TIMEOUT, connections::Server, error::Result, key::random_text, run, with_timeout};

/// The channel of requests.
pub(super) const REQUESTS: &str = "agentpod_asked";
/// The channel of changed rows; triggers in the migration notify it.
pub(super) const CHANGES: &str = "agentpod_changed";
/// The channel of tests whether notifications arrive.
const ECHO: &str = "agentpod_echo";

/// How long a notification to oneself may take.
const ECHO_TIMEOUT: Duration = Duration::from_secs(5);
/// How long nothing may arrive before that is tested again.
const SILENCE: Duration = Duration::from_secs(60);
/// How soon to listen again after the database went away.
const LISTEN_AGAIN: Duration = Duration::from_secs(2);
/// How often everybody looks by itself while notifications do not arrive.
const POLL: Duration = Duration::from_secs(3);
/// How many polls before listening is tried again.
const POLLS: u32 = 20;
/// How many notices a slow receiver may be behind.
const BACKLOG: usize = 4096;

/// Something was announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Notice {
    /// Notifications may have been missed.
    Missed,
    /// A request was stored.
    Requested,
    /// A row changed: its kind and key.
    Changed(String),
}

/// Receives notifications for everybody in this process.
#[derive(Debug)]
pub(super) struct Notifications {
    notices: broadcast::Sender<Notice>,
    /// Whether it listens, as far as that can be: also while it is known that nothing arrives.
    listens: watch::Receiver<bool>,
    _task: AbortOnDropHandle<()>,
}

/// Receives notices.
#[derive(Debug)]
pub(super) struct Notices(broadcast::Receiver<Notice>);

impl Notifications {
    /// Starts to listen, until this is dropped.
    pub(super) fn start(options: PgConnectOptions, pool: PgPool, server: Server) -> Self {
        let (notices, (now_listens, listens)) = (broadcast::channel(BACKLOG).0, watch::channel(false));
        let task = tokio::spawn(listen(options, pool, server, notices.clone(), now_listens));
        Self { notices, listens, _task: AbortOnDropHandle::new(task) }
    }

    /// Begins to receive once it listens; what was announced earlier is missed.
    pub(super) async fn subscribe(&self) -> Notices {
        let receiver = self.notices.subscribe();
        // An error means that the process is ending.
        let _ = self.listens.clone().wait_for(|listens| *listens).await;
        Notices(receiver)
    }
}

impl Notices {
    /// The next notice.
    pub(super) async fn next(&mut self) -> Notice {
        match self.0.recv().await {
            Ok(notice) => notice,
            Err(broadcast::error::RecvError::Lagged(_)) => Notice::Missed,
            // The process is ending.
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

async fn listen(
    options: PgConnectOptions,
    pool: PgPool,
    server: Server,
    notices: broadcast::Sender<Notice>,
    listens: watch::Sender<bool>,
) {
    let mut is_deaf = false;
    while !pool.is_closed() {
        let outcome = tokio::select! {
            outcome = hear(&options, &pool, &notices, &listens, &mut is_deaf) => outcome,
            () = server.changed() => Ok(()),
            () = pool.close_event() => return,
        };
        listens.send_replace(false);
        match outcome {
            Err(error) => debug!(%error, "lost the connection for notifications"),
            Ok(()) if is_deaf => {
                for _ in 0..POLLS {
                    listens.send_replace(true);
                    let _ = notices.send(Notice::Missed);
                    tokio::time::sleep(POLL).await;
                }
                continue;
            }
            Ok(()) => {}
        }
        tokio::time::sleep(LISTEN_AGAIN).await;
    }
}

/// Passes notifications on until the connection is lost, or nothing arrives on it.
async fn hear(
    options: &PgConnectOptions,
    pool: &PgPool,
    notices: &broadcast::Sender<Notice>,
    listens: &watch::Sender<bool>,
    is_deaf: &mut bool,
) -> Result<()> {
    let own = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(CONNECT_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_lazy_with(options.clone());
    let mut listener = with_timeout(CONNECT_TIMEOUT, async {
        let mut listener = PgListener::connect_with(&own).await?;
        listener.listen_all([REQUESTS, CHANGES, ECHO]).await?;
        Ok(listener)
    })
    .await?;
    loop {
        let nonce = secrecy::ExposeSecret::expose_secret(&random_text()?).to_owned();
        let query = sqlx::query!("SELECT pg_notify($1, $2)", ECHO, nonce);
        run("echo", async { Ok(query.execute(pool).await?) }).await?;
        let arrived = tokio::time::timeout(ECHO_TIMEOUT, pass_on(&mut listener, notices, Some(&nonce))).await;
        let Ok(lost) = arrived else {
            if !std::mem::replace(is_deaf, true) {
                warn!(
                    "the database's notifications do not arrive, probably because of a connection pooler that shares sessions; \
                     AgentPod looks every {} seconds instead. Connect to PostgreSQL directly, or use the pooler's session mode",
                    POLL.as_secs()
                );
            }
            return Ok(());
        };
        lost?;
        *is_deaf = false;
        if !listens.send_replace(true) {
            let _ = notices.send(Notice::Missed);
        }
        if let Ok(lost) = tokio::time::timeout(SILENCE, pass_on(&mut listener, notices, None)).await {
            return lost;
        }
    }
}

/// Passes notifications on until this echo arrives, or the connection is lost.
async fn pass_on(listener: &mut PgListener, notices: &broadcast::Sender<Notice>, echo: Option<&str>) -> Result<()> {
    loop {
        let Some(notification) = listener.try_recv().await? else { return Err(sqlx::Error::PoolClosed.into()) };
        // Nobody may be interested.
        let _ = match notification.channel() {
            REQUESTS => notices.send(Notice::Requested),
            CHANGES => notices.send(Notice::Changed(notification.payload().to_owned())),
            _ if echo == Some(notification.payload()) => return Ok(()),
            _ => continue,
        };
    }
}
