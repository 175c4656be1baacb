//! Adding a pod from the dashboard, for who may: the manifest goes to the source, and from there it comes back as a revision
//! like every other. Touches neither the engine nor what is in force. Runs beside the rounds, also while another AgentPod
//! leads.

use std::sync::Arc;

use time::OffsetDateTime;
use tracing::{info, warn};

use crate::{
    core::{
        access::Person,
        decide::request::{Request, RequestSpec},
        declare::edit::NewPod,
        event::EventKind,
        names::PodId,
        problem::Problem,
        site::Site,
    },
    source::{AdapterFolders, Added, Edit, NotAdded, Source},
    store::{Event, Store},
};

/// Takes manifests from the dashboard to the source.
#[derive(Debug)]
pub struct Edits {
    source: Source,
    folders: AdapterFolders,
    site: Site,
    store: Arc<Store>,
    /// One at a time: what was judged together is written together.
    turn: tokio::sync::Mutex<()>,
}

/// Why a manifest was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotTaken {
    /// Whoever asks may not add it: why, as a sentence.
    Forbidden(String),
    /// The source does not have it.
    NotAdded(NotAdded),
}

impl Edits {
    /// Edits of a source, judged with the adapters in these folders for this site.
    pub fn new(source: Source, folders: AdapterFolders, site: Site, store: Arc<Store>) -> Self {
        Self { source, folders, site, store, turn: tokio::sync::Mutex::default() }
    }

    /// Where it is added, for people.
    pub fn origin(&self) -> String {
        self.source.origin()
    }

    /// Adds a manifest with one new pod in somebody's name, tells it in the events, and has the source read at once.
    pub async fn add_pod(&self, person: &Person, text: &str, now: OffsetDateTime) -> Result<(PodId, Added), NotTaken> {
        let problems = |problems: Vec<Problem>| NotTaken::NotAdded(NotAdded::Problems(problems));
        let pod = NewPod::parse(text).map_err(problems)?;
        pod.authorize(person).map_err(|denied| NotTaken::Forbidden(denied.to_string()))?;
        let _turn = self.turn.lock().await;
        let adapters = self.folders.read().await.map_err(|error| NotTaken::NotAdded(error.into()))?.files;
        let (origin, site, id) = (self.origin(), self.site.clone(), pod.id.clone());
        let edit = Edit {
            text: text.to_owned(),
            author: person.name.clone(),
            summary: format!("Add pod {id}"),
            choose_path: Arc::new(move |files| pod.path_in(&origin, files, &adapters, &site)),
        };
        let added = self.source.add(edit).await.map_err(NotTaken::NotAdded)?;
        self.tell(person, &id, &added, now).await;
        Ok((id, added))
    }

    /// It is done already: what cannot be written down now is in the log, and the source is read a little later.
    async fn tell(&self, person: &Person, id: &PodId, added: &Added, now: OffsetDateTime) {
        let message = format!("{} added it to the source: {}", person.name, added.location());
        info!(pod = %id, "{message}");
        let alerts = self.store.record(&Event::of_pod(id, EventKind::Edited, message), now).await;
        let sync = Request { what: RequestSpec::Sync, actor: person.name.clone() };
        for error in [alerts.err(), self.store.ask(&sync, now).await.err()].into_iter().flatten() {
            warn!(code = error.code(), "what was added to the source could not be told: {error}");
        }
    }
}
