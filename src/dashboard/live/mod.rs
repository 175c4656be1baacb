//! Live changes. One connection to the database receives them for all viewers; what changed is read once and kept in a short
//! ring for each audience (everybody, or one tenant), from which each viewer's socket takes what it has not sent yet. Nothing
//! is kept per viewer: one that is too slow finds that the ring has moved on, and gets a new snapshot.

mod ring;
mod socket;

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::debug;

use self::ring::{Ring, Since};
pub(crate) use self::socket::routes;
use super::{api::RequestLine, shares::Shares};
use crate::{
    core::{
        access::{Person, Role},
        names::TenantName,
    },
    descriptors,
    store::{Changed, Store, StoreError, view::PodQuery},
};

/// The most viewers at a time, where this process may have enough connections.
const MAX_VIEWERS: u64 = 1000;
/// One account or address gets at most this part of their places.
const SHARE: usize = 4;
/// How long a snapshot may serve further viewers who connect at the same time.
const SNAPSHOT_LIFETIME: Duration = Duration::from_secs(2);

/// What has a share of the viewers' places.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ViewerKey {
    /// An account, by its name.
    Account(String),
    /// A client's address.
    Address(IpAddr),
}

/// An audience: people who see all tenants, or those of one.
type Audience = Option<TenantName>;

/// How often viewers are pinged, and when they count as gone.
#[derive(Debug, Clone, Copy)]
pub struct Heartbeat {
    /// The time between two pings.
    pub ping: Duration,
    /// The longest silence.
    pub silence: Duration,
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self { ping: Duration::from_secs(15), silence: Duration::from_secs(45) }
    }
}

/// The source of live changes for all viewers.
pub struct Live {
    store: Arc<Store>,
    /// Distinguishes this run's sequence numbers from another's.
    stream: String,
    rings: Mutex<BTreeMap<Audience, Ring>>,
    /// Snapshots, with the number of the last change in them.
    snapshots: tokio::sync::Mutex<BTreeMap<(Audience, bool), ViewerSnapshot>>,
    /// Incremented when any ring has something new.
    news: watch::Sender<u64>,
    places: Arc<Shares<ViewerKey>>,
    sockets: TaskTracker,
    heartbeat: Heartbeat,
    stop: CancellationToken,
}

#[derive(Clone)]
pub(super) struct ViewerSnapshot {
    at: tokio::time::Instant,
    seq: u64,
    text: Arc<str>,
}

impl Live {
    /// Starts to listen for changes, until `stop`.
    pub fn start(store: Arc<Store>, heartbeat: Heartbeat, stop: CancellationToken) -> Arc<Self> {
        let most = (descriptors::raise_limit() / 4).min(MAX_VIEWERS) as usize;
        let live = Arc::new(Self {
            store,
            stream: format!("{:x}", crate::clock::now().unix_timestamp_nanos()),
            rings: Mutex::default(),
            snapshots: tokio::sync::Mutex::default(),
            news: watch::channel(0).0,
            places: Shares::new(most, most / SHARE),
            sockets: TaskTracker::new(),
            heartbeat,
            stop,
        });
        tokio::spawn(live.clone().listen());
        live
    }

    /// Waits until it listens; a viewer who connected earlier then gets a new snapshot.
    pub async fn is_listening(&self) {
        // An error means that we are stopping, and nobody waits for us then.
        let _ = self.news.subscribe().wait_for(|count| *count > 0).await;
    }

    /// Waits until all viewers' connections are closed; call it after the stop.
    pub async fn ended(&self) {
        self.sockets.close();
        let _ = tokio::time::timeout(Duration::from_secs(3), self.sockets.wait()).await;
    }

