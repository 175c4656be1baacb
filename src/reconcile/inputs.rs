//! What a round starts from: the newest revision without problems, kept in force until a better one comes. Reads the
//! source and the adapters, and caches the desired state so that an unchanged round builds nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use tokio::sync::mpsc;

use super::{
    judge::{Judge, Judgement, LIMIT},
    message::Report,
};
use crate::{
    core::{
        declare::{
            adapter::{AdapterFiles, Adapters},
            desired::{self, Desired, PodIdentity},
            manifest::Manifests,
            revision::{self, ValidRevision},
        },
        names::PodId,
        problem::Problem,
        secret::{Fingerprints, SecretRef},
        site::Site,
    },
    source::{AdapterFolders, Snapshot, Source, SourceError, SourceHealth},
    store::{Fetched, Revision, StoreError},
};

/// What was read: the manifests and the adapters of one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceReading {
    /// The manifests.
    pub(crate) snapshot: Snapshot,
    /// The adapters and templates.
    pub(crate) adapters: AdapterFiles,
}

impl SourceReading {
    /// The adapters as the store takes them.
    pub(crate) fn fetched(&self) -> Fetched<'_> {
        let Snapshot { revision, origin, files, commit } = &self.snapshot;
        Fetched { hash: revision, origin, commit: commit.as_ref(), files, adapters: &self.adapters }
    }
}

/// Why the newest revision is not in force.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RefusedRevision {
    /// What was read, if the source and the adapters could be read at all.
    pub(crate) reading: Option<Arc<SourceReading>>,
    /// Everything that is wrong with it.
    pub(crate) problems: Vec<Problem>,
}

/// Why there is no preview of the next round.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PreviewError {
    /// The newest revision has problems, or no revision could be read.
    #[error("the newest revision is refused")]
    Refused(RefusedRevision),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<RefusedRevision> for PreviewError {
    fn from(refused: RefusedRevision) -> Self {
        Self::Refused(refused)
    }
}

impl RefusedRevision {
    /// The first problem, with its file, for a line in the log.
    pub(super) fn first(&self) -> String {
        self.problems.first().map(ToString::to_string).unwrap_or_default()
    }
}

/// The inputs of a round.
pub(crate) struct Inputs {
    source: Source,
    folders: AdapterFolders,
    site: Site,
    in_force: Option<NewRevision>,
    built: Option<BuiltState>,
    judge: Judge,
}

struct BuiltState {
    from: (String, String, Fingerprints, BTreeMap<PodId, PodIdentity>),
    desired: Arc<Desired>,
}

/// A revision without problems that is not accepted yet.
#[derive(Clone)]
pub(crate) struct NewRevision {
    /// What it was built from.
    pub(crate) reading: Arc<SourceReading>,
    adapters_revision: String,
    manifests: Arc<Manifests>,
    adapters: Arc<Adapters>,
}

impl Inputs {
    /// Inputs from a source, adapters and a site. Nothing is read yet.
    pub(crate) fn new(source: Source, folders: AdapterFolders, site: Site) -> Self {
        Self { source, folders, site, in_force: None, built: None, judge: Judge::default() }
    }

    /// Where manifests come from, for people.
    pub(crate) fn origin(&self) -> String {
        self.source.origin()
    }

    /// When the source was last read, and the outcome.
    pub(crate) fn health(&self) -> SourceHealth {
        self.source.health()
    }

    /// Where manifests come from.
    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    /// The site everything is built for.
    pub(crate) fn site(&self) -> &Site {
        &self.site
    }

    /// The adapters in force.
    pub(crate) fn adapters(&self) -> Option<&Arc<Adapters>> {
        self.in_force.as_ref().map(|fresh| &fresh.adapters)
    }

    /// The revision in force.
    pub(crate) fn revision(&self) -> Option<&str> {
        self.snapshot().map(|snapshot| snapshot.revision.as_str())
    }

    /// The manifests in force.
    pub(crate) fn snapshot(&self) -> Option<&Snapshot> {
        self.in_force.as_ref().map(|fresh| &fresh.reading.snapshot)
    }

    /// Whether this revision, including its origin, is the one in force.
    pub(crate) fn is_in_force(&self, fresh: &NewRevision) -> bool {
        self.in_force.as_ref().is_some_and(|in_force| in_force.reading == fresh.reading)
    }

    /// Tells the reconciler when judging ends that no round waited for.
    pub(super) fn report_to(&mut self, reports: mpsc::UnboundedSender<Report>) {
        self.judge.report_to(reports);
    }

    /// Notes in a file what is judged, so that the next start knows what ended this process.
    pub(super) fn note_in(&mut self, path: PathBuf) {
        self.judge.note_in(path);
    }

    /// Whether what was read is still judged.
    pub(super) fn is_judging(&self) -> bool {
        self.judge.is_underway()
    }

    /// Reads the source and the adapters; returns everything that is wrong with them on failure, and `None` if they are
    /// still judged after `patience`.
    pub async fn read(&mut self, patience: Duration) -> Result<Option<NewRevision>, RefusedRevision> {
        match (self.source.read().await, self.folders.read().await) {
            (Ok(snapshot), Ok(adapters)) => {
                self.check(SourceReading { snapshot, adapters: adapters.files }, patience).await
            }
            (snapshot, adapters) => {
                let (source, folders) = (snapshot.err(), adapters.err());
                let problems = [&source, &folders].into_iter().flatten().flat_map(SourceError::problems).collect();
                Err(RefusedRevision { reading: None, problems })
            }
        }
    }

