//! Which container holds which secret values: recorded in memory when it receives them, dropped when the container
//! is gone. A container from before this process holds the present values if its digest says so; what any other one holds
//! is unknown, and nothing it writes may be stored.

use std::collections::{BTreeMap, BTreeSet};

use secrecy::{ExposeSecret, SecretString};

use super::redact::Redactor;
use crate::{
    core::{
        declare::{
            adapter::{Adapters, GeneratedName},
            desired::{self, Desired, DesiredPod, SecretTexts},
        },
        names::PodId,
        observe::actual::{Actual, ObservedContainer},
        secret::{self, Fingerprints, SecretRef},
        site::Site,
    },
    engine::Materials,
    secrets::{SecretReader, SecretValues},
    store::{PodSecrets, Store, StoreError},
};

/// What replaces a gateway token in text.
const TOKEN: &str = "[gateway token]";

/// Values by what replaces them in text.
#[derive(Default, Clone)]
pub(crate) struct Values(Vec<(String, SecretString)>);

impl Values {
    /// The values a container receives.
    fn of(texts: &SecretTexts) -> Self {
        let mut values = Self::default();
        for (name, value) in &texts.secrets {
            values.add_secret(name, value.as_str().into());
        }
        values.add(TOKEN.into(), texts.token.as_str().into());
        values.add_generated(&texts.generated);
        values
    }

    fn add_secret(&mut self, name: &str, value: SecretString) {
        self.add(format!("[secret {name}]"), value);
    }

    fn add_generated(&mut self, generated: &BTreeMap<String, String>) {
        for (name, value) in generated {
            self.add(format!("[generated {name}]"), value.as_str().into());
        }
    }

    fn add(&mut self, name: String, value: SecretString) {
        if !self.0.iter().any(|(_, known)| known.expose_secret() == value.expose_secret()) {
            self.0.push((name, value));
        }
    }

    fn extend(&mut self, more: Self) {
        more.0.into_iter().for_each(|(name, value)| self.add(name, value));
    }

    /// Finds these values in text about a pod. A value that is the pod's own name, or its tenant's, is no secret: it stands in
    /// every container's name.
    pub(crate) fn redactor(&self, pod: &PodId) -> Redactor {
        let public = [pod.tenant.to_string(), pod.pod.to_string(), pod.to_string(), pod.key()];
        let secret = self.0.iter().filter(|(_, value)| !public.iter().any(|name| name == value.expose_secret().trim()));
        Redactor::new(secret.map(|(name, value)| (name.as_str(), value)))
    }
}

/// The present values of all secrets, and which container holds which.
pub(crate) struct SecretsInUse {
    reader: SecretReader,
    current: SecretValues,
    by_container: BTreeMap<String, HeldValues>,
}

struct HeldValues {
    pod: PodId,
    values: Values,
}

/// The secrets that a pod's adapter asks for, derived from the pod's seed.
fn generated(pod: &DesiredPod, seed: &SecretString) -> BTreeMap<String, String> {
    let names = pod.declared.adapter.spec.generated.keys();
    names.map(|GeneratedName(name)| (name.clone(), secret::generated(seed.expose_secret(), name))).collect()
}

/// Why a container's environment and files cannot be rendered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MaterialsError {
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The pod's own fault; other pods continue.
    #[error("{0}")]
    Pod(String),
}

/// The values a container holds are unknown, so nothing it writes may be shown.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the secrets it was started with are no longer known")]
pub(crate) struct ValuesUnknown;

impl SecretsInUse {
    pub(crate) fn new(reader: SecretReader) -> Self {
        Self { reader, current: SecretValues::new(), by_container: BTreeMap::new() }
    }

    /// Reads the present values; returns their fingerprints.
    pub fn read(&mut self, references: BTreeSet<SecretRef>, store: &Store) -> Fingerprints {
        self.current = self.reader.read(references);
        let fingerprints = self.current.iter().map(|(reference, value)| {
            let fingerprint = value.as_ref().map(|value| store.fingerprint(value));
            (reference.clone(), fingerprint.map_err(Clone::clone))
        });
        fingerprints.collect()
    }

    /// Records what a container receives, in addition to what it received before.
    pub(crate) fn give(&mut self, container: &str, pod: &PodId, values: Values) {
        let new = || HeldValues { pod: pod.clone(), values: Values::default() };
        self.by_container.entry(container.into()).or_insert_with(new).values.extend(values);
    }

