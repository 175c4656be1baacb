//! What a round starts from: the newest revision that built whole, kept in force until a better one comes. Reads the
//! source and the adapters, and remembers what it built so that an unchanged round builds nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    core::{
        adapter::{self, Adapters},
        desired::{self, Desired, KnownPod},
        manifest::{self, Manifests},
        names::PodId,
        problem::Problem,
        secret::{Fingerprints, SecretRef},
        site::Site,
    },
    source::{AdapterFolders, Source},
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
    /// The adapters' hash.
    pub adapters_revision: String,
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
        let (parsed_adapters, mut problems) = adapter::read(&adapters.files);
        let (manifests, found) = manifest::read(snapshot.texts());
        problems.extend(found);
        if problems.is_empty() && manifests.tenants.is_empty() && manifests.pods.is_empty() {
            let what = "nothing is declared in here";
            problems.push(
                Problem::of_file(snapshot.origin.clone(), what)
                    .hint("to remove everything, remove pods one by one; an empty source is never taken as a wish"),
            );
        }
        let fresh = Fresh {
            revision: snapshot.revision,
            files: snapshot.files,
            adapters_revision: adapters.digest.as_str().to_owned(),
            manifests: Arc::new(manifests),
            adapters: Arc::new(parsed_adapters),
        };
        if problems.is_empty()
            && let Err(found) =
                desired::build(&fresh.manifests, &fresh.adapters, &self.site, &BTreeMap::new(), &BTreeMap::new())
        {
            problems = found;
        }
        if problems.is_empty() { Ok(fresh) } else { Err(Refused { revision: Some(fresh.revision), problems }) }
    }

    /// Reads adapters from the folders, and manifests from files kept in the store: for a start without a source.
    pub async fn restore(&mut self, revision: String, files: &BTreeMap<String, Vec<u8>>) -> Result<(), Refused> {
        let adapters =
            self.folders.read().await.map_err(|error| Refused { revision: None, problems: error.problems() })?;
        let (parsed, mut problems) = adapter::read(&adapters.files);
        let (manifests, found) = manifest::read(files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())));
        problems.extend(found);
        if !problems.is_empty() {
            return Err(Refused { revision: Some(revision), problems });
        }
        self.adapters = Some((adapters.digest.as_str().to_owned(), Arc::new(parsed)));
        self.manifests = Some((revision, Arc::new(manifests)));
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