    /// Parses and builds everything; returns all problems on failure. The revision in force is not built again.
    async fn check(
        &mut self,
        reading: SourceReading,
        patience: Duration,
    ) -> Result<Option<NewRevision>, RefusedRevision> {
        let adapters_revision = reading.adapters.digest().as_str().to_owned();
        let reading = Arc::new(reading);
        if let Some(in_force) = &self.in_force
            && in_force.reading.snapshot.revision == reading.snapshot.revision
            && in_force.adapters_revision == adapters_revision
        {
            return Ok(Some(NewRevision { reading, ..in_force.clone() }));
        }
        let Snapshot { revision, origin, .. } = &reading.snapshot;
        let content = format!("{revision} {adapters_revision}");
        let (judged, site) = (reading.clone(), self.site.clone());
        let validate = move || {
            let Snapshot { origin, .. } = &judged.snapshot;
            revision::validate(origin, judged.snapshot.texts(), &judged.adapters, &site)
        };
        match self.judge.judge(&content, origin, patience, validate).await {
            Judgement::Valid(valid) => {
                let ValidRevision { manifests, adapters } = *valid;
                let (manifests, adapters) = (Arc::new(manifests), Arc::new(adapters));
                Ok(Some(NewRevision { reading, adapters_revision, manifests, adapters }))
            }
            Judgement::Refused(problems) => Err(RefusedRevision { reading: Some(reading), problems }),
            Judgement::Underway => Ok(None),
        }
    }

    /// Judges what is stored, to the end.
    async fn check_stored(&mut self, reading: SourceReading) -> Result<NewRevision, RefusedRevision> {
        let unknown = RefusedRevision { reading: None, problems: Vec::new() };
        self.check(reading, LIMIT).await?.ok_or(unknown)
    }

    /// Puts the stored revision in force, with the adapters it was accepted with: for a start without a source, or with a
    /// broken one. What another version of AgentPod stored may no longer build; then its manifests are tried with the
    /// adapters in the folders.
    pub(crate) async fn restore(&mut self, kept: Revision) -> Result<(), RefusedRevision> {
        let Revision { hash, files, origin, commit, adapters, .. } = kept;
        let snapshot = Snapshot { revision: hash, origin, files, commit };
        let as_it_was = match adapters {
            Some(adapters) => Some(self.check_stored(SourceReading { snapshot: snapshot.clone(), adapters }).await),
            None => None,
        };
        let fresh = match (as_it_was, self.folders.read().await) {
            (Some(Ok(fresh)), _) => fresh,
            (was, Ok(folders)) => {
                let now = self.check_stored(SourceReading { snapshot, adapters: folders.files }).await;
                now.map_err(|refused| was.and_then(Result::err).unwrap_or(refused))?
            }
            (Some(Err(refused)), Err(_)) => return Err(refused),
            (None, Err(error)) => return Err(RefusedRevision { reading: None, problems: error.problems() }),
        };
        self.accept(fresh);
        Ok(())
    }

    /// Puts a revision in force; returns whether its declarations differ from before.
    pub(crate) fn accept(&mut self, fresh: NewRevision) -> bool {
        let same = self.revision() == Some(&fresh.reading.snapshot.revision)
            && self.in_force.as_ref().is_some_and(|before| before.adapters_revision == fresh.adapters_revision);
        self.in_force = Some(fresh);
        !same
    }

    /// Every reference to a secret in the revision in force.
    pub(crate) fn secret_references(&self) -> BTreeSet<SecretRef> {
        let Some(NewRevision { manifests, .. }) = &self.in_force else { return BTreeSet::new() };
        let of_pods = manifests.pods.values().flat_map(|pod| pod.value.spec.secrets.values());
        let of_defaults = manifests
            .defaults
            .iter()
            .flat_map(|defaults| defaults.value.spec.secrets.values().flat_map(BTreeMap::values));
        of_pods.chain(of_defaults).cloned().collect()
    }

    /// The desired state, or `None` while no revision is in force. Built only when something it depends on has changed.
    pub(crate) fn desired(
        &mut self,
        identities: &BTreeMap<PodId, PodIdentity>,
        fingerprints: &Fingerprints,
    ) -> Result<Option<Arc<Desired>>, RefusedRevision> {
        let Some(NewRevision { reading, adapters_revision, manifests, adapters }) = &self.in_force else {
            return Ok(None);
        };
        let declared_known: BTreeMap<_, _> = identities
            .iter()
            .filter(|(id, _)| manifests.pods.contains_key(*id))
            .map(|(id, identities)| (id.clone(), identities.clone()))
            .collect();
        let from = (reading.snapshot.revision.clone(), adapters_revision.clone(), fingerprints.clone(), declared_known);
        if let Some(built) = self.built.as_ref().filter(|built| built.from == from) {
            return Ok(Some(built.desired.clone()));
        }
        let refused = |problems| RefusedRevision { reading: Some(reading.clone()), problems };
        let desired =
            Arc::new(desired::build(manifests, adapters, &self.site, identities, fingerprints).map_err(refused)?);
        self.built = Some(BuiltState { from, desired: desired.clone() });
        Ok(Some(desired))
    }
}