    /// Drops containers that are gone, and finds out what those hold that are from before this process.
    pub(crate) async fn learn(
        &mut self,
        actual: &Actual,
        desired: Option<&Desired>,
        is_busy: impl Fn(&PodId) -> bool,
        store: &Store,
    ) -> Result<(), StoreError> {
        let Actual::Observed(observed) = actual else { return Ok(()) };
        let is_there = |container: &String, pod: &PodId| {
            observed.get(pod).is_some_and(|containers| containers.iter().any(|one| one.name == *container))
        };
        self.by_container.retain(|container, held| is_there(container, &held.pod) || is_busy(&held.pod));
        let new = observed.values().flatten().filter(|container| !self.by_container.contains_key(&container.name));
        let proven: Vec<(&ObservedContainer, &DesiredPod, Values)> = new
            .filter_map(|container| {
                let pod = desired?.pods.get(&container.pod)?;
                let is_same = pod.container.digest == container.digest;
                Some((container, pod, is_same.then(|| self.proven_values(pod, store)).flatten()?))
            })
            .collect();
        if proven.is_empty() {
            return Ok(());
        }
        let given = store.all_pod_secrets().await?;
        for (container, pod, mut values) in proven {
            let blueprint = &pod.container.blueprint;
            if let Some(PodSecrets { token_version, token, generated_version, seed }) = given.get(&container.pod)
                && *token_version == blueprint.token_version
                && blueprint.generated_version.is_none_or(|version| version == *generated_version)
            {
                values.add(TOKEN.into(), token.clone());
                values.add_generated(&generated(pod, seed));
                self.give(&container.name, &container.pod, values);
            }
        }
        Ok(())
    }

    /// The present values of a pod's secrets, if its digest was made with exactly these.
    fn proven_values(&self, pod: &DesiredPod, store: &Store) -> Option<Values> {
        let mut values = Values::default();
        for (name, reference) in &pod.declared.secrets {
            let value = self.current.get(reference)?.as_ref().ok()?;
            let fingerprint = pod.container.blueprint.secrets.get(name)?;
            (store.fingerprint(value) == *fingerprint).then_some(())?;
            values.add_secret(name, value.clone());
        }
        Some(values)
    }

    /// Everything a container may write: what it holds, and what is declared for its pod now.
    pub(crate) fn in_container(
        &self,
        pod: &PodId,
        desired: Option<&DesiredPod>,
        container: &str,
    ) -> Result<Values, ValuesUnknown> {
        let mut values = self.by_container.get(container).ok_or(ValuesUnknown)?.values.clone();
        values.extend(self.of_pod(pod, desired));
        Ok(values)
    }

    /// Every known value of a pod: what its containers hold, and what is declared for it now.
    pub(crate) fn of_pod(&self, pod: &PodId, desired: Option<&DesiredPod>) -> Values {
        let mut values = Values::default();
        for held in self.by_container.values().filter(|held| held.pod == *pod) {
            values.extend(held.values.clone());
        }
        for (name, reference) in desired.iter().flat_map(|pod| &pod.declared.secrets) {
            if let Some(Ok(value)) = self.current.get(reference) {
                values.add_secret(name, value.clone());
            }
        }
        values
    }

    /// Renders a pod again, now with real values.
    pub(crate) async fn materials(
        &self,
        pod: &DesiredPod,
        store: &Store,
        adapters: Option<&Adapters>,
        site: &Site,
    ) -> Result<(Materials, Values), MaterialsError> {
        let refuse = |why: String| Err(MaterialsError::Pod(why));
        let declared = &pod.declared;
        let Some(PodSecrets { token, seed, .. }) = store.pod_secrets(&declared.id).await? else {
            return refuse("it has no gateway token yet".into());
        };
        let mut secrets = BTreeMap::new();
        for (name, reference) in &declared.secrets {
            match self.current.get(reference) {
                Some(Ok(value)) => secrets.insert(name.clone(), value.expose_secret().to_owned()),
                Some(Err(why)) => return refuse(format!("secret {name}: {why}")),
                None => return refuse(format!("secret {name} was not read")),
            };
        }
        let texts = SecretTexts { secrets, token: token.expose_secret().to_owned(), generated: generated(pod, &seed) };
        let Some(adapters) = adapters else { return refuse("no adapters are in force".into()) };
        match desired::render(adapters, site, declared, &texts) {
            Ok(rendered) => {
                let materials = Materials { environment: rendered.environment, files: rendered.files };
                Ok((materials, Values::of(&texts)))
            }
            // The problems may quote real values, so only the file is named.
            Err(problems) => {
                let file = problems.first().map_or("a template", |problem| problem.file.as_str());
                refuse(format!("{file} cannot be rendered with its real values"))
            }
        }
    }
}
