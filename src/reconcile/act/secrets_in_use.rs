//! Which secret values which container holds: remembered from the moment they are handed to it until it is gone, in
//! memory only. A container that was there before us is known to hold the present values when its digest says so; what
//! any other one holds is not known, and nothing it writes may be kept.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};

use super::redact::Redactor;
use crate::{
    core::{
        declare::desired::{DesiredPod, SecretTexts},
        names::PodId,
        observe::actual::{Actual, ObservedContainer},
    },
    reconcile::Reconciler,
    store::{PodToken, StoreError},
};

/// Values by what is shown in their place.
#[derive(Default, Clone)]
pub(crate) struct Values(Vec<(String, SecretString)>);

impl Values {
    /// The values a container is given.
    pub fn of(texts: &SecretTexts) -> Self {
        let mut values = Self::default();
        for (name, value) in &texts.secrets {
            values.add(format!("[secret {name}]"), value.as_str().into());
        }
        values.add(TOKEN.into(), texts.token.as_str().into());
        values
    }

    fn add(&mut self, name: String, value: SecretString) {
        if !self.0.iter().any(|(_, identities)| identities.expose_secret() == value.expose_secret()) {
            self.0.push((name, value));
        }
    }

    fn extend(&mut self, more: Self) {
        more.0.into_iter().for_each(|(name, value)| self.add(name, value));
    }

    /// What finds them.
    pub fn redactor(&self) -> Redactor {
        Redactor::new(self.0.iter().map(|(name, value)| (name.as_str(), value)))
    }
}

const TOKEN: &str = "[gateway token]";

/// By container.
#[derive(Default)]
pub(crate) struct SecretsInUse(BTreeMap<String, (PodId, Values)>);

impl SecretsInUse {
    /// Remembers what a container is being given, beside what it was given before.
    pub fn give(&mut self, container: &str, pod: &PodId, values: Values) {
        self.0.entry(container.into()).or_insert_with(|| (pod.clone(), Values::default())).1.extend(values);
    }

    /// Everything a pod's containers hold, or just one container's, if that is known.
    pub fn of(&self, container: &str) -> Option<&Values> {
        self.0.get(container).map(|(_, values)| values)
    }

    fn of_pod(&self, pod: &PodId) -> impl Iterator<Item = &Values> {
        self.0.values().filter(move |(owner, _)| owner == pod).map(|(_, values)| values)
    }
}

impl Reconciler {
    /// Forgets what containers held that are gone, and finds out what those hold that were there before us.
    pub(crate) async fn learn_values(&mut self) -> Result<(), StoreError> {
        let Actual::Observed(seen) = &self.actual else { return Ok(()) };
        let busy = |pod: &PodId| self.states.get(pod).is_some_and(|pod| pod.busy);
        let is_there = |container: &String, pod: &PodId| {
            seen.get(pod).is_some_and(|seen| seen.iter().any(|observed| observed.name == *container))
        };
        let mut secrets_in_use = std::mem::take(&mut self.secrets_in_use);
        secrets_in_use.0.retain(|container, (pod, _)| is_there(container, pod) || busy(pod));
        let news = seen.values().flatten().filter(|container| secrets_in_use.of(&container.name).is_none());
        let proven: Vec<(&ObservedContainer, &DesiredPod, Values)> = news
            .filter_map(|container| {
                let desired_pod = self.desired.as_ref()?.pods.get(&container.pod)?;
                let values = (desired_pod.container.digest == container.digest)
                    .then(|| self.proven_values(desired_pod))
                    .flatten()?;
                Some((container, desired_pod, values))
            })
            .collect();
        let tokens = if proven.is_empty() { Ok(BTreeMap::new()) } else { self.store.tokens().await };
        if let Ok(tokens) = &tokens {
            for (container, desired_pod, mut values) in proven {
                if let Some(PodToken { version, token }) = tokens.get(&container.pod)
                    && *version == desired_pod.container.blueprint.token_version
                {
                    values.add(TOKEN.into(), token.clone());
                    secrets_in_use.give(&container.name, &container.pod, values);
                }
            }
        }
        self.secrets_in_use = secrets_in_use;
        tokens.map(drop)
    }

    /// The present values of a pod's secrets, if they are the very ones its digest was made with.
    fn proven_values(&self, desired_pod: &DesiredPod) -> Option<Values> {
        let mut values = Values::default();
        for (name, reference) in &desired_pod.declared.secrets {
            let value = self.secrets.get(reference)?.as_ref().ok()?;
            let fingerprint = desired_pod.container.blueprint.secrets.get(name)?;
            (self.store.fingerprint(value) == *fingerprint).then_some(())?;
            values.add(format!("[secret {name}]"), value.clone());
        }
        Some(values)
    }

    /// Everything that may stand in what a container writes: what it holds, and what is declared for its pod now; or
    /// why that is not known.
    pub(crate) fn values_in(&self, pod: &PodId, container: &str) -> Result<Values, &'static str> {
        let held = self.secrets_in_use.of(container);
        let mut values = held.cloned().ok_or("the secrets it was started with are not known any more")?;
        values.extend(self.known_values(pod));
        Ok(values)
    }

    /// Every value of a pod that is known: those its containers hold, and those declared for it now.
    pub(crate) fn known_values(&self, pod: &PodId) -> Values {
        let mut values = Values::default();
        self.secrets_in_use.of_pod(pod).for_each(|held| values.extend(held.clone()));
        let desired_pod = self.desired.as_ref().and_then(|desired| desired.pods.get(pod));
        for (name, reference) in desired_pod.iter().flat_map(|desired_pod| &desired_pod.declared.secrets) {
            if let Some(Ok(value)) = self.secrets.get(reference) {
                values.add(format!("[secret {name}]"), value.clone());
            }
        }
        values
    }
}
