//! Changing the source from the dashboard: adds, changes and removes pods in its files, from where they come back as a
//! revision like any other. Touches neither the engine nor the revision in force. Runs beside the rounds, also while
//! another AgentPod leads.

use std::sync::Arc;

use time::OffsetDateTime;
use tracing::{info, warn};

use crate::{
    core::{
        access::Person,
        decide::request::{Request, RequestSpec},
        declare::{
            edit::NewPod,
            pod_edit::{self, ManifestChange, PodEdit, PodManifest, PreparedEdit},
        },
        event::EventKind,
        names::PodId,
        problem::Problem,
        site::Site,
    },
    source::{AdapterFolders, Edit, Edited, NotEdited, Source},
    store::{Event, Store, StoreError},
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

/// Why the source was not changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EditError {
    /// The person may not do it: why, as a sentence.
    Forbidden(String),
    /// The source did not take it.
    NotEdited(NotEdited),
}

impl Edits {
    /// Edits of a source, checked with the adapters in these folders for this site.
    pub fn new(source: Source, folders: AdapterFolders, site: Site, store: Arc<Store>) -> Self {
        Self { source, folders, site, store, turn: tokio::sync::Mutex::default() }
    }

    /// Where manifests are written, for people.
    pub(crate) fn origin(&self) -> String {
        self.source.origin()
    }

    /// Adds a manifest with one new pod in a person's name, records an event, and has the source read at once.
    pub async fn add_pod(
        &self,
        person: &Person,
        text: &str,
        now: OffsetDateTime,
    ) -> Result<(PodId, Edited), EditError> {
        let pod = NewPod::parse(text).map_err(problems)?;
        pod.authorize(person).map_err(|denied| EditError::Forbidden(denied.to_string()))?;
        let _turn = self.turn.lock().await;
        let adapters = self.folders.read().await.map_err(|error| EditError::NotEdited(error.into()))?.files;
        let (origin, site, id) = (self.origin(), self.site.clone(), pod.id.clone());
        let edit = Edit {
            author: person.name.clone(),
            summary: format!("Add pod {id}"),
            decide: Arc::new(move |files| pod.file_in(&origin, files, &adapters, &site)),
        };
        let edited = self.source.edit(edit).await.map_err(EditError::NotEdited)?;
        self.report_event(person, &id, "added it to the source", &edited, now).await;
        Ok((id, edited))
    }

    /// Changes or removes a pod in the source in a person's name, records an event, and has the source read at once.
    pub(crate) async fn edit_pod(
        &self,
        person: &Person,
        edit: PodEdit,
        now: OffsetDateTime,
    ) -> Result<Edited, EditError> {
        edit.authorize(person).map_err(|denied| EditError::Forbidden(denied.to_string()))?;
        let _turn = self.turn.lock().await;
        let adapters = self.folders.read().await.map_err(|error| EditError::NotEdited(error.into()))?.files;
        let (origin, site, id) = (self.origin(), self.site.clone(), edit.id.clone());
        let (verb, done) = match edit.change {
            ManifestChange::Remove => ("Remove", "removed it from the source"),
            _ => ("Change", "changed it in the source"),
        };
        let asker = person.clone();
        let change = Edit {
            author: person.name.clone(),
            summary: format!("{verb} pod {id}"),
            decide: Arc::new(move |files| {
                edit.prepare(&asker, &origin, files, &adapters, &site).map(|prepared| prepared.change)
            }),
        };
        let edited = self.source.edit(change).await.map_err(EditError::NotEdited)?;
        self.report_event(person, &id, done, &edited, now).await;
        Ok(edited)
    }

    /// The edit is done: if the event cannot be stored it is in the log, and the source is read a little later.
    async fn report_event(&self, person: &Person, id: &PodId, done: &str, edited: &Edited, now: OffsetDateTime) {
        let message = format!("{} {done}: {}", person.name, edited.location());
        info!(pod = %id, "{message}");
        let event = self.store.record(&Event::of_pod(id, EventKind::Edited, message), now).await;
        if let Err(error) = event {
            warn!(code = error.code(), "the event for the edit could not be stored: {error}");
        }
        let sync = Request { what: RequestSpec::Sync, actor: person.name.clone() };
        if let Err(error) = self.store.add_request(&sync, now).await {
            warn!("the source is read at the next interval, because a sync could not be requested: {error}");
        }
    }
}

/// What an edit would make of the revision in force; nothing is written. `None`: no revision is in force.
pub(crate) async fn preview(
    store: &Store,
    site: &Site,
    person: &Person,
    edit: PodEdit,
) -> Result<Option<Result<PreparedEdit, EditError>>, StoreError> {
    if let Err(denied) = edit.authorize(person) {
        return Ok(Some(Err(EditError::Forbidden(denied.to_string()))));
    }
    let (Some(revision), Some(row)) = (store.last_accepted().await?, store.in_force().await?) else { return Ok(None) };
    let (site, person) = (site.clone(), person.clone());
    let prepared = tokio::task::spawn_blocking(move || {
        let adapters = revision.adapters.unwrap_or_default();
        edit.prepare(&person, &row.origin, &revision.files, &adapters, &site).map_err(problems)
    });
    Ok(Some(prepared.await.unwrap_or_else(|error| Err(problems(vec![Problem::of_file("", error.to_string())])))))
}

/// The manifest of a pod in the revision in force.
pub(crate) async fn manifest(store: &Store, id: &PodId) -> Result<Option<PodManifest>, StoreError> {
    let Some(revision) = store.last_accepted().await? else { return Ok(None) };
    let id = id.clone();
    Ok(tokio::task::spawn_blocking(move || pod_edit::find(&revision.files, &id)).await.ok().flatten())
}

fn problems(problems: Vec<Problem>) -> EditError {
    EditError::NotEdited(NotEdited::Problems(problems))
}
