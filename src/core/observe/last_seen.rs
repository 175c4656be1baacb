//! Containers that the engine listed before and lists no more. An engine that restores its containers after a restart answers
//! with a list that is empty or incomplete, so a list alone does not make a container absent: what is missing is looked up by
//! ID, and when much is missing at once it also has to stay missing for a while. Until then it is unknown, which holds its pod.

use std::collections::{BTreeMap, BTreeSet};

use time::{Duration, OffsetDateTime};

use super::actual::{ContainerState, ObservedContainer};

/// How long containers have to be missing when many are.
const SETTLES_AFTER: Duration = Duration::seconds(30);
/// From how many on it is many, if these are also half of all.
const MANY: usize = 3;

/// The containers that were there.
#[derive(Debug)]
pub(crate) struct LastSeen {
    /// How long containers have to be missing when many are.
    settles_after: Duration,
    /// By ID.
    containers: BTreeMap<String, ObservedContainer>,
    /// Since when those are missing that are, by ID.
    missing_since: BTreeMap<String, OffsetDateTime>,
}

impl Default for LastSeen {
    fn default() -> Self {
        Self { settles_after: SETTLES_AFTER, containers: BTreeMap::new(), missing_since: BTreeMap::new() }
    }
}

impl LastSeen {
    /// Sets another time for which containers have to be missing, for tests.
    pub(crate) fn settle_after(&mut self, time: Duration) {
        self.settles_after = time;
    }

    /// Containers that an earlier process has seen.
    pub(crate) fn remember(&mut self, containers: impl IntoIterator<Item = ObservedContainer>) {
        self.containers.extend(containers.into_iter().map(|container| (container.id.clone(), container)));
    }

    /// This container was removed, as the engine or the step that did so says.
    pub(crate) fn forget(&mut self, name: &str) {
        self.containers.retain(|_, container| container.name != name);
    }

    /// The IDs of containers that a list misses.
    pub(crate) fn missing<'a>(&'a self, listed: &'a [ObservedContainer]) -> impl Iterator<Item = &'a String> {
        let listed: BTreeSet<&String> = listed.iter().map(|container| &container.id).collect();
        self.containers.keys().filter(move |id| !listed.contains(id))
    }

    /// The containers to plan with: the list, and each that is missing from it and may still be there. `gone` are those that
    /// the engine does not know by their ID either.
    pub(crate) fn complete(
        &mut self,
        mut listed: Vec<ObservedContainer>,
        gone: &BTreeSet<String>,
        now: OffsetDateTime,
    ) -> Vec<ObservedContainer> {
        let missing: BTreeSet<String> = self.missing(&listed).cloned().collect();
        self.missing_since.retain(|id, _| missing.contains(id));
        let (lost, all) = (missing.len(), self.containers.len());
        let is_doubtful = listed.is_empty() || lost >= MANY && lost * 2 >= all;
        for id in missing {
            let since = *self.missing_since.entry(id.clone()).or_insert(now);
            let why = match gone.contains(&id) {
                true if is_doubtful && now - since < self.settles_after => format!(
                    "the engine no longer lists {lost} of {all} containers; it may still be starting, so AgentPod waits {} seconds",
                    self.settles_after.whole_seconds()
                ),
                true => {
                    self.containers.remove(&id);
                    continue;
                }
                false => "the engine does not list it, and does not say that it is gone".to_owned(),
            };
            if let Some(container) = self.containers.get(&id) {
                listed.push(ObservedContainer { state: ContainerState::Unknown(why), ..container.clone() });
            }
        }
        let seen = listed.iter().filter(|container| !matches!(container.state, ContainerState::Unknown(_)));
        self.containers.extend(seen.map(|container| (container.id.clone(), container.clone())));
        listed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn containers(names: &[&str]) -> Vec<ObservedContainer> {
        let one = |name: &&str| ObservedContainer {
            state: ContainerState::Running { since: None },
            ..ObservedContainer::remembered("t/a".parse().unwrap(), (*name).into(), format!("id of {name}"))
        };
        names.iter().map(one).collect()
    }

    fn at(seconds: i64) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + Duration::seconds(seconds)
    }

    /// `a` if it is there, `a?` if that is unknown.
    fn outcome(seen: &mut LastSeen, listed: &[&str], gone: &[&str], seconds: i64) -> String {
        let gone = gone.iter().map(|name| format!("id of {name}")).collect();
        let complete = seen.complete(containers(listed), &gone, at(seconds));
        let word = |container: &ObservedContainer| match container.state {
            ContainerState::Unknown(_) => format!("{}?", container.name),
            _ => container.name.clone(),
        };
        complete.iter().map(word).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn one_that_is_gone_by_its_id_too_is_gone_at_once() {
        let mut seen = LastSeen::default();
        assert_eq!(outcome(&mut seen, &["a", "b"], &[], 0), "a b");
        assert_eq!(outcome(&mut seen, &["b"], &[], 1), "b a?", "nobody said so");
        assert_eq!(outcome(&mut seen, &["b"], &["a"], 2), "b");
        assert_eq!(outcome(&mut seen, &["b"], &[], 3), "b", "and stays so");
    }

    #[test]
    fn an_empty_list_is_believed_only_after_a_while() {
        let mut seen = LastSeen::default();
        outcome(&mut seen, &["a", "b"], &[], 0);
        assert_eq!(outcome(&mut seen, &[], &["a", "b"], 1), "a? b?");
        assert_eq!(outcome(&mut seen, &[], &["a", "b"], 30), "a? b?");
        assert_eq!(outcome(&mut seen, &[], &["a", "b"], 31), "");
    }

    #[test]
    fn a_list_that_fills_again_never_made_anything_absent() {
        let mut seen = LastSeen::default();
        outcome(&mut seen, &["a", "b", "c", "d", "e"], &[], 0);
        assert_eq!(outcome(&mut seen, &["a", "b"], &["c", "d", "e"], 1), "a b c? d? e?");
        assert_eq!(outcome(&mut seen, &["a", "b", "c", "d"], &["e"], 20), "a b c d", "one of five is not many");
        assert_eq!(outcome(&mut seen, &["a", "b", "c", "d", "e"], &[], 25), "a b c d e");
    }

    #[test]
    fn what_was_removed_on_purpose_is_not_waited_for() {
        let mut seen = LastSeen::default();
        outcome(&mut seen, &["a", "b"], &[], 0);
        seen.forget("a");
        seen.forget("b");
        assert_eq!(outcome(&mut seen, &[], &[], 1), "");
    }
}