    async fn listen(self: Arc<Self>) {
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = self.pass_changes_on() => {}
        }
    }

    async fn pass_changes_on(&self) {
        let mut changes = self.store.changes().await;
        // Changes in between were missed.
        self.break_off();
        loop {
            match changes.next().await {
                // Without viewers nothing is read; a later viewer gets a snapshot.
                Some(changed) if self.news.receiver_count() > 0 => {
                    if let Err(error) = self.publish(&changed).await {
                        debug!(%error, "changes could not be read");
                        self.break_off();
                    }
                }
                _ => self.break_off(),
            }
        }
    }

    /// Reads what changed, once, and adds it to the rings of those who may see it.
    async fn publish(&self, changed: &Changed) -> Result<(), StoreError> {
        let everybody = everybody();
        let view = self.store.view(&everybody);
        let mut news: Vec<(Audience, Value)> = Vec::new();
        let ids: Vec<_> = changed.pods.iter().cloned().collect();
        let lines = if ids.is_empty() { Vec::new() } else { view.lines(&ids).await? };
        for id in ids.iter().filter(|id| !lines.iter().any(|line| line.id == **id)) {
            news.push((Some(id.tenant.clone()), json!({"type": "gone", "id": id})));
        }
        news.extend(lines.into_iter().map(|line| (Some(line.tenant.clone()), json!({"type": "pod", "pod": line}))));
        if !changed.events.is_empty() {
            for event in view.events_of(&changed.events.iter().copied().collect::<Vec<_>>()).await? {
                let tenant = event.pod.as_ref().map(|pod| pod.tenant.clone());
                news.push((tenant, json!({"type": "event", "event": event})));
            }
        }
        for id in &changed.revisions {
            let revision = view.revision(*id).await?;
            news.extend(revision.map(|revision| (None, json!({"type": "revision", "revision": revision}))));
        }
        for id in &changed.requests {
            if let Some(row) = self.store.request(*id).await? {
                let tenant = row.open.request.what.pod().map(|pod| pod.tenant.clone());
                news.push((tenant, json!({"type": "request", "request": RequestLine::from(row)})));
            }
        }
        let usage = if changed.usage { view.usage_now().await? } else { Vec::new() };
        let mut rings = self.rings();
        for (audience, ring) in rings.iter_mut() {
            let theirs = |tenant: &Audience| audience.is_none() || audience == tenant;
            news.iter().filter(|(tenant, _)| theirs(tenant)).for_each(|(_, message)| ring.push(message));
            let own: Vec<_> = usage.iter().filter(|one| theirs(&Some(one.id.tenant.clone()))).collect();
            if changed.usage {
                ring.push(&json!({"type": "usage", "usage": own}));
            }
        }
        drop(rings);
        self.news.send_modify(|count| *count += 1);
        Ok(())
    }

    /// Changes were missed: every viewer gets a new snapshot.
    fn break_off(&self) {
        self.rings().values_mut().for_each(Ring::break_off);
        self.news.send_modify(|count| *count += 1);
    }

    /// The changes after a sequence number.
    fn since(&self, audience: &Audience, seq: u64) -> Since {
        self.rings().entry(audience.clone()).or_default().since(seq)
    }

    /// A snapshot, and the number of the last change in it.
    async fn snapshot(&self, person: &Person, with_pods: bool) -> Result<ViewerSnapshot, StoreError> {
        let audience = person.tenant.clone();
        // Locked while it is made: viewers who connect at the same time share it.
        let mut snapshots = self.snapshots.lock().await;
        let seq = self.rings().entry(audience.clone()).or_default().last();
        let key = (audience, with_pods);
        if let Some(snapshot) =
            snapshots.get(&key).filter(|known| known.seq == seq && known.at.elapsed() < SNAPSHOT_LIFETIME)
        {
            return Ok(snapshot.clone());
        }
        let view = self.store.view(person);
        let mut snapshot =
            json!({"type": "snapshot", "stream": self.stream, "seq": seq, "overview": view.overview().await?});
        if with_pods {
            let page = view.pods(&PodQuery { limit: 1000, ..PodQuery::default() }).await?;
            snapshot["pods"] = json!(page.items);
            snapshot["more"] = json!(page.next.is_some());
        }
        let text = snapshot.to_string().into();
        let snapshot = ViewerSnapshot { at: crate::clock::runtime_instant(), seq, text };
        snapshots.insert(key, snapshot.clone());
        Ok(snapshot)
    }

    fn rings(&self) -> MutexGuard<'_, BTreeMap<Audience, Ring>> {
        self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads for all audiences at once; who may see what is sorted out afterwards.
fn everybody() -> Person {
    Person { name: "live".into(), role: Role::Viewer, tenant: None }
}
