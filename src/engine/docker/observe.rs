//! One look at all our containers: one list call, and a closer look only where the list cannot say enough.
//!
//! The client's list is all or nothing: a state it has no word for (its enums are closed) fails the whole answer. That
//! is an error like any other, hence everything is held and nothing is believed to be absent.

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
            observed::{self, InspectedContainer, ListedContainer},
        },
    },
};

/// How many closer looks are taken side by side.
const AT_ONCE: usize = 8;
/// The list shows that something came up within the last minute; when it was last read longer ago than that, a
/// container may have gone down and come back unnoticed, and nothing seen before can be relied on.
const MEMORY: Duration = Duration::from_secs(50);
/// How long a closer look at a running container holds. What bounds it can be changed by hand, which no list shows; the
/// engine says so in an event, and events can be missed.
const HOLDS: Duration = Duration::from_secs(300);
/// How many looks that are too old are taken anew at once; the others wait for the next time.
const RENEWED: usize = 16;

/// What is remembered between two looks.
#[derive(Default)]
pub(super) struct InspectCache {
    at: Option<Instant>,
    running: HashMap<String, (InspectedContainer, Instant)>,
    homeless: HashSet<String>,
}

/// Forgets what was seen of a container: something about it changed that no list shows.
pub(super) fn forget(looks: &Mutex<InspectCache>, id: &str) {
    lock(looks).running.remove(id);
}

fn lock(looks: &Mutex<InspectCache>) -> MutexGuard<'_, InspectCache> {
    looks.lock().expect("nothing panics while it holds this lock")
}

impl InspectCache {
    /// Parts the entries into those whose last look still holds and those that need one.
    fn recall(
        &mut self,
        at: Instant,
        ids: &HashSet<String>,
        entries: Vec<ListedContainer>,
    ) -> (Vec<(ListedContainer, InspectedContainer)>, Vec<ListedContainer>) {
        if self.at.is_none_or(|last| at.saturating_duration_since(last) > MEMORY) {
            self.running.clear();
        }
        self.at = Some(at);
        self.running.retain(|id, _| ids.contains(id));
        self.homeless.retain(|id| ids.contains(id));
        let age = |taken: &Instant| at.saturating_duration_since(*taken);
        let mut old: Vec<(&String, Duration)> = self.running.iter().map(|(id, (_, taken))| (id, age(taken))).collect();
        old.retain(|(_, age)| *age > HOLDS);
        old.sort_by_key(|(_, age)| std::cmp::Reverse(*age));
        let renewed: HashSet<&String> = old.into_iter().take(RENEWED).map(|(id, _)| id).collect();
        let (mut known, mut new) = (Vec::new(), Vec::new());
        for entry in entries {
            match self.running.get(&entry.id) {
                Some((look, _)) if entry.is_plainly_running() && !renewed.contains(&entry.id) => {
                    known.push((entry, look.clone()));
                }
                _ => new.push(entry),
            }
        }
        (known, new)
    }
}

impl Docker {
    pub(super) async fn look_around(&self) -> Result<Vec<ObservedContainer>> {
        let started = crate::clock::runtime_instant();
        let options =
            ListContainersOptionsBuilder::new().all(true).filters(&event::list_filters(&self.instance)).build();
        let listed =
            self.call("listing containers", async |client| client.list_containers(Some(options)).await).await?;
        let mut ids = HashSet::new();
        let mut entries = Vec::new();
        for summary in listed {
            let id = summary.id.clone().unwrap_or_default();
            match observed::entry(summary) {
                Ok(entry) => entries.push(entry),
                Err(why) => self.left_out(&id, &why),
            }
            ids.insert(id);
        }
        let (known, new) = lock(&self.looks).recall(started, &ids, entries);
        let mut seen: Vec<ObservedContainer> =
            known.into_iter().map(|(entry, look)| entry.seen_before(&look)).collect();
        let mut looks = stream::iter(new).map(|entry| self.look_at(entry)).buffer_unordered(AT_ONCE);
        while let Some(found) = looks.next().await {
            seen.extend(found);
        }
        seen.sort_by(|a, b| (a.created_at, &a.name).cmp(&(b.created_at, &b.name)));
        Ok(seen)
    }

    /// A closer look; nothing if it is gone meanwhile.
    async fn look_at(&self, entry: ListedContainer) -> Option<ObservedContainer> {
        let (what, taken) = (format!("looking at the container {}", entry.name), crate::clock::runtime_instant());
        let inspected = self.call(what, async |client| client.inspect_container(&entry.id, None).await).await;
        match inspected {
            Ok(inspected) => {
                let look = observed::look(inspected);
                let mut looks = lock(&self.looks);
                if look.is_lasting() {
                    looks.running.insert(entry.id.clone(), (look.clone(), taken));
                } else {
                    looks.running.remove(&entry.id);
                }
                Some(entry.seen(look))
            }
            Err(failure) => match failure.error {
                EngineError::NotFound(_) => None,
                error => Some(entry.unseen(error.to_string())),
            },
        }
    }

    /// Says once that a container carries our instance's label but no pod's.
    fn left_out(&self, id: &str, why: &str) {
        let mut looks = lock(&self.looks);
        if looks.homeless.insert(id.to_owned()) {
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

    fn looked(looks: &mut InspectCache, entries: &[ListedContainer], at: Instant) {
        let look = observed::look(Default::default());
        looks.running.extend(entries.iter().map(|entry| (entry.id.clone(), (look.clone(), at))));
    }

    #[test]
    fn old_looks_are_taken_anew_a_few_at_a_time_and_the_others_hold() {
        let (ids, entries) = listed(50);
        let mut looks = InspectCache::default();
        let begin = crate::clock::runtime_instant();
        let at = |seconds| begin + Duration::from_secs(seconds);
        assert_eq!(looks.recall(at(0), &ids, entries.clone()).1.len(), 50, "nothing was seen before");
        looked(&mut looks, &entries, at(0));
        for seconds in (30..=300).step_by(30) {
            assert_eq!(looks.recall(at(seconds), &ids, entries.clone()).1, [], "after {seconds} s");
        }
        let mut renewed = Vec::new();
        for (seconds, expected) in [(330, 16), (360, 16), (390, 16), (420, 2), (450, 0)] {
            let (known, new) = looks.recall(at(seconds), &ids, entries.clone());
            assert_eq!((known.len(), new.len()), (50 - expected, expected), "after {seconds} s");
            looked(&mut looks, &new, at(seconds));
            renewed.extend(new.into_iter().map(|entry| entry.id));
        }
        assert_eq!(renewed.into_iter().collect::<HashSet<_>>(), ids, "each had its turn");
    }

    #[test]
    fn what_is_said_to_have_changed_is_looked_at_again() {
        let (ids, entries) = listed(2);
        let looks = Mutex::new(InspectCache::default());
        let at = crate::clock::runtime_instant();
        lock(&looks).recall(at, &ids, entries.clone());
        looked(&mut lock(&looks), &entries, at);
        forget(&looks, "1");
        let (known, new) = lock(&looks).recall(at, &ids, entries);
        assert_eq!((known[0].0.id.as_str(), new[0].id.as_str()), ("0", "1"));
    }
}
