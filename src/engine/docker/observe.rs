//! One look at all our containers: one list call, and a closer look only where the list cannot say enough.
//!
//! The client's list is all or nothing: a state it has no word for (its enums are closed) fails the whole answer. That
//! is an error like any other, hence everything is held and nothing is believed to be absent.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use bollard::query_parameters::ListContainersOptionsBuilder;
use futures_util::{StreamExt, stream};
use tokio::time::Instant;

use super::Docker;
use crate::{
    core::actual::Sighting,
    engine::{
        EngineError, Result,
        wire::{
            event,
            sighting::{self, Entry, Look},
        },
    },
};

/// How many closer looks are taken side by side.
const AT_ONCE: usize = 8;
/// The list shows that something came up within the last minute; when it was last read longer ago than that, a
/// container may have gone down and come back unnoticed, and nothing seen before can be relied on.
const MEMORY: Duration = Duration::from_secs(50);

/// What is remembered between two looks.
#[derive(Default)]
pub(super) struct Looks {
    at: Option<Instant>,
    running: HashMap<String, Look>,
    homeless: HashSet<String>,
}

impl Docker {
    pub(super) async fn look_around(&self) -> Result<Vec<Sighting>> {
        let started = Instant::now();
        let options =
            ListContainersOptionsBuilder::new().all(true).filters(&event::list_filters(&self.instance)).build();
        let listed =
            self.call("listing containers", async |client| client.list_containers(Some(options)).await).await?;
        let mut ids = HashSet::new();
        let mut entries = Vec::new();
        for summary in listed {
            let id = summary.id.clone().unwrap_or_default();
            match sighting::entry(summary) {
                Ok(entry) => entries.push(entry),
                Err(why) => self.left_out(&id, &why),
            }
            ids.insert(id);
        }
        let (known, new) = self.recall(started, &ids, entries);
        let mut seen: Vec<Sighting> = known.into_iter().map(|(entry, look)| entry.seen_before(&look)).collect();
        let mut looks = stream::iter(new).map(|entry| self.look_at(entry)).buffer_unordered(AT_ONCE);
        while let Some(found) = looks.next().await {
            seen.extend(found);
        }
        seen.sort_by(|a, b| (a.created_at, &a.name).cmp(&(b.created_at, &b.name)));
        Ok(seen)
    }

    /// Parts the entries into those whose last look still holds and those that need one.
    fn recall(&self, at: Instant, ids: &HashSet<String>, entries: Vec<Entry>) -> (Vec<(Entry, Look)>, Vec<Entry>) {
        let mut looks = self.looks.lock().expect("nothing panics while it holds this lock");
        if looks.at.is_none_or(|last| at.saturating_duration_since(last) > MEMORY) {
            looks.running.clear();
        }
        looks.at = Some(at);
        looks.running.retain(|id, _| ids.contains(id));
        looks.homeless.retain(|id| ids.contains(id));
        let (mut known, mut new) = (Vec::new(), Vec::new());
        for entry in entries {
            match looks.running.get(&entry.id) {
                Some(look) if entry.is_plainly_running() => known.push((entry, look.clone())),
                _ => new.push(entry),
            }
        }
        (known, new)
    }

    /// A closer look; nothing if it is gone meanwhile.
    async fn look_at(&self, entry: Entry) -> Option<Sighting> {
        let what = format!("looking at the container {}", entry.name);
        let inspected = self.call(what, async |client| client.inspect_container(&entry.id, None).await).await;
        match inspected {
            Ok(inspected) => {
                let look = sighting::look(inspected);
                let mut looks = self.looks.lock().expect("nothing panics while it holds this lock");
                if look.is_lasting() {
                    looks.running.insert(entry.id.clone(), look.clone());
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
        let mut looks = self.looks.lock().expect("nothing panics while it holds this lock");
        if looks.homeless.insert(id.to_owned()) {
            tracing::warn!(container = id, "{why}; it is left alone");
        }
    }
}
