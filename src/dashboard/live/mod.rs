//! Changes as they come. One connection to the database hears of them for all viewers; what changed is read once and kept
//! in a short ring for each audience (everybody, or one tenant), from which each viewer's socket takes what it has not sent
//! yet. Nothing is kept for a viewer: one that is too slow finds the ring gone on, and is shown everything anew.

mod ring;
mod socket;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::debug;

use self::ring::{Ring, Since};
pub use self::socket::routes;
use super::api::RequestLine;
use crate::{
    core::{
        access::{Person, Role},
        names::TenantName,
    },
    store::{Changed, Store, StoreError, view::PodQuery},
};

/// The most viewers at a time.
const MOST_VIEWERS: usize = 1000;
/// How soon it is tried to hear again after the database went away.
const LISTEN_AGAIN: Duration = Duration::from_secs(2);
/// How long a picture of everything may serve further viewers who come at the same time.
const PICTURE: Duration = Duration::from_secs(2);

/// Who sees the same: everybody's people, or one tenant's.
type Audience = Option<TenantName>;

/// How often viewers are asked whether they are there.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Between two pings.
    pub ping: Duration,
    /// After so much silence they are not.
    pub silence: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { ping: Duration::from_secs(15), silence: Duration::from_secs(45) }
    }
}

/// Everything that viewers are shown as it comes.
pub struct Live {
    store: Arc<Store>,
    /// Tells this run's sequence numbers from another's.
    stream: String,
    rings: Mutex<BTreeMap<Audience, Ring>>,
    /// Pictures of everything, with the number of the last change in it.
    pictures: tokio::sync::Mutex<BTreeMap<(Audience, bool), Picture>>,
    /// Counts up when there is something new in any ring.
    news: watch::Sender<u64>,
    places: Arc<Semaphore>,
    sockets: TaskTracker,
    pace: Pace,
    stop: CancellationToken,
}

#[derive(Clone)]
struct Picture {
    at: tokio::time::Instant,
    seq: u64,
    text: Arc<str>,
}

impl Live {
    /// Begins to hear of changes, until `stop`.
    pub fn start(store: Arc<Store>, pace: Pace, stop: CancellationToken) -> Arc<Self> {
        let live = Arc::new(Self {
            store,
            stream: format!("{:x}", crate::clock::now().unix_timestamp_nanos()),
            rings: Mutex::default(),
            pictures: tokio::sync::Mutex::default(),
            news: watch::channel(0).0,
            places: Arc::new(Semaphore::new(MOST_VIEWERS)),
            sockets: TaskTracker::new(),
            pace,
            stop,
        });
        tokio::spawn(live.clone().hear());
        live
    }

    /// Waits until changes are heard of; who looks on before is shown everything once more then.
    pub async fn hears(&self) {
        // An error means that we are gone, and nobody waits for us then.
        let _ = self.news.subscribe().wait_for(|count| *count > 0).await;
    }

    /// Waits until viewers were told that it is over; a stop must have come.
    pub async fn ended(&self) {
        self.sockets.close();
        let _ = tokio::time::timeout(Duration::from_secs(3), self.sockets.wait()).await;
    }

    async fn hear(self: Arc<Self>) {
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                outcome = self.hear_on() => if let Err(error) = outcome {
                    debug!(%error, "changes are not heard of");
                },
            }
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(LISTEN_AGAIN) => {}
            }
        }
    }

    async fn hear_on(&self) -> Result<(), StoreError> {
        let mut changes = self.store.changes().await?;
        // What was said meanwhile is not known.
        self.break_off();
        loop {
            let changed = changes.next().await?;
            if self.news.receiver_count() == 0 {
                // Nobody looks: nothing is read, and who comes later is shown everything.
                self.break_off();
            } else if let Err(error) = self.tell(&changed).await {
                self.break_off();
                return Err(error);
            }
        }
    }

    /// Reads what changed once, and puts it where those who may see it find it.
    async fn tell(&self, changed: &Changed) -> Result<(), StoreError> {
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

    /// Nobody knows what was missed: everybody is shown everything anew.
    fn break_off(&self) {
        self.rings().values_mut().for_each(Ring::break_off);
        self.news.send_modify(|count| *count += 1);
    }

    /// What somebody has not seen who saw everything up to a number.
    fn since(&self, audience: &Audience, seq: u64) -> Since {
        self.rings().entry(audience.clone()).or_default().since(seq)
    }

    /// Everything as it is now, and the number of the last change in it.
    async fn picture(&self, person: &Person, with_pods: bool) -> Result<(u64, Arc<str>), StoreError> {
        let audience = person.tenant.clone();
        // Held while it is made: who comes at the same time waits for this one instead of making another.
        let mut pictures = self.pictures.lock().await;
        let seq = self.rings().entry(audience.clone()).or_default().last();
        let key = (audience, with_pods);
        if let Some(picture) = pictures.get(&key).filter(|known| known.seq == seq && known.at.elapsed() < PICTURE) {
            return Ok((seq, picture.text.clone()));
        }
        let view = self.store.view(person);
        let mut picture =
            json!({"type": "snapshot", "stream": self.stream, "seq": seq, "overview": view.overview().await?});
        if with_pods {
            let page = view.pods(&PodQuery { limit: 1000, ..PodQuery::default() }).await?;
            picture["pods"] = json!(page.items);
            picture["more"] = json!(page.next.is_some());
        }
        let text: Arc<str> = picture.to_string().into();
        pictures.insert(key, Picture { at: crate::clock::runtime_instant(), seq, text: text.clone() });
        Ok((seq, text))
    }

    fn rings(&self) -> MutexGuard<'_, BTreeMap<Audience, Ring>> {
        self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads for all audiences at once; what each may see is sorted out afterwards.
fn everybody() -> Person {
    Person { name: "live".into(), role: Role::Viewer, tenant: None }
}
