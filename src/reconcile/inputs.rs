//! What a round starts from: the newest revision that built whole, kept in force until a better one comes. Reads the
//! source and the adapters, and remembers what it built so that an unchanged round builds nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    core::{
        adapter::{self, AdapterFiles, Adapters},
        desired::{self, Desired, KnownPod},
        manifest::{self, Manifests},
        names::PodId,
        problem::Problem,
        secret::{Fingerprints, SecretRef},
        site::Site,
    },
    source::{AdapterFolders, Source},
    store::Revision,
};

/// Why the newest revision is not in force.
#[derive(Debug, Clone, PartialEq)]
pub struct Refused {
    /// The revision, if the source could be read at all.
    pub revision: Option<String>,
    /// Everything that is wrong with it.
    pub problems: Vec<Problem>,
}

/// The inputs of a round.
pub struct Inputs {
    source: Source,
    folders: AdapterFolders,
    site: Site,
    adapters: Option<(String, Arc<Adapters>)>,
    manifests: Option<(String, Arc<Manifests>)>,
    built: Option<Built>,
}

struct Built {
    from: (String, String, Fingerprints, BTreeMap<PodId, KnownPod>),
    desired: Arc<Desired>,
}

/// A revision as it was read, before anybody decided to accept it.
pub struct Fresh {
    /// Its hash.
    pub revision: String,
    /// Its files.
    pub files: BTreeMap<String, Vec<u8>>,
    /// The adapters and templates it was read with.
    pub adapter_files: AdapterFiles,
    adapters_revision: String,
    manifests: Arc<Manifests>,
    adapters: Arc<Adapters>,
}

impl Inputs {
    /// Inputs from a source, adapters and a site. Nothing is read yet.
    pub fn new(source: Source, folders: AdapterFolders, site: Site) -> Self {
        Self { source, folders, site, adapters: None, manifests: None, built: None }
    }

    /// Where manifests come from, for people.
    pub fn origin(&self) -> String {
        self.source.origin()
    }

    /// Where manifests come from.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// The site everything is built for.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// The adapters in force.
    pub fn adapters(&self) -> Option<&Arc<Adapters>> {
        self.adapters.as_ref().map(|(_, adapters)| adapters)
    }

    /// The revision in force.
    pub fn revision(&self) -> Option<&str> {
        self.manifests.as_ref().map(|(revision, _)| revision.as_str())
    }

    /// Reads the source and the adapters whole, or says everything that is wrong with them.
    pub async fn read(&self) -> Result<Fresh, Refused> {
        let unreadable = |error: crate::source::SourceError| Refused { revision: None, problems: error.problems() };
        let adapters = self.folders.read().await.map_err(unreadable)?;
        let snapshot = self.source.read().await.map_err(unreadable)?;
        self.judge(snapshot.revision, snapshot.files, adapters.files, &snapshot.origin)
    }

    /// Parses and builds everything, or says everything that is wrong.
    fn judge(
        &self,
        revision: String,
        files: BTreeMap<String, Vec<u8>>,
        adapter_files: AdapterFiles,
        origin: &str,
    ) -> Result<Fresh, Refused> {
        let (adapters, mut problems) = adapter::read(&adapter_files);
        let (manifests, found) = manifest::read(files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())));
        problems.extend(found);
        if problems.is_empty() && manifests.tenants.is_empty() && manifests.pods.is_empty() {
            let what = "nothing is declared in here";
            problems.push(
                Problem::of_file(origin, what)
                    .hint("to remove everything, remove pods one by one; an empty source is never taken as a wish"),
            );
        }
        let fresh = Fresh {
            revision,
            files,
            adapters_revision: adapter_files.digest().as_str().to_owned(),
            adapter_files,
            manifests: Arc::new(manifests),
            adapters: Arc::new(adapters),
        };
        if problems.is_empty()
            && let Err(found) =
                desired::build(&fresh.manifests, &fresh.adapters, &self.site, &BTreeMap::new(), &BTreeMap::new())
        {
            problems = found;
        }
        if problems.is_empty() { Ok(fresh) } else { Err(Refused { revision: Some(fresh.revision), problems }) }
    }

    /// Puts the revision that the store kept in force, with the adapters it was accepted with: for a start without a
    /// source, or with a broken one. What another version of AgentPod kept may not build any more; then the adapters in
    /// the folders are tried with its manifests.
    pub async fn restore(&mut self, kept: Revision) -> Result<(), Refused> {
        let Revision { hash, files, origin, adapters, .. } = kept;
        let as_it_was = adapters.map(|adapters| self.judge(hash.clone(), files.clone(), adapters, &origin));
        let fresh = match (as_it_was, self.folders.read().await) {
            (Some(Ok(fresh)), _) => fresh,
            (was, Ok(folders)) => {
                let now = self.judge(hash, files, folders.files, &origin);
                now.map_err(|refused| was.and_then(Result::err).unwrap_or(refused))?
            }
            (Some(Err(refused)), Err(_)) => return Err(refused),
            (None, Err(error)) => return Err(Refused { revision: None, problems: error.problems() }),
        };
        self.accept(fresh);
        Ok(())
    }

    /// Puts a revision in force. Answers whether anything is different from before.
    pub fn accept(&mut self, fresh: Fresh) -> bool {
        let same = self.revision() == Some(&fresh.revision)
            && self.adapters.as_ref().is_some_and(|(revision, _)| *revision == fresh.adapters_revision);
        if !same {
            self.manifests = Some((fresh.revision, fresh.manifests));
            self.adapters = Some((fresh.adapters_revision, fresh.adapters));
        }
        !same
    }

    /// Every place a secret of the revision in force stands.
    pub fn secret_references(&self) -> BTreeSet<SecretRef> {
        let Some((_, manifests)) = &self.manifests else { return BTreeSet::new() };
        let of_pods = manifests.pods.values().flat_map(|pod| pod.value.spec.secrets.values());
        let of_defaults = manifests
            .defaults
            .iter()
            .flat_map(|defaults| defaults.value.spec.secrets.values().flat_map(BTreeMap::values));
        of_pods.chain(of_defaults).cloned().collect()
    }

    /// What should be, or `None` while nothing is in force. Built only when something it depends on has changed.
    pub fn desired(
        &mut self,
        known: &BTreeMap<PodId, KnownPod>,
        fingerprints: &Fingerprints,
    ) -> Result<Option<Arc<Desired>>, Refused> {
        let (Some((revision, manifests)), Some((adapters_revision, adapters))) = (&self.manifests, &self.adapters)
        else {
            return Ok(None);
        };
        let declared_known: BTreeMap<_, _> = known
            .iter()
            .filter(|(id, _)| manifests.pods.contains_key(*id))
            .map(|(id, known)| (id.clone(), known.clone()))
            .collect();
        let from = (revision.clone(), adapters_revision.clone(), fingerprints.clone(), declared_known);
        if let Some(built) = self.built.as_ref().filter(|built| built.from == from) {
            return Ok(Some(built.desired.clone()));
        }
        let refused = |problems| Refused { revision: Some(revision.clone()), problems };
        let desired = Arc::new(desired::build(manifests, adapters, &self.site, known, fingerprints).map_err(refused)?);
        self.built = Some(Built { from, desired: desired.clone() });
        Ok(Some(desired))
    }
}
