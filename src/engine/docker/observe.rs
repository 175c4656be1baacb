//! Observes all our containers: one list call, and an inspection only where the list does not say enough.
//!
//! The client's list is all or nothing: a state that it does not know (its enums are closed) fails the whole answer.
//! That is an error like any other, so everything is held and nothing is taken for absent.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use bollard::query_parameters::ListContainersOptionsBuilder;
use futures_util::{StreamExt, stream};
use tokio::time::Instant;

use super::Docker;
use crate::{
    core::observe::actual::ObservedContainer,
    engine::{
        EngineError, Result,
        wire::{
            event,
            observed::{self, InspectedContainer, ListedContainer, NoPodLabel},
        },
    },
};

/// How many inspections run at the same time.
const CONCURRENCY: usize = 8;
/// The list shows that a container started within the last minute. If the list is older than that, a container may have
/// stopped and started unnoticed, so no earlier inspection counts.
const CACHE_LIFETIME: Duration = Duration::from_secs(50);
/// How long an inspection of a running container is used. Its settings can be changed by hand, which no list shows; the
/// engine reports that in an event, and events can be missed.
const MAX_AGE: Duration = Duration::from_secs(300);
/// How long an inspection may take: one container that is stuck must not delay the others.
const INSPECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a container that did not answer its inspection is not inspected again.
const STUCK_FOR: Duration = Duration::from_secs(60);
/// How many expired inspections are repeated at once; the others wait for the next time.
const MAX_RENEWALS: usize = 16;

/// The inspections that are kept between two observations.
#[derive(Default)]
pub(super) struct InspectCache {
    at: Option<Instant>,
    running: HashMap<String, (InspectedContainer, Instant)>,
    /// Containers whose inspection took too long: when, and what was said.
    stuck: HashMap<String, (Instant, String)>,
    unlabeled: HashSet<String>,
}

/// Drops the inspection of a container: something about it changed that no list shows.
pub(super) fn invalidate(cache: &Mutex<InspectCache>, id: &str) {
    let mut cache = lock(cache);
    cache.running.remove(id);
    cache.stuck.remove(id);
}

fn lock(cache: &Mutex<InspectCache>) -> MutexGuard<'_, InspectCache> {
    cache.lock().expect("nothing panics while it holds this lock")
}

impl InspectCache {
    /// Splits the entries into those whose inspection can still be used and those that need one.
    fn split_by_cache(
        &mut self,
        at: Instant,
        ids: &HashSet<String>,
        entries: Vec<ListedContainer>,
    ) -> (Vec<(ListedContainer, InspectedContainer)>, Vec<ListedContainer>) {
        if self.at.is_none_or(|last| at.saturating_duration_since(last) > CACHE_LIFETIME) {
            self.running.clear();
        }
        self.at = Some(at);
        self.running.retain(|id, _| ids.contains(id));
        self.unlabeled.retain(|id| ids.contains(id));
        self.stuck.retain(|id, (since, _)| ids.contains(id) && at.saturating_duration_since(*since) < STUCK_FOR);
        let age = |taken: &Instant| at.saturating_duration_since(*taken);
        let mut old: Vec<(&String, Duration)> = self.running.iter().map(|(id, (_, taken))| (id, age(taken))).collect();
        old.retain(|(_, age)| *age > MAX_AGE);
        old.sort_by_key(|(_, age)| std::cmp::Reverse(*age));
        let renewed: HashSet<&String> = old.into_iter().take(MAX_RENEWALS).map(|(id, _)| id).collect();
        let (mut known, mut new) = (Vec::new(), Vec::new());
        for entry in entries {
            match self.running.get(&entry.id) {
                Some((inspected, _)) if entry.is_plainly_running() && !renewed.contains(&entry.id) => {
                    known.push((entry, inspected.clone()));
                }
                _ => new.push(entry),
            }
        }
        (known, new)
    }
}

impl Docker {
    pub(super) async fn observe_containers(&self) -> Result<Vec<ObservedContainer>> {
        let started = crate::clock::runtime_instant();
        let options =
            ListContainersOptionsBuilder::new().all(true).filters(&event::list_filters(&self.instance)).build();
        let listed =
            self.call("listing containers", async |client| client.list_containers(Some(options)).await).await?;
        // Only of an engine that has answered: one that hangs costs a round one time limit, not two.
        let node = self.node().await;
        let mut ids = HashSet::new();
        let mut entries = Vec::new();
        for summary in listed {
            let id = summary.id.clone().unwrap_or_default();
            match observed::entry(summary) {
                Ok(entry) => entries.push(entry),
                Err(error) => self.skip(&id, &error),
            }
            ids.insert(id);
        }
        let (known, new) = lock(&self.cache).split_by_cache(started, &ids, entries);
        let mut containers: Vec<ObservedContainer> =
            known.into_iter().map(|(entry, inspected)| entry.with_cached(&inspected, node)).collect();
        let mut inspections = stream::iter(new).map(|entry| self.inspect(entry, node)).buffer_unordered(CONCURRENCY);
        while let Some(found) = inspections.next().await {
            containers.extend(found);
        }
        containers.sort_by(|a, b| (a.created_at, &a.name).cmp(&(b.created_at, &b.name)));
        Ok(containers)
    }

