//! Adding a pod from the dashboard: writes the manifest to the source, from where it comes back as a revision like any
//! other. Touches neither the engine nor the revision in force. Runs beside the rounds, also while another AgentPod
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

/// Writes manifests from the dashboard to the source.
#[derive(Debug)]
pub struct Edits {
    source: Source,
    folders: AdapterFolders,
    site: Site,
    store: Arc<Store>,
    /// One at a time: what is checked together is written together.
    turn: tokio::sync::Mutex<()>,
}

/// Why a manifest was not added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddPodError {
    /// The person may not add it: why, as a sentence.
    Forbidden(String),
    /// The source did not take it.
    NotAdded(NotAdded),
}

impl Edits {
    /// Edits of a source, checked with the adapters in these folders for this site.
    pub fn new(source: Source, folders: AdapterFolders, site: Site, store: Arc<Store>) -> Self {
        Self { source, folders, site, store, turn: tokio::sync::Mutex::default() }
    }

    /// Where manifests are added, for people.
    pub(crate) fn origin(&self) -> String {
        self.source.origin()
    }

    /// Adds a manifest with one new pod in a person's name, records an event, and has the source read at once.
    pub async fn add_pod(
        &self,
        person: &Person,
        text: &str,
        now: OffsetDateTime,
    ) -> Result<(PodId, Added), AddPodError> {
        let problems = |problems: Vec<Problem>| AddPodError::NotAdded(NotAdded::Problems(problems));
        let pod = NewPod::parse(text).map_err(problems)?;
        pod.authorize(person).map_err(|denied| AddPodError::Forbidden(denied.to_string()))?;
        let _turn = self.turn.lock().await;
        let adapters = self.folders.read().await.map_err(|error| AddPodError::NotAdded(error.into()))?.files;
        let (origin, site, id) = (self.origin(), self.site.clone(), pod.id.clone());
        let edit = Edit {
            text: text.to_owned(),
            author: person.name.clone(),
            summary: format!("Add pod {id}"),
            choose_path: Arc::new(move |files| pod.path_in(&origin, files, &adapters, &site)),
        };
        let added = self.source.add(edit).await.map_err(AddPodError::NotAdded)?;
        self.report_event(person, &id, &added, now).await;
        Ok((id, added))
    }

    /// The edit is done: if the event cannot be stored it is in the log, and the source is read a little later.
    async fn report_event(&self, person: &Person, id: &PodId, added: &Added, now: OffsetDateTime) {
        let message = format!("{} added it to the source: {}", person.name, added.location());
        info!(pod = %id, "{message}");
        let event = self.store.record(&Event::of_pod(id, EventKind::Edited, message), now).await;
        if let Err(error) = event {
            warn!(code = error.code(), "the event for the added manifest could not be stored: {error}");
        }
        let sync = Request { what: RequestSpec::Sync, actor: person.name.clone() };
        if let Err(error) = self.store.add_request(&sync, now).await {
            warn!("the source is read at the next interval, because a sync could not be requested: {error}");
        }
    }
}