    /// An inspection; `None` if the container is gone meanwhile.
    async fn inspect(&self, entry: ListedContainer, node: &str) -> Option<ObservedContainer> {
        let (what, taken) = (format!("inspecting the container {}", entry.name), crate::clock::runtime_instant());
        let stuck = lock(&self.cache).stuck.get(&entry.id).map(|(_, why)| why.clone());
        if let Some(why) = stuck {
            return Some(entry.without_inspection(why, node));
        }
        let inspect = async |client: bollard::Docker| client.inspect_container(&entry.id, None).await;
        let inspected = self.call_within(INSPECT_TIMEOUT, what, inspect).await;
        match inspected {
            Ok(inspected) => {
                let inspected = observed::inspection(inspected);
                let mut cache = lock(&self.cache);
                if inspected.is_cacheable() {
                    cache.running.insert(entry.id.clone(), (inspected.clone(), taken));
                } else {
                    cache.running.remove(&entry.id);
                }
                Some(entry.with_inspection(inspected, node))
            }
            Err(failure) => match failure.error {
                EngineError::NotFound(_) => None,
                error => {
                    if taken.elapsed() >= INSPECT_TIMEOUT {
                        lock(&self.cache).stuck.insert(entry.id.clone(), (taken, error.to_string()));
                    }
                    Some(entry.without_inspection(error.to_string(), node))
                }
            },
        }
    }

    /// Whether there is a container of that ID.
    pub(super) async fn has_container(&self, id: &str) -> Result<bool> {
        let inspect = async |client: bollard::Docker| client.inspect_container(id, None).await;
        let found = self.call_within(INSPECT_TIMEOUT, format!("looking for the container {id}"), inspect).await;
        match found.map_err(EngineError::from) {
            Ok(_) => Ok(true),
            Err(EngineError::NotFound(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Logs once that a container carries our instance's label but no pod's.
    fn skip(&self, id: &str, why: &NoPodLabel) {
        let mut cache = lock(&self.cache);
        if cache.unlabeled.insert(id.to_owned()) {
            tracing::warn!(container = id, "{why}; it is left alone");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(count: usize) -> (HashSet<String>, Vec<ListedContainer>) {
        let one = |number: usize| {
            let json = format!(
                r#"{{"Id":"{number}","Names":["/alice_a{number}-0123"],"State":"running","Status":"Up 2 hours",
                    "Labels":{{"agentpod.pod-id":"alice_a{number}"}}}}"#
            );
            observed::entry(serde_json::from_str(&json).unwrap()).unwrap()
        };
        ((0..count).map(|number| number.to_string()).collect(), (0..count).map(one).collect())
    }

    fn inspected(cache: &mut InspectCache, entries: &[ListedContainer], at: Instant) {
        let inspected = observed::inspection(Default::default());
        cache.running.extend(entries.iter().map(|entry| (entry.id.clone(), (inspected.clone(), at))));
    }

    #[test]
    fn old_inspections_are_repeated_a_few_at_a_time_and_the_others_hold() {
        let (ids, entries) = listed(50);
        let mut cache = InspectCache::default();
        let begin = crate::clock::runtime_instant();
        let at = |seconds| begin + Duration::from_secs(seconds);
        assert_eq!(cache.split_by_cache(at(0), &ids, entries.clone()).1.len(), 50, "nothing was inspected before");
        inspected(&mut cache, &entries, at(0));
        for seconds in (30..=300).step_by(30) {
            assert_eq!(cache.split_by_cache(at(seconds), &ids, entries.clone()).1, [], "after {seconds} s");
        }
        let mut renewed = Vec::new();
        for (seconds, expected) in [(330, 16), (360, 16), (390, 16), (420, 2), (450, 0)] {
            let (known, new) = cache.split_by_cache(at(seconds), &ids, entries.clone());
            assert_eq!((known.len(), new.len()), (50 - expected, expected), "after {seconds} s");
            inspected(&mut cache, &new, at(seconds));
            renewed.extend(new.into_iter().map(|entry| entry.id));
        }
        assert_eq!(renewed.into_iter().collect::<HashSet<_>>(), ids, "each had its turn");
    }

    #[test]
    fn a_container_with_a_silent_change_is_inspected_again() {
        let (ids, entries) = listed(2);
        let cache = Mutex::new(InspectCache::default());
        let at = crate::clock::runtime_instant();
        lock(&cache).split_by_cache(at, &ids, entries.clone());
        inspected(&mut lock(&cache), &entries, at);
        invalidate(&cache, "1");
        let (known, new) = lock(&cache).split_by_cache(at, &ids, entries);
        assert_eq!((known[0].0.id.as_str(), new[0].id.as_str()), ("0", "1"));
    }
}
